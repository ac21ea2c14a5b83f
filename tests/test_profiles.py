"""The profiles: what one machine does with a GPU, and that a study can be planned for SLURM."""

import re
from collections import Counter
from itertools import pairwise

import pytest
import yaml
from conftest import ROOT
from studies import clone, snakemake

# In the place of a job: when it ran. Where two may run at once, the first waits for another.
STUB = """
import time
from pathlib import Path
begin = time.time()
Path(f"{snakemake.rule}.{begin}.begun").touch()
while len(list(Path().glob("train.*.begun"))) < %d and snakemake.rule == "train":
    time.sleep(0.1)
time.sleep(0.3)
for path in snakemake.output:
    Path(path).touch()
with open(f"{snakemake.rule}.times", "a") as file:
    print(begin, time.time(), file=file)
"""


@pytest.mark.parametrize(
    ("gpus", "options", "at_once"), [(0, (), 2), (1, (), 1), (1, ("gpu=2",), 2)]
)
def test_on_one_machine_a_gpu_trains_one_network_at_a_time(tmp_path, gpus, options, at_once):
    repository = clone(tmp_path / "boxest")
    for script in ("shard", "train"):
        (repository / "workflow" / "scripts" / f"{script}.py").write_text(STUB % at_once)
    execution = f"execution: {{gpus: {gpus}, runs_per_job: 1}}\n"
    (repository / "gpus.yaml").write_text(f"{execution}grid: {{batch_size: [16]}}\nbest: null\n")
    resources = ("--resources", *options) if options else ()
    done = snakemake(
        repository, "--cores", "2", *resources, "--until", "train",
        "--configfile", "config/tiny.yaml", "gpus.yaml",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = (repository / "train.times").read_text().splitlines()
    times = sorted(tuple(map(float, line.split())) for line in lines)
    assert len(times) == 4
    together = any(second[0] < first[1] for first, second in pairwise(times))
    assert together == (at_once > 1)


def test_rules_in_groups_exist():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    text = "".join(path.read_text("utf-8") for path in ROOT.glob("workflow/rules/*.smk"))
    rules = {"train", *re.findall(r"^rule (\w+)", text, re.MULTILINE)}
    assert set(profile["groups"]) <= rules
    assert set(profile["group-components"]) <= set(profile["groups"].values())


def sites():
    """Return the parts of the profile that a site may need, each as the profile with it."""
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    start, *parts = re.split(r"(?m)^(?=.*# SITE:)", text)
    for number in range(len(parts)):
        part = re.sub(r"(?m)^( *)# ( *[a-z_-]+:(?: |$))", r"\1\2", parts[number])
        yield "".join([start, *parts[:number], part, *parts[number + 1 :]])


@pytest.mark.parametrize(
    ("site", "gpus", "asked", "jobs"),
    [
        (0, 0, "slurm_partition=main, slurm_account=my-project", 267),
        (1, 1, "slurm_partition=gpu, gpu_model=a100", 250),
        (2, 0, "slurm_partition=gpu, gres=gpu:1", 250),
    ],
)
def test_what_a_site_may_need_fits_the_groups_of_the_full_study(tmp_path, site, gpus, asked, jobs):
    repository = clone(tmp_path / "boxest")
    profiles = list(sites())
    assert len(profiles) == 3
    (repository / "profiles/slurm/config.yaml").write_text(profiles[site])
    (repository / "gpus.yaml").write_text(f"execution: {{gpus: {gpus}}}")
    options = ["--workflow-profile", "profiles/slurm", "--configfile", "gpus.yaml"]
    done = snakemake(repository, *options, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(asked) == jobs
    # With 3 jobs that are in no group, 30 submissions.
    groups = {"shards": 1, "runs": 25, "tables": 1}
    assert Counter(re.findall(r"Group job (\w+)", done.stdout)) == groups


def test_a_rule_may_ask_for_what_the_others_do_not(tmp_path):
    repository = clone(tmp_path / "boxest")
    options = ["--workflow-profile", "profiles/slurm", "--set-resources", "train:gpu_model=a100"]
    done = snakemake(repository, *options, "--configfile", "config/tiny.yaml", "--dry-run",
                     "--config", "execution={runs_per_job: 1}")  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(", gpu_model=a100") == 10

"""The profile for SLURM, without a cluster: that the study can be planned with it."""

import re
from collections import Counter

import pytest
import yaml
from conftest import ROOT
from studies import clone, snakemake


def test_rules_in_groups_exist():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    text = "".join(path.read_text("utf-8") for path in ROOT.glob("workflow/rules/*.smk"))
    rules = set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", text, re.MULTILINE))
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
        (0, 0, "slurm_partition=main, slurm_account=my-project", 278),
        (1, 1, "slurm_partition=gpu, gpu_model=a100", 240 + 10),
        (2, 0, "slurm_partition=gpu, gres=gpu:1", 240 + 10),
    ],
)
def test_what_a_site_may_need_fits_the_groups_of_the_full_study(tmp_path, site, gpus, asked, jobs):
    repository = clone(tmp_path / "boxest")
    profiles = list(sites())
    assert len(profiles) == 3
    (repository / "profiles/slurm/config.yaml").write_text(profiles[site])
    (repository / "gpus.yaml").write_text(f"training: {{gpus: {gpus}}}")
    options = ["--workflow-profile", "profiles/slurm", "--configfile", "gpus.yaml"]
    done = snakemake(repository, *options, "--dry-run")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(asked) == jobs
    # With 3 jobs that are in no group, 31 submissions.
    groups = {"shards": 1, "runs": 24, "best": 1, "predictions": 1, "tables": 1}
    assert Counter(re.findall(r"Group job (\w+)", done.stdout)) == groups


def test_a_rule_may_ask_for_what_the_others_do_not(tmp_path):
    repository = clone(tmp_path / "boxest")
    options = ["--workflow-profile", "profiles/slurm", "--set-resources", "train:gpu_model=a100"]
    done = snakemake(repository, *options, "--configfile", "config/tiny.yaml", "--dry-run")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(", gpu_model=a100") == 8

"""A study of one's own, and the workflow of the package as a module of another one."""

import re
import subprocess

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from conftest import ROOT
from studies import clone, snakemake

import boxest as package
from boxest import BoxRegressor
from boxest.cli import boxest
from boxest.study import configuration
from boxest.study.creation import create, snakefile

SCHEMA = configuration.Schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")
# Of 16 px: a second to train.
SMALL = {
    "data": {"images": 60, "image_size": 16, "box_law": {"max_side": 16}},
    "settings": {"epochs": 1},
    "grid": {"batch_size": [16], "learning_rate": [0.1], "seeds": 1},
    "best": None,
}


def planned(done, rule):
    return re.search(rf"^{rule} +(\d+)$", done.stdout, re.MULTILINE)[1]


def test_a_new_study_is_ready(tmp_path):
    folder = tmp_path / "mine"
    done = CliRunner().invoke(boxest, ["new", str(folder)])
    assert done.stdout.endswith(f"cd {folder} && snakemake\n")
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert made == ["README.md", "Snakefile", "config/config.yaml", "profiles/default/config.yaml"]
    readme = (folder / "README.md").read_text()
    assert f"boxest=={package.__version__}" in readme
    assert len(readme.splitlines()) == 10
    # 3 × 2 cells, whose 2 seeds a job trains.
    done = snakemake(folder, "-n", "--quiet", "rules")
    assert (done.returncode, planned(done, "train_seeds_0_to_1")) == (0, "6"), done.stderr
    assert "specific profile profiles/default" in done.stderr
    assert snakemake(folder, "--lint").returncode == 0
    again = CliRunner().invoke(boxest, ["new", str(folder)])
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    assert "mine" in again.stderr


def test_a_new_study_of_photographs_names_them(tmp_path):
    folder = tmp_path / "of cups"
    (folder / "it's mine").mkdir(parents=True)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image,x1,y1,x2,y2\n")
    with pytest.raises(ValueError, match="name both"):
        create(folder, boxes=boxes)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        create(folder, tmp_path / "nowhere", boxes)
    create(tmp_path / "study", folder / "it's mine", boxes)
    config = yaml.safe_load((tmp_path / "study" / "config" / "config.yaml").read_text())
    assert config["data"]["folder"] == str(folder / "it's mine")
    assert config["data"]["boxes"] == str(boxes)
    # But for the length of the training, what BoxRegressor has by default.
    defaults = BoxRegressor().get_params()
    read = configuration.read(config, SCHEMA)["settings"]
    own = {"batch_size", "learning_rate", "epochs", "plateau_patience"}
    assert {name: defaults[name] for name in read if name not in own} == {
        name: value for name, value in read.items() if name not in own
    }
    done = snakemake(tmp_path / "study", "-n", "--quiet", "rules")
    assert (done.returncode, planned(done, "plan")) == (0, "1"), done.stderr


def test_the_workflow_lies_in_the_package_or_beside_it():
    assert snakefile() == str(ROOT / "workflow" / "Snakefile")


@pytest.mark.slow
def test_a_module_of_a_git_repository_runs_and_is_reported(tmp_path):
    repository = clone(tmp_path / "boxest")
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1"]):
        subprocess.run(["git", *identity, *command], cwd=repository, check=True)
    # What is not in the tag is not seen.
    (repository / "workflow" / "scripts" / "train.py").write_text("raise SystemExit(1)")
    other = tmp_path / "other"
    other.mkdir()
    (other / "Snakefile").write_text(
        "module boxes:\n"
        f'    snakefile: gitfile({str(repository)!r}, path="workflow/Snakefile", tag="v1")\n'
        f"    config: {SMALL | {'results': 'out'}!r}\n"
        "use rule * from boxes as boxes_*\n"
    )
    done = snakemake(other, "--cores", "2", "boxes_all")
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(other / "out" / "tables" / "runs.csv")) == 1
    done = snakemake(other, "boxes_all", "--report", "report.html")
    assert done.returncode == 0, done.stderr
    assert "fig1_dataset" in (other / "report.html").read_text("utf-8")
    status = CliRunner().invoke(boxest, ["status", str(other), "--once"])
    assert "1 runs: 1 done" in " ".join(status.stdout.split())

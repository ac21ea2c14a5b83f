"""The commands of the README, as they are written, in an environment of their own."""

import re
import shutil
import subprocess

import pytest
import readers
from conftest import ENVIRONMENT, ROOT

# Where each block of commands is run, by how it begins.
TRIED = {
    "make run": "here",
    "boxest train photos boxes.csv": "test_cli.py, on other photographs",
    "snakemake --cores all --configfile config/photographs.yaml": "here, as a dry run",
    "snakemake --cores all --configfile my.yaml": "here, as a dry run",
    "pip install -e .\n": "here",
    "snakemake --cores all\n": "here, as a dry run: it takes an hour",
    "snakemake --cores all --use-conda": "test_conda.py, on the tiny study",
    "snakemake --workflow-profile profiles/slurm": "test_slurm.py, on smaller studies",
    "pip install -e '.[test]' && pytest": "make test, of the continuous integration",
    "make test": "the continuous integration",
}


def test_every_block_of_commands_is_tried_somewhere():
    blocks = readers.blocks("sh")
    assert len(blocks) == len(TRIED)
    for block, beginning in zip(blocks, TRIED, strict=True):
        assert block.startswith(beginning)


def test_make_test_is_the_plain_form_in_an_environment_of_its_own():
    (plain,) = (block for block in readers.blocks("sh") if block.startswith("pip install -e '.[t"))
    alone = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("M")}
    printed = subprocess.run(
        ["make", "--dry-run", "test", "VENV=new", "OPTIONS="],
        cwd=ROOT,
        env=alone,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    made = [line.strip() for line in printed.splitlines() if "touch" not in line]
    *_, install, tests = (line.replace("new/bin/", "").replace("--quiet ", "") for line in made)
    assert f"{install} && {tests}" == plain.strip()


def test_make_says_first_that_it_cannot_work_where_a_path_has_a_blank(tmp_path):
    (directory := tmp_path / "a b").mkdir()
    shutil.copy(ROOT / "Makefile", directory)
    done = subprocess.run(
        ["make", "run"], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f'There is a blank in the path of this folder, "{directory}"' in done.stderr
    assert [path.name for path in directory.iterdir()] == ["Makefile"]


def jobs(printed, rule):
    return re.search(rf"^{rule} +(\d+)$", printed, re.MULTILINE)[1]


@pytest.mark.slow
def test_study_by_make_and_by_hand_and_the_network_on_jax(scratch):
    _, _, photographs, own, by_hand, paper, *_ = readers.blocks("sh")
    directory = readers.copy(scratch / "boxest")
    # Of fewer images and rates.
    quick = directory / "config" / "quick.yaml"
    text = quick.read_text("utf-8")
    for long, short in (("images: 2500", "images: 500"), ("[1.0e-3, 1.0e-2, ", "[")):
        assert long in text
        text = text.replace(long, short)
    quick.write_text(text, "utf-8")
    report = directory / "results" / "quick" / "report.html"
    readers.run("make run", directory, readers.environment(scratch / "nothing"))
    assert "fig8_final_losses" in report.read_text("utf-8")
    report.unlink()

    # The same study, in what make has installed: there is nothing to install or train.
    variables = readers.inside(directory / ".venv")
    assert "Nothing to be done" in readers.run(by_hand, directory, variables)
    assert "fig8_final_losses" in report.read_text("utf-8")
    # The runs of the grid, and ten of the best parametrization.
    assert jobs(readers.run(f"{paper.strip()} --dry-run", directory, variables), "train") == "250"
    planned = readers.run(f"{photographs.strip()} --dry-run", directory, variables)
    assert "train" in planned
    (directory / "my.yaml").write_text(readers.blocks("yaml")[0])
    assert jobs(readers.run(f"{own.strip()} --dry-run", directory, variables), "train") == "50"

    install = "pip install -e '.[jax]'"
    assert f"`{install}`" in readers.README
    assert "`KERAS_BACKEND=jax`" in readers.README
    readers.run(install, directory, variables)
    (code,) = readers.blocks("python")
    # Of few images and epochs: convolutions are slow on JAX without a GPU.
    for long, short in (("2000", "60"), ("180", "5"), ("epochs=10", "epochs=2")):
        assert long in code
        code = code.replace(long, short)
    (directory / "network.py").write_text(code + "\nprint(regressor.runtime_['backend'])")
    on_jax = variables | {"KERAS_BACKEND": "jax"}
    *_, score, backend = readers.run("python network.py", directory, on_jax).split()
    assert backend == "jax"
    assert 0 < float(score) < 1

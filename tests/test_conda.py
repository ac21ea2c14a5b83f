"""The environment of the rules: what it names, and the study with --use-conda in it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from studies import TINY, clone, made

import boxest
from boxest import BoxRegressor

ENVIRONMENT, ON_JAX = "workflow/envs/boxest.yml", "workflow/envs/jax.yml"
LAB = ROOT / "tests" / "lab" / "conda-lab.sh"
# Where a package is called otherwise by PyPI, or by its importers.
ON_PYPI = {"matplotlib-base": "matplotlib"}
MODULES = {
    "markdown-it-py": "markdown_it",
    "matplotlib-base": "matplotlib",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
}
# Snakemake requires them: what checks the configuration runs where it does.
SNAKEMAKE_S = {"jsonschema", "yaml"}
# The same without what a GPU needs: half a gigabyte less to download.
WITHOUT_GPU = {"tensorflow": "tensorflow-cpu"}
# At the head of each script: where did the job run, and where did its modules come from?
WITNESS = """
import atexit, json, os, sys
@atexit.register
def _():
    paths = {name: sys.modules[name].__file__ for name in %r if name in sys.modules}
    with open("witness.jsonl", "a") as file:
        record = [snakemake.rule, sys.prefix, os.environ.get("CONDA_PREFIX"), paths]
        print(json.dumps(record), file=file)
"""


def environment(file: str = ENVIRONMENT) -> dict[str, str]:
    """Return the bounds of an environment by name."""
    entries = yaml.safe_load((ROOT / file).read_text())["dependencies"]
    return dict(entry.split(maxsplit=1) for entry in entries)


# --- without conda ---------------------------------------------------------------------------


@pytest.mark.parametrize("file", [ENVIRONMENT, ON_JAX])
def test_environment_has_the_bounds_of_the_package(file):
    ours = {ON_PYPI.get(name, name): bound for name, bound in environment(file).items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = project["dependencies"] + project["optional-dependencies"]["jax"]
    theirs = dict(re.fullmatch(r"([\w-]+)(.*)", each).groups() for each in required)
    assert ours.pop("python").startswith(project["requires-python"])
    assert ours == {name: theirs[name] for name in ours}


@pytest.mark.parametrize(
    ("file", "sources", "optional"),
    [
        (
            ENVIRONMENT,
            ["boxest/**/*.py", "workflow/scripts/*.py"],
            SNAKEMAKE_S | {"click", "globox", "jax", "rich", "tensorboard"},
        ),
        # What trains does not read photographs; and TensorFlow is for where Keras runs on it.
        (
            ON_JAX,
            ["workflow/scripts/train.py"],
            SNAKEMAKE_S | {"globox", "PIL", "simplejpeg", "tensorflow"},
        ),
    ],
)
def test_environment_names_what_the_rules_import(file, sources, optional):
    imported = reached(path for source in sources for path in ROOT.glob(source))
    named = {MODULES.get(name, name) for name in environment(file)}
    assert imported - optional == named - {"python"}


def reached(sources: Iterable[Path]) -> set[str]:
    """Return the packages that are imported by scripts, and by the modules of ours they import."""
    found, seen, left = set(), set(), list(sources)
    while left:
        source = left.pop()
        seen.add(source)
        for name in imports(source):
            own = boxest._HOME.get(name.removeprefix("boxest."), name).replace(".", "/")
            files = {ROOT / f"{own}.py", ROOT / own / "__init__.py"}
            left += [file for file in files - seen if file.exists()]
            found.add(name.split(".")[0])
    return found - sys.stdlib_module_names - {"boxest"}


def imports(source: Path) -> Iterator[str]:
    """Return the names of modules that may be imported, and of what is taken from them."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_rule_with_a_script_names_the_environment():
    named = r'conda:\n +(?:"../envs/jax.yml" if job.together else )?ENVIRONMENT\n'
    for path in ROOT.glob("workflow/rules/*.smk"):
        text = path.read_text("utf-8")
        assert text.count("script:") == len(re.findall(named, text)), path


# --- with conda ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(scratch):
    """Make a conda and a channel with the newest packages that PyPI has; gigabytes of them."""
    names = ON_PYPI | WITHOUT_GPU
    packages = [names.get(name, name) for name in environment() if name != "python"]
    done = subprocess.run(
        [LAB, scratch / "lab", *packages],
        env=clean() | {"PYTHON": sys.executable, "HOME": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return scratch


def clean() -> dict[str, str]:
    """Return the environment of this process without what would lead out of conda's."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "CONDA", "VIRTUAL_ENV"))
    }


def snakemake(lab, repository, *arguments):
    """Run Snakemake as a user of conda does."""
    command = 'source "$0/lab/env.sh" && exec snakemake --cores 2 --use-conda "$@"'
    return subprocess.run(
        ["bash", "-c", command, lab, *arguments],
        cwd=repository,
        env=clean() | {"HOME": str(lab)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def repository(lab, tmp_path_factory):
    directory = clone(lab / tmp_path_factory.mktemp("clone").name)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.conda
@pytest.mark.slow
def test_study_runs_in_its_environment(lab, repository):
    modules = [MODULES.get(name, name) for name in environment() if name != "python"]
    scripts = list(repository.glob("workflow/scripts/*.py"))
    for script in scripts:
        script.write_text(WITNESS % modules + script.read_text("utf-8"), "utf-8")
    (repository / "fewer.yaml").write_text("grid: {batch_size: [16]}")
    fewer = (*TINY, "fewer.yaml")
    done = snakemake(lab, repository, *fewer)
    assert done.returncode == 0, done.stderr
    lines = (repository / "witness.jsonl").read_text().splitlines()
    # 3 shards, 3 cells, and a job for each of the other rules.
    assert len(lines) == 3 + 3 + 10
    seen = set()
    for rule, prefix, conda_prefix, paths in map(json.loads, lines):
        assert prefix == conda_prefix, rule
        assert Path(prefix).parent == repository / ".snakemake" / "conda", rule
        for name, path in paths.items():
            assert Path(path).is_relative_to(prefix), (rule, name, path)
        seen |= set(paths)
    assert seen == set(modules) - {"simplejpeg"}
    BoxRegressor.load(repository / "results/tiny/model.boxest")
    done = snakemake(lab, repository, *fewer, "--report", "report.html")
    assert done.returncode == 0, done.stderr
    assert "fig8_final_losses" in (repository / "report.html").read_text("utf-8")


@pytest.mark.conda
@pytest.mark.slow
def test_package_that_is_not_in_the_environment_is_not_found_elsewhere(lab, repository):
    (repository / ENVIRONMENT).write_text(
        "channels: [conda-forge]\ndependencies: [python >=3.11, h5py, pandas]\n"
    )
    done = snakemake(lab, repository, *TINY, "--until", "dataset_preview")
    assert done.returncode == 1
    assert "No module named 'matplotlib'" in done.stderr
    assert (repository / "results/tiny/data/test-000.h5").exists()
    assert not list(repository.glob("results/tiny/figures/*"))


@pytest.mark.conda
@pytest.mark.slow
def test_bound_that_nothing_meets_is_named_by_conda(lab, repository):
    text = (repository / ENVIRONMENT).read_text()
    (repository / ENVIRONMENT).write_text(re.sub("tqdm .*", "tqdm >=99", text))
    done = snakemake(lab, repository, *TINY)
    assert done.returncode == 1
    assert re.search(r"ResolvePackageNotFound|PackagesNotFoundError", done.stderr), done.stderr
    assert re.search(r"tqdm\[version='>=99'\]|tqdm >=99", done.stderr), done.stderr
    assert made(repository) == set()

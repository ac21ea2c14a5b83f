"""The package from outside: names, import time, examples."""

import doctest
import importlib.util
import pkgutil
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

import boxest


def test_import_is_instant_and_loads_no_backend(python):
    code = (
        "import sys\nbefore = len(sys.modules)\nimport boxest\nnew = len(sys.modules) - before\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'sklearn', 'numpy', 'pandas', 'matplotlib'}\n"
        "print(new < 40, sorted(heavy & set(sys.modules)))"
    )
    assert python(code) == "True []\n"


def test_estimator_is_made_without_a_backend(python):
    code = (
        "import sys\nfrom boxest import BoxRegressor\nrepr(BoxRegressor(epochs=1))\n"
        "print(sorted({'tensorflow', 'keras', 'jax'} & set(sys.modules)))"
    )
    assert python(code) == "[]\n"


@pytest.mark.parametrize("module", ["synthetic", "shards", "analysis", "figures"])
def test_modules_beside_training_need_no_keras(python, module):
    code = f"import sys\nfrom boxest import {module}\n"
    code += "print({'keras', 'tensorflow'} & set(sys.modules))"
    assert python(code) == "set()\n"


def test_what_the_snakefile_reads_is_plain_python(python):
    """The Snakefile imports it, and the environment that runs Snakemake need not hold numpy."""
    code = "import sys\nfrom boxest.study import configuration, outputs, run_table\n"
    code += "print(sorted({'numpy', 'pandas', 'keras'} & sys.modules.keys()))"
    assert python(code) == "[]\n"


def test_public_names_are_there():
    assert all(getattr(boxest, name) is not None for name in boxest.__all__)
    assert "BoxRegressor" in dir(boxest)
    with pytest.raises(AttributeError, match="no attribute 'BoxClassifier'"):
        boxest.BoxClassifier  # noqa: B018


def modules():
    import keras

    other = "jax" if keras.backend.backend() == "tensorflow" else "tensorflow"
    others = [f"boxest.training.backend.{other}"]
    if importlib.util.find_spec("jax") is None:
        others.append("boxest.training.stack")
    every = (module.name for module in pkgutil.walk_packages(boxest.__path__, "boxest."))
    return sorted(name for name in every if name not in others)


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "config/README.md",
        "benchmarks/README.md",
        *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))),
    ],
)
def test_links_within_the_project_lead_somewhere(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert missing == []
    assert links or page != "README.md"


def test_python_of_the_readme_runs(python):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)
    # Of few images and epochs.
    for long, short in (("0, 2000", "0, 300"), ("1800", "250"), ("1803", "253"), ("=10", "=2")):
        assert long in code
        code = code.replace(long, short)
    printed = python(code)
    assert 0 < float(printed.split()[-1]) < 1


def test_commit_is_of_this_repository_only(tmp_path):
    def commit(directory):
        code = "from boxest.system import versions; print(versions.commit())"
        return subprocess.run(
            [sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, check=True
        ).stdout.strip()

    def git(*arguments):
        identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
        command = ["git", "-C", tmp_path, *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    shutil.copytree(ROOT / "boxest", tmp_path / "boxest")
    git("init", "--quiet")
    assert commit(tmp_path) == "unknown"
    git("add", "boxest")
    git("commit", "--quiet", "--message", "all")
    head = git("rev-parse", "HEAD")
    assert commit(tmp_path) == head
    (tmp_path / "notes").write_text("of no effect")
    assert commit(tmp_path) == head
    (tmp_path / "boxest" / "boxes.py").write_text("")
    assert commit(tmp_path) == f"{head} with changes"


def test_tests_that_the_pages_name_are_there():
    named = 0
    for page in [*ROOT.glob("docs/*.md"), ROOT / "CONTRIBUTING.md"]:
        file = ""
        for name, test in re.findall(
            r"`(test_\w+\.py)?(?:::(test_\w+))?`", page.read_text("utf-8")
        ):
            file = name or file
            if not file:
                continue
            named += 1
            defined = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert not test or f"def {test}(" in defined, f"{page.name}: {file}::{test}"
    assert named > 100

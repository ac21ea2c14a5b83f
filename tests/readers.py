"""A reader of the README: a fresh copy, an environment of its own, the commands as written."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import ENVIRONMENT, ROOT
from studies import clone

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the blocks of the README in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def copy(directory: Path) -> Path:
    """Copy the repository, as a repository of git, in which the tests look up their files."""
    clone(directory)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=directory, check=True)
    return directory


def environment(directory: Path) -> dict[str, str]:
    """Make an environment that holds nothing but pip; return the variables of a shell in it."""
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    return inside(directory)


def inside(directory: Path) -> dict[str, str]:
    """Return the variables of a shell in an environment."""
    of_tests = ("PYTEST", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
    variables = {
        name: value for name, value in ENVIRONMENT.items() if not name.startswith(of_tests)
    }
    return variables | {"PATH": f"{directory / 'bin'}:{variables['PATH']}"}


def run(commands: str, directory: Path, variables: dict[str, str]) -> str:
    """Run commands in a shell; return what they printed."""
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=directory,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout

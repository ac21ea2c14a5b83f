"""The packages of boxest: which may import which, and how large their parts may grow."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import ROOT

import boxest

# What each package may import. `analysis` knows tables alone, wherever they come from, so that
# `study` may ask it for the rows that it writes.
ALLOWED = {
    "system": set(),
    "boxes": set(),
    "scorers": {"boxes"},
    "losses": {"boxes", "system"},
    "data": {"boxes", "system"},
    "training": {"data", "system"},
    "networks": {"system"},
    "estimator": {"boxes", "data", "losses", "networks", "scorers", "system", "training"},
    "analysis": {"boxes", "data"},
    "study": {"analysis", "boxes", "data", "estimator", "networks", "system"},
    "figures": {"analysis", "boxes", "data", "study", "system", "training"},
    "report": {"analysis", "figures", "study", "system"},
    "tasks": {"boxes", "data", "estimator", "figures", "system", "training"},
    "cli": {"data", "estimator", "report", "study", "system", "tasks"},
    "convert": {"cli"},
    "__main__": {"cli"},
}
# Lines beside docstrings, which grow with what there is to document.
MAX_LINES = 300
MAX_PARAMETERS = 8
# Beside constructors. What users call with keywords, where each option has its default.
WITH_MANY_OPTIONS = {
    "boxest.estimator.rates.find_learning_rate",
    "boxest.data.photographs.conversion.convert",
}


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted((ROOT / "boxest").rglob("*.py"))}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def home(name: str) -> str | None:
    """Return the module of ours that a dotted name lies in; None for `boxest` itself."""
    first, _, rest = name.removeprefix("boxest.").partition(".")
    if first in boxest._HOME:
        name = ".".join(filter(None, (boxest._HOME[first], rest)))
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return None if name == "boxest" else name


def imports(node: ast.AST, *, for_types: bool = True) -> Iterator[str]:
    """Yield the modules of ours that are imported anywhere below a node, in functions too."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
        return
    names = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "Imports are absolute here."
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    yield from filter(None, (home(name) for name in names if f"{name}.".startswith("boxest.")))
    for child in ast.iter_child_nodes(node):
        yield from imports(child, for_types=for_types)


def room(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("package", sorted({room(name) for name in MODULES if "." in name}))
def test_packages_import_what_lies_below_them(package):
    inside = [name for name in MODULES if "." in name and room(name) == package]
    wrong = [
        f"{name} imports {other}"
        for name in inside
        for other in imports(tree(name))
        if room(other) not in ALLOWED[package] | {package}
    ]
    assert wrong == []


def test_the_root_imports_only_what_registers_classes_with_keras():
    assert set(imports(tree("boxest"))) == {"boxest.system.registration"}


def test_there_is_no_cycle_between_packages_nor_between_modules():
    """Imports for annotations alone, which never run, may point back within a package."""
    TopologicalSorter(ALLOWED).prepare()
    graph = {name: set(imports(tree(name), for_types=False)) - {name} for name in MODULES}
    TopologicalSorter(graph).prepare()


def test_lazy_imports_are_seen():
    code = "def f():\n    if 1:\n        from boxest import shards, BoxRegressor\n"
    code += "        import boxest.boxes, numpy, boxester\n"
    assert list(imports(ast.parse(code))) == [
        "boxest.data.shards",
        "boxest.estimator.box_regressor",
        "boxest.boxes",
    ]
    code = "if TYPE_CHECKING:\n    from boxest.data.scene import Scene"
    assert list(imports(ast.parse(code), for_types=False)) == []


def test_only_data_opens_hdf5_files():
    found = {
        room(name)
        for name in MODULES
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Import) and "h5py" in [alias.name for alias in node.names]
    }
    assert found == {"data"}


def lines(module: str) -> int:
    """Count the lines of a module that are no docstrings."""
    n = len(MODULES[module].read_text("utf-8").splitlines())
    for node in ast.walk(tree(module)):
        documented = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        if documented and ast.get_docstring(node) is not None:
            n -= node.body[0].end_lineno - node.body[0].lineno + 1
    return n


def test_modules_are_short():
    assert {name: lines(name) for name in MODULES if lines(name) > MAX_LINES} == {}


def test_functions_have_few_parameters():
    found = {}
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                n = sum(argument.arg not in ("self", "cls") for argument in arguments)
                if n > MAX_PARAMETERS and f"{module}.{node.name}" not in WITH_MANY_OPTIONS:
                    found[f"{module}.{node.name}"] = n
    assert found == {}

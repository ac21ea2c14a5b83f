"""What the site has beside its pages: contents, API reference, a list of links that lead out."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boxest

ROOT = Path(__file__).parent.parent.parent
REFERENCE = "docs/reference"
EXPLORER = """
<p><a href="../explorer.html">Play with the paper's study</a>: its 240 runs in the explorer, a page
in which you choose cells, compare their curves, and watch the boxes settle.</p>
"""

# Title and pages of each part of the table of contents.
CONTENTS = {
    "Start": ["../README", "study", "notebooks/what-two-knobs-do", "notebooks/find-your-object"],
    "How to": ["guide", "photographs", "../config/README", "networks", "many", "cluster"],
    "Look up": ["api", "configuration", "keras", "glossary", "../CHANGELOG"],
    "What was measured": [
        "findings",
        "../results/reference/README",
        "speed",
        "reliability",
        "peers",
        "../benchmarks/README",
    ],
    "The project": ["../CONTRIBUTING", "../SECURITY", "../CODE_OF_CONDUCT"],
}


def public_names() -> dict[str, Any]:
    """Return the public names of boxest with what they stand for, in alphabetical order."""
    names = sorted(set(boxest.__all__) - {"__version__"}, key=str.lower)
    return {name: getattr(boxest, name) for name in names}


def members(module: ModuleType) -> dict[str, Any]:
    """Return the public functions, classes and constants of a module by name."""
    if hasattr(module, "__all__"):
        return {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
    }


def summary(value: Any) -> str:
    """Return the first line of a docstring."""
    return inspect.getdoc(value).splitlines()[0]


def write_reference(root: Path) -> None:
    """Write a page for each public name, for Sphinx to fill from the docstrings."""
    directory = root / REFERENCE
    directory.mkdir(exist_ok=True)
    for old in directory.glob("*.rst"):
        old.unlink()
    for name, value in public_names().items():
        text = "\n".join(_page(name, value)) + "\n"
        (directory / f"{name}.rst").write_text(text, encoding="utf-8")


def _page(name: str, value: Any) -> Iterator[str]:
    title = f"boxest.{name}"
    yield from (title, "=" * len(title), "")
    if not inspect.ismodule(value):
        yield from _described(title, value)
        return
    yield from (f".. automodule:: {value.__name__}", "")
    for member, one in members(value).items():
        yield from _described(f"{value.__name__}.{member}", one)


def _described(name: str, value: Any) -> Iterator[str]:
    """Return the lines that have Sphinx describe an object."""
    if inspect.isclass(value):
        yield f".. autoclass:: {name}"
        # What a class has from other packages is described by them.
        others = {base.__name__ for base in value.__mro__ if not _ours(base)}
        yield from ("   :members:", f"   :inherited-members: {', '.join(sorted(others))}")
        # scikit-learn adds them to every estimator; its own pages describe them.
        yield f"   :exclude-members: {', '.join(n for n in dir(value) if _REQUEST.match(n))}"
    elif callable(value):
        yield f".. autofunction:: {name}"
    else:
        yield from (f".. autodata:: {name}", "   :no-value:")
    yield ""


_REQUEST = re.compile("set_.*_request$")


def _ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "boxest"


def add_contents(app: Any, page: str, source: list[str]) -> None:
    """Add the table of contents to the first page, and the list of names to the API reference."""
    if page == app.config.root_doc:
        source[0] += EXPLORER
        for title, pages in CONTENTS.items():
            source[0] += _toctree(pages, f":caption: {title}", ":hidden:")
    if page == "docs/api":
        rows = [
            f"| [`{name}`](reference/{name}.rst) | {summary(value)} |"
            for name, value in public_names().items()
        ]
        source[0] += "\n".join(["", "| name | what it is |", "| --- | --- |", *rows, ""])
        source[0] += _toctree([f"reference/{name}" for name in public_names()], ":hidden:")


def _toctree(pages: list[str], *options: str) -> str:
    return "\n".join(["\n```{toctree}", *options, *pages, "```\n"])


def collect_links(app: Any, doctree: Any, page: str) -> None:
    """Note the links of a page that lead out of the site, which the build cannot check."""
    from docutils import nodes

    links = app.env.__dict__.setdefault("boxest_links", set())
    for node in doctree.findall(nodes.reference):
        if node.get("refuri", "").startswith(("http:", "https:")):
            links.add((node["refuri"], page))


def write_links(app: Any, exception: Exception | None) -> None:
    """Write the list of links that lead out of the site, each with its page."""
    if exception is None:
        lines = [f"{link} {page}\n" for link, page in sorted(app.env.boxest_links)]
        (Path(app.outdir) / "external-links.txt").write_text("".join(lines), encoding="utf-8")


def write_explorer(app: Any, exception: Exception | None) -> None:
    """Write the explorer of the paper's study from the committed histories and boxes."""
    if exception is None:
        import numpy as np
        import pandas as pd

        from boxest import synthetic
        from boxest.report import explorer

        study, axes = ROOT / "results" / "reference" / "paper", ["batch_size", "learning_rate"]
        histories = pd.read_csv(study / "tables" / "histories.csv")
        every = np.load(study / "followed.npz")["boxes"]
        runs = histories.groupby([*axes, "seed"]).indices
        pictures, boxes = synthetic.make(8000, 8000 + every.shape[1], seed=0)
        explorer.write(
            Path(app.outdir) / "explorer.html",
            histories,
            axes=axes,
            title="The paper's study, to play with",
            pictures=pictures,
            boxes=boxes,
            followed={run: every[rows] for run, rows in runs.items()},
        )

"""The documentation as a site: what is made for it, and that it is built without a warning."""

import re
import subprocess
import sys

import configuration
import nbformat
import notebooks
import numpy as np
import pages
import pandas as pd
import pytest
import settling
from conftest import ROOT
from PIL import Image

import boxest
from boxest import shards, synthetic

NAMES = sorted(set(boxest.__all__) - {"__version__"})
NOTEBOOKS = sorted(notebooks.NOTEBOOKS.glob("*.ipynb"))


def test_reference_of_the_configuration_is_that_of_the_schema():
    assert configuration.PAGE.read_text("utf-8") == configuration.page(), "run make docs"


def test_every_key_is_explained_by_a_whole_sentence():
    """A comma ends a text without quotes within braces, and the rest is lost."""
    rows = re.findall(r"^\| (`.+`) \| (.*?) \*.*\*; .* \|$", configuration.page(), re.MULTILINE)
    assert len(rows) > 80
    assert [key for key, meaning in rows if not meaning.endswith(".")] == []


def test_kinds_of_values_are_said_in_words():
    schema = {"$defs": {"side": {"type": "integer", "minimum": 8}}}
    kinds = {
        "whole number from 8": {"$ref": "#/$defs/side"},
        "number above 0 below 0.5, or `auto`": {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
                {"enum": ["auto"]},
            ]
        },
        "list of 2 values, each whole number from 8": {
            "type": "array",
            "items": {"$ref": "#/$defs/side"},
            "minItems": 2,
            "maxItems": 2,
        },
        "whole number to 1,000 or `null`": {"type": ["integer", "null"], "maximum": 1000},
    }
    assert {words: configuration._kind(schema, part) for words, part in kinds.items()} == {
        words: words for words in kinds
    }


def test_every_public_name_has_a_page_of_the_reference(tmp_path):
    (tmp_path / "docs").mkdir()
    pages.write_reference(tmp_path)
    written = {path.stem: path.read_text() for path in (tmp_path / pages.REFERENCE).iterdir()}
    assert sorted(written) == NAMES
    assert "autoclass:: boxest.BoxRegressor\n   :members:" in written["BoxRegressor"]
    assert "autofunction:: boxest.boxes.giou" in written["boxes"]
    unexplained = [
        f"{module}.{name}"
        for module in NAMES
        for name, value in pages.members(getattr(boxest, module)).items()
        if callable(value) and not value.__doc__
    ]
    assert unexplained == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_the_output_of_all_its_cells_in_order(path):
    code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert sum(len(cell.outputs) > 0 for cell in code) > 5
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert path.stat().st_size < 1e6


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path):
    code = [cell for cell in notebooks.run(path).cells if cell.cell_type == "code"]
    kept = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [len(cell.outputs) for cell in code] == [len(cell.outputs) for cell in kept]


def test_boxes_settle_in_a_picture_of_a_frame_per_epoch(tmp_path, monkeypatch):
    images, true = synthetic.make(0, 12, seed=0, image_size=16)
    meta = shards.Meta("validation", 0, 12, 0, 16, synthetic.BoxLaw(max_side=16))
    (tmp_path / "data").mkdir()
    shards.write(tmp_path / "data" / "validation-000.h5", images, true, meta)
    rows = []
    for i, (size, rate) in enumerate(settling.CELLS.values()):
        run = f"runs/batch_size~{size}/learning_rate~{rate}/seed~0"
        (tmp_path / run).mkdir(parents=True)
        # One stops after two epochs; the first one is exact at the end.
        followed = np.stack([true + shift for shift in (0.5, 0.25, 0)][: 3 if i < 3 else 2])
        np.save(tmp_path / run / "followed.npy", followed)
        row = {"batch_size": size, "learning_rate": rate, "seed": 0, "run": f"elsewhere/{run}"}
        rows.append(row)
    (tmp_path / "tables").mkdir()
    pd.DataFrame(rows).to_csv(tmp_path / "tables" / "runs.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["settling", str(tmp_path), "--out", str(tmp_path / "a.gif")])
    settling.main()
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 3
        assert picture.width == len(settling.CELLS) * (2 * settling.SIDE + 4 * settling.GAP)
    assert settling.run_of(pd.DataFrame(rows), (16, 0.1))["run"].endswith(
        "learning_rate~0.1/seed~0"
    )
    with pytest.raises(SystemExit, match=r"no run of batch size 8 and learning rate 0\.1"):
        settling.run_of(pd.DataFrame(rows), (8, 0.1))


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_page_says_first_whom_it_is_for(page):
    assert re.match(r"# .+\n\nFor (everybody|readers|users|whoever) ", page.read_text("utf-8"))


@pytest.mark.slow
def test_site_is_built_without_a_warning(tmp_path):
    command = ["sphinx", "-q", "--fail-on-warning", "--keep-going", "-c", "docs/site", "."]
    done = subprocess.run(
        [sys.executable, "-m", *command, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reference = {path.stem: path.read_text() for path in tmp_path.glob("docs/reference/*.html")}
    assert sorted(reference) == NAMES
    assert 'id="boxest.BoxRegressor.predict"' in reference["BoxRegressor"]
    assert "set_fit_request" not in reference["BoxRegressor"]
    assert "docs/README.html" in (tmp_path / "index.html").read_text()
    assert 1e6 < (tmp_path / "explorer.html").stat().st_size < 6e6
    assert (tmp_path / "docs" / "notebooks" / "what-two-knobs-do.html").exists()
    leading_out = (tmp_path / "external-links.txt").read_text().splitlines()
    assert all(re.fullmatch(r"https?://\S+ \S+", line) for line in leading_out)

"""The documentation as a site: what is made for it, and that it is built without a warning."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

import boxest

sys.path.insert(0, str(ROOT / "docs" / "site"))

import configuration
import pages

NAMES = sorted(set(boxest.__all__) - {"__version__"})


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
    leading_out = (tmp_path / "external-links.txt").read_text().splitlines()
    assert all(re.fullmatch(r"https?://\S+ \S+", line) for line in leading_out)

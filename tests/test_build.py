"""Wheel and source archive, as a release makes them, and the wheel as a new user takes it."""

import re
import zipfile

import pytest
import readers


@pytest.mark.slow
def test_the_wheel_is_made_checked_installed_and_tried(scratch):
    directory = readers.copy(scratch / "boxest")
    printed = readers.run("make build", directory, readers.environment(scratch / "environment"))
    assert printed.count("PASSED") == 2
    # Of `boxest new`, with few runs: what is in the wheel runs a study, and a training.
    assert re.search(r"2 runs: 2 done\b", printed)
    assert re.search(r"Mean IoU on 20 test images: 0\.\d+", printed)
    (wheel,) = (directory / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"boxest/py.typed", "boxest/workflow/Snakefile"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "workflow/"))]

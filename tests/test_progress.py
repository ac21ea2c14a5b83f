import sys

import pytest

from boxest import BoxRegressor, synthetic
from boxest.training import progress


@pytest.fixture(scope="module")
def data():
    """60 images of 16 px with their boxes."""
    return synthetic.make(0, 60, seed=0, image_size=16)


def fit(data, **parameters):
    BoxRegressor.paper(epochs=2, random_state=0, xla=False, **parameters).fit(*data)


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_line_per_epoch_in_a_log(data, capfd, verbose):
    fit(data, verbose=verbose)
    out, err = capfd.readouterr()
    first, second = out.splitlines()
    assert first.split()[:2] == ["epoch", "1"]
    assert second.startswith("epoch   2  learning rate 0.1  train loss 0.")
    assert err == ""


def test_silent_without_verbose(data, capfd):
    fit(data)
    assert capfd.readouterr() == ("", "")


def test_one_bar_in_a_terminal(data, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    fit(data, verbose=1)
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    last = out.strip().split("\r")[-1]
    assert last.startswith("2/2 epochs")
    for part in ("train loss 0.", "validation loss 0.", "1 - IoU 0.", "learning rate 0.1", "left"):
        assert part in last
    assert err == ""


def test_lines_in_a_terminal_when_asked_for(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert isinstance(progress.reporter(2, 3), progress.Lines)


def test_a_bar_in_a_notebook(monkeypatch):
    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    assert isinstance(progress.reporter(1, 3), progress.Bar)
    assert issubclass(progress._notebook_bar(), progress._terminal_bar())

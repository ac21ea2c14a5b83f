"""Every snippet of the user guide."""

import re
from pathlib import Path

import numpy as np
import pytest

GUIDE = Path(__file__).parent.parent / "docs" / "guide.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
ALONE = [snippet for snippet in SNIPPETS if snippet.startswith("# in a new process")]


@pytest.mark.slow
def test_snippets_run_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    snippets = [snippet for snippet in SNIPPETS if snippet not in ALONE]
    assert len(snippets) >= 15
    for snippet in snippets:
        exec(compile(snippet, str(GUIDE), "exec"), namespace)
    assert 0 < namespace["regressor"].score(namespace["X_test"], namespace["y_test"]) < 1
    assert namespace["from_shards"].n_iter_ == 3
    assert namespace["shards"].read("hard.h5").meta.scene == namespace["scene"]
    assert "epoch   4" in capsys.readouterr().out
    kernels, statistics = zip(
        *(backbone(namespace[name]) for name in ("head", "tuned")), strict=True
    )
    assert not np.array_equal(*kernels)
    assert np.array_equal(*statistics)


def backbone(regressor):
    """Return the kernels of the pretrained part of a network, and what it normalises with."""
    weights = {v.path: np.ravel(v) for v in regressor.model_.get_layer("backbone").weights}
    return [
        np.concatenate([values for path, values in weights.items() if kind in path])
        for kind in ("kernel", "moving")
    ]


@pytest.mark.slow
@pytest.mark.jax
def test_snippets_of_their_own_process(python):
    pytest.importorskip("jax")
    assert [python(snippet) for snippet in ALONE] == ["jax\n"]

import pytest

from boxest import scorers

TRUE = [[0, 0, 0.5, 1], [0, 0, 1, 1]]
PREDICTED = [[0, 0, 0.5, 1], [0, 0, 0.5, 1]]


def test_a_toy_case():
    assert scorers.mean_iou(TRUE, PREDICTED) == 0.75
    assert scorers.mean_iou(TRUE, PREDICTED, sample_weight=[3, 1]) == 0.875
    shares = [scorers.share_above(TRUE, PREDICTED, threshold=t) for t in (0.5, 0.51, 1)]
    assert shares == [1.0, 0.5, 0.5]
    assert scorers.share_above(TRUE, PREDICTED, threshold=0.6, sample_weight=[1, 3]) == 0.25


def test_true_boxes_are_checked():
    with pytest.raises(ValueError, match="flipped"):
        scorers.mean_iou([[0.5, 0, 0, 1]], [[0, 0, 1, 1]])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[2, 1\]"):
        scorers.mean_iou(TRUE, PREDICTED[:1])

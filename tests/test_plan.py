import pytest

from boxest import plan

CONFIG = {
    "data": {
        "images": 10_000,
        "image_size": 128,
        "split": [0.8, 0.1, 0.1],
        "shard_size": 2000,
        "box_law": {"name": "sides_uniform", "min_side": 5, "max_side": 128},
    },
    "grid": {"batch_size": [4, 16], "learning_rate": [0.1]},
    "best": {"batch_size": 16, "learning_rate": 0.1},
}


def changed(section="data", **values):
    return CONFIG | {section: CONFIG[section] | values}


def test_paper_has_8000_1000_1000_images():
    assert {name: len(part) for name, part in plan.splits(10_000).items()} == {
        "train": 8000,
        "validation": 1000,
        "test": 1000,
    }


def test_splits_cover_every_index_once():
    parts = plan.splits(1001, (0.5, 0.3, 0.2))
    assert [i for part in parts.values() for i in part] == list(range(1001))


def test_shards_cover_every_index_once_and_keep_to_their_split():
    ranges = plan.shard_ranges(CONFIG["data"] | {"images": 1003, "shard_size": 100})
    assert [i for r in ranges.values() for i in range(r.start, r.stop)] == list(range(1003))
    parts = plan.splits(1003)
    assert all(r.start in parts[r.split] and r.stop - 1 in parts[r.split] for r in ranges.values())


def test_paper_has_six_shards():
    assert list(plan.shard_ranges(CONFIG["data"])) == [
        *(f"train-00{i}" for i in range(4)),
        "validation-000",
        "test-000",
    ]


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.1, 0.2), (0.8, 0.2), (1.2, -0.1, -0.1), (0.9, 0.1, 0.0)]
)
def test_fractions_that_do_not_divide_are_refused(fractions):
    with pytest.raises(ValueError, match="sum to 1; got"):
        plan.splits(100, fractions)


def test_empty_part_is_refused():
    with pytest.raises(ValueError, match="4 images leave none for validation and test"):
        plan.splits(4, (0.98, 0.01, 0.01))


def test_good_config_passes():
    plan.check(CONFIG)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"image_size": 64}, "min_side <= max_side <= data.image_size; got 5, 128 and 64"),
        ({"box_law": {"min_side": 9, "max_side": 8}}, "got 9, 8 and 128"),
        ({"image_size": 2000}, "shard_size=2000 images of 2000×2000 px are more than 2147483648"),
        ({"section": "grid", "batch_size": [16.0]}, r"whole number, got 16.0; write 16\."),
        ({"section": "grid", "learning_rate": [float("inf")]}, "finite number above 0, got inf"),
        ({"section": "best", "learning_rate": float("nan")}, "finite number above 0, got nan"),
        ({"split": [0.5, 0.5, 0.5]}, r"data.split: .* sum to 1; got \[0.5, 0.5, 0.5\]"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        plan.check(changed(**data))


@pytest.mark.parametrize(("n_seeds", "per_job", "sizes"), [(10, 1, [1] * 10), (10, 4, [4, 4, 2])])
def test_every_seed_is_in_one_job(n_seeds, per_job, sizes):
    blocks = plan.seed_blocks(n_seeds, per_job)
    assert [seed for block in blocks for seed in block] == list(range(n_seeds))
    assert [len(block) for block in blocks] == sizes

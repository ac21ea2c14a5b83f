import math

import pytest

from boxest import conditions, plan, shards, synthetic

CONFIG = {
    "data": {
        "images": 10_000,
        "seed": 0,
        "image_size": 128,
        "split": [0.8, 0.1, 0.1],
        "shard_size": 2000,
        "box_law": {"name": "sides_uniform", "min_side": 5, "max_side": 128},
    },
    "network": {"name": "paper", "output_activation": "tanh"},
    "training": {"fan_out": "run", "runs_per_job": 1, "engine": "compiled", "epochs": 30},
    "grid": {"batch_size": [4, 16], "learning_rate": [0.1], "seeds": 10},
    "best": {"batch_size": 16, "learning_rate": 0.1, "plateau_factor": 0.5, "seeds": 10},
    "variants": {"cells": [[16, 0.1]]},
    "architectures": {
        "network": ["paper"],
        "loss": ["giou", "iou"],
        "optimizer": ["sgd"],
        "learning_rate": {"sgd": 0.1},
        "learning_rate_of": {},
        "conditions": {"small": {"image_size": 64, "box_law": {"max_side": 64}}, "clean": {}},
        "seeds": 2,
    },
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
        (
            {"section": "grid", "batch_size": [16.0]},
            r"grid.batch_size takes whole numbers, got 16.0; write 16\.",
        ),
        ({"section": "training", "epochs": 30.0}, "training.epochs takes whole numbers, got 30.0"),
        ({"section": "best", "plateau_factor": float("nan")}, "best.plateau_factor takes finite"),
        ({"images": 100.0}, "data.images takes whole numbers, got 100.0; write 100"),
        ({"box_law": {"min_side": 5.0, "max_side": 8}}, "data.box_law.min_side takes whole"),
        ({"split": [float("nan"), 0.5, 0.5]}, "data.split takes finite numbers, got nan"),
        ({"images": 10**6, "shard_size": 1}, "are 1000000 files, and more than 10000 are not"),
        ({"section": "grid", "seeds": 10**9}, "are 2000000010 runs, and more than 100000 are not"),
        (
            {"section": "grid", "learning_rate": [float("inf")]},
            "grid.learning_rate takes finite numbers, got inf",
        ),
        (
            {"section": "best", "learning_rate": float("nan")},
            "best.learning_rate takes finite numbers, got nan",
        ),
        (
            {"section": "training", "fan_out": "batch_size", "runs_per_job": 2},
            "all runs of a batch size at once; it needs training.runs_per_job: 1, got 2",
        ),
        (
            {"section": "training", "fan_out": "batch_size", "engine": "keras"},
            "needs training.engine: compiled, got 'keras'",
        ),
        (
            {"section": "architectures", "optimizer": ["sgd", "adam"]},
            "architectures.optimizer has 'adam', and there is no rate for it: write "
            "architectures.learning_rate: {adam: 0.01}",
        ),
        (
            {"section": "architectures", "learning_rate_of": {"paper": {"sgd": float("nan")}}},
            "architectures.learning_rate_of.paper.sgd takes finite numbers, got nan",
        ),
        (
            {"section": "architectures", "conditions": {"small": {"image_size": 64}}},
            r"config: architectures.conditions.small.box_law needs .* got 5, 128 and 64",
        ),
        (
            {"section": "architectures", "conditions": {"few": {"images": 4}}},
            "config: architectures.conditions.few.images and .* leave none for test ",
        ),
        (
            {"section": "architectures", "conditions": {"few": {"images": 100.0}}},
            "architectures.conditions.few.images takes whole numbers, got 100.0; write 100",
        ),
        (
            {"section": "architectures", "seeds": 10**9},
            "architectures are 4000000000 runs, and more than 100000 are not planned",
        ),
        (
            {"section": "network", "name": "roi", "output_activation": "sigmoid"},
            "network.output_activation must be linear for the network roi; got 'sigmoid'",
        ),
        (
            {"section": "architectures", "network": ["paper", "profile"]},
            "output_activation must be linear for the network profile; got 'tanh'",
        ),
        ({"split": [0.5, 0.5, 0.5]}, r"data.split: .* sum to 1; got \[0.5, 0.5, 0.5\]"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        plan.check(changed(**data))


def test_condition_changes_what_it_names_and_nothing_else():
    data = conditions.data(CONFIG, "small")
    assert data["box_law"] == {"name": "sides_uniform", "min_side": 5, "max_side": 64}
    assert data == CONFIG["data"] | {"image_size": 64, "box_law": data["box_law"]}
    assert conditions.data(CONFIG, "clean") == conditions.data(CONFIG) == CONFIG["data"]
    assert CONFIG["data"]["box_law"]["max_side"] == 128


def test_combinations_are_all_of_them_the_unchanged_data_first():
    combinations = conditions.combinations(CONFIG["architectures"])
    assert [(one["condition"], one["loss"]) for one in combinations] == [
        ("clean", "giou"),
        ("clean", "iou"),
        ("small", "giou"),
        ("small", "iou"),
    ]


def test_an_optimizer_may_have_a_rate_for_one_network_alone():
    rates = {"optimizer": ["adam"], "learning_rate_of": {"paper": {"adam": 0.003}}}
    config = changed("architectures", **rates)
    plan.check(config)
    assert conditions.learning_rate(config["architectures"], "paper", "adam") == 0.003
    assert conditions.learning_rate(config["architectures"], "paper", "sgd") == 0.1


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        ({"noise": 2.0}, r"config: data.scene: noise must be a number in 0\.\.1; got 2"),
        ({"discs": 1.0}, "data.scene.discs takes whole numbers, got 1.0; write 1"),
        ({"noise": math.nan}, "data.scene.noise takes finite numbers, got nan"),
        (
            {"object_level": [0.0, 0.1]},
            "data.scene: A background level of 0 leaves no object_level",
        ),
        ({"texture": 0.1, "texture_scale": 17}, r"data.scene: texture_scale \(17 px\) is greater"),
        ({"nois": 1}, "data.scene: A scene has no 'nois'"),
    ],
)
def test_scenes_that_make_no_sense_are_refused(scene, message):
    with pytest.raises(ValueError, match=message):
        plan.check(changed(scene=scene))


def test_a_scene_is_expected_of_shards_and_told_of():
    noisy = CONFIG["data"] | {"scene": {"noise": 0.2, "discs": 0}}
    assert plan.scene(noisy).options() == {"noise": 0.2}
    assert plan.expected(noisy, "test")["scene"] == '{"noise": 0.2}'
    assert "scene" not in plan.expected(CONFIG["data"], "test")
    assert "scene" not in plan.expected(CONFIG["data"] | {"scene": {"noise": 0}}, "test")
    plan.check(changed(scene={"noise": 1, "object_level": [1, 1]}))

    training = CONFIG["training"] | {"loss": "inclusive_iou"}
    config = CONFIG | {"data": noisy, "training": training}
    assert "scene noise 0.2" in plan.differences(config)
    assert plan.differences(config).endswith("scene clean")


def test_runs_have_jobs_of_their_own_unless_jobs_have_several():
    training = CONFIG["training"]
    assert plan.has_a_job_per_run(training)
    assert not plan.has_a_job_per_run(training | {"runs_per_job": 2})
    assert not plan.has_a_job_per_run(training | {"fan_out": "batch_size"})


def test_expected_is_what_the_shards_of_a_study_say(tmp_path):
    data = CONFIG["data"] | {"images": 30, "image_size": 16, "shard_size": 7}
    data["box_law"] = data["box_law"] | {"max_side": 16}
    law, paths = synthetic.BoxLaw(**data["box_law"]), []
    for name, (split, start, stop) in plan.shard_ranges(data).items():
        content = synthetic.make(start, stop, seed=0, image_size=16, law=law)
        paths.append(tmp_path / f"{name}.h5")
        shards.write(paths[-1], *content, shards.Meta(split, start, stop, 0, 16, law))
    images, _ = shards.load(paths[:4], plan.expected(data, "train"))
    assert len(images) == 24
    for other in ({"seed": 31}, {"images": 31}, {"scene": {"noise": 0.1}}):
        with pytest.raises(shards.ShardError, match="is a shard of another study"):
            shards.load(paths[:4], plan.expected(data | other, "train"))


@pytest.mark.parametrize(("n_seeds", "per_job", "sizes"), [(10, 1, [1] * 10), (10, 4, [4, 4, 2])])
def test_every_seed_is_in_one_job(n_seeds, per_job, sizes):
    blocks = plan.seed_blocks(n_seeds, per_job)
    assert [seed for block in blocks for seed in block] == list(range(n_seeds))
    assert [len(block) for block in blocks] == sizes

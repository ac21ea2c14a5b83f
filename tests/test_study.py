"""The configuration of a study, its table of runs, its jobs, and what it makes."""

import contextlib
import math
import re

import pytest
import yaml
from conftest import ROOT

from boxest import BoxRegressor, shards, synthetic
from boxest.data import splits
from boxest.networks import NETWORKS
from boxest.report import captions
from boxest.study import configuration, data, deviations, estimators, outputs, run_table

SCHEMA = configuration.Schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")
CONDITIONS = {"data": {"conditions": {"clean": {}, "noisy": {"scene": {"noise": 0.2}}}}}
SMALL = {"grid": {"batch_size": [16, 64], "learning_rate": [0.1], "seeds": 2}}


def read(overlay=None, **keys):
    return configuration.read(data.merged(SMALL, (overlay or {}) | keys), SCHEMA)


def paths(config):
    return [run.path for run in run_table.runs(config)]


# --- the schema ------------------------------------------------------------------------------


def test_the_papers_study_is_what_the_schema_has_by_default():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    defaults = configuration.read({}, SCHEMA)
    assert configuration.read(config, SCHEMA) | {"best": None} == defaults
    assert config.keys() == defaults.keys()
    assert all(config[name].keys() == defaults[name].keys() for name in ("data", "settings"))


def test_every_parameter_that_changes_a_result_can_be_an_axis():
    others = {"callbacks", "checkpoint", "image_shape", "random_state", "validation_fraction"}
    others |= {"verbose", "warm_start"}
    assert set(BoxRegressor().get_params()) - others == set(SCHEMA.parameters)


def test_every_key_has_a_description():
    def check(schema):
        for part in schema["properties"].values():
            part = SCHEMA.resolved(part)
            if "properties" in part and part.get("additionalProperties") is False:
                check(part)
            else:
                assert part["description"].endswith((".", ")")), part

    check(SCHEMA.root)


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ({"settings": {"epochs": "2"}}, ("settings", "epochs", 2)),
        ({"settings": {"stop_patience": "null"}}, ("settings", "stop_patience", None)),
        ({"settings": {"xla": "false"}}, ("settings", "xla", False)),
        ({"settings": {"learning_rate": "1e-3"}}, ("settings", "learning_rate", 1e-3)),
        ({"grid": {"learning_rate": "[1e-3, 1]"}}, ("grid", "learning_rate", [1e-3, 1.0])),
        ({"grid": {"batch_size": "4"}}, ("grid", "batch_size", [4])),
        ({"data": {"split": ["0.5", "0.25", "0.25"]}}, ("data", "split", [0.5, 0.25, 0.25])),
        ({"execution": {"share_compiled_programs": "false"}},
         ("execution", "share_compiled_programs", False)),
    ],
)  # fmt: skip
def test_text_of_the_command_line_is_read_as_what_the_schema_asks_for(given, read_as):
    section, key, value = read_as
    assert read(given)[section][key] == value


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("images: 10", "config: unknown key 'images'"),
        ("grids: {batch_size: [4]}", "unknown key 'grids'; did you mean grid?"),
        ("settings: {epoch: 2}", "config: settings: unknown key 'epoch'; did you mean epochs?"),
        ("grid: {batchsize: [4]}",
         "grid: 'batchsize' is not a parameter of BoxRegressor .*; did you mean batch_size?"),
        ("grid: {batch_size: [0]}", "grid.batch_size: 0 is less than the minimum of 1"),
        ("grid: {batch_size: [16.0]}", "grid.batch_size: 16.0 is not of type 'integer'"),
        ("grid: {batch_size: []}", "grid.batch_size has no value: set at least one, or null"),
        ("grid: {learning_rate: [.nan]}", r"grid.learning_rate: nan is not one of \['auto'\]"),
        ("grid: {learning_rate: [1, 1.0]}", "learning_rate~1.0 is there twice"),
        ("grid: {loss: [dice]}", r"grid.loss: 'dice' is not one of \['inclusive_iou'"),
        ("grid: {optimizer: [sgdd]}", r"grid.optimizer: 'sgdd' is not one of \['sgd'"),
        ("grid: {seeds: 1000000}", "grid.seeds: 1000000 is greater than the maximum"),
        ("grid: {batch_size: [1, 2, 3], seeds: 50000}", "more than 100000 runs"),
        ("grid: {condition: [dark]}", "no condition 'dark' in data.conditions, which is empty"),
        ("grid: {both: [{batch_size: 4}]}", "grid.batch_size sets|sets batch_size, and so does"),
        ("settings: {epochs: 1.5}", "settings.epochs: 1.5 is not of type 'integer'"),
        ("settings: {network: vgg}", r"settings.network: 'vgg' is not one of \['auto'"),
        ("settings: {network: profile, output_activation: tanh}",
         "output_activation must be linear for the network profile; got 'tanh'"),
        ("best: {learningrate: 0.1}", "best: 'learningrate' is not a parameter"),
        ("runs: [{epochs: 0}]", "runs.0.epochs: 0 is less than the minimum of 1"),
        ("runs: [{batch_size: 16, learning_rate: 0.1}]", "learning_rate~0.1 is there twice"),
        ("runs: none.csv", "runs: there is no file 'none.csv' in the folder of the configuration"),
        ("results: /", "results: '/' does not match"),
        ("results: a/../b", "results: 'a/../b' does not match"),
        ("data: {image_size: 64}", "max_side <= image_size; got 5, 128 and 64"),
        ("data: {image_size: 7}", "data.image_size: 7 is less than the minimum of 8"),
        ("data: {images: 100.0}", "data.images: 100.0 is not of type 'integer'"),
        ("data: {split: [0.5, 0.5, 0.5]}", r"data.split: .* sum to 1; got \[0.5, 0.5, 0.5\]"),
        ("data: {split: [0.98, 0.01, 0.01], images: 4}", "none is left for validation and test"),
        ("data: {image_size: 2000, shard_size: 2000}", "Make shard_size smaller"),
        ("data: {images: 1000000, shard_size: 1}", "need 1000000 files, but at most 10000"),
        ("data: {scene: {noise: 2.0}}", "data.scene.noise: 2.0 is greater than the maximum of 1"),
        ("data: {scene: {nois: 0.1}}", "unknown key 'nois'; did you mean noise?"),
        ("data: {scene: {object_level: [0.0, 0.1]}}", "background level of 0 leaves no object_l"),
        ("data: {conditions: {small: {image_size: 64}}}",
         "data.conditions.small.box_law needs min_side"),
        ("data: {conditions: {small: {imagesize: 64}}}",
         "data.conditions.small: unknown key 'imagesize'; did you mean image_size?"),
        ("data: {conditions: {'a b': {}}}", "'a b' does not match"),
        ("execution: {fan_out: batch_size, runs_per_job: 2}", "needs execution.runs_per_job: 1"),
        ("execution: {fan_out: batch_size}\nsettings: {engine: keras}",
         "needs settings.engine: compiled; got 'keras'"),
        ("execution: {xla: 'yes'}", "execution: unknown key 'xla'"),
        ("settings: {xla: maybe}", r"settings.xla: 'maybe' is not one of \['auto', True, False\]"),
    ],
)  # fmt: skip
def test_bad_configurations_are_refused_in_one_line(overlay, message):
    with pytest.raises(ValueError, match=message) as error:
        read(yaml.safe_load(overlay))
    assert len(str(error.value)) < 600
    assert str(error.value).count("\n") == 0


# --- the table of runs -----------------------------------------------------------------------


def test_a_run_has_the_path_of_its_cell():
    assert paths(read()) == [
        f"batch_size~{size}/learning_rate~0.1/seed~{seed}" for size in (16, 64) for seed in (0, 1)
    ]
    run = run_table.runs(read())[0]
    assert (run.parameters["batch_size"], run.parameters["optimizer"], run.seed) == (16, "sgd", 0)


def test_a_state_has_a_name_that_a_file_can_have():
    """All settings of a cell stand in one name there, and each in a folder of the run."""
    many = {
        "output_activation": "sigmoid",
        "loss": "mean_absolute_error",
        "optimizer": {"name": "sgd", "nesterov": True, "momentum": 0.9},
        "stop_patience": None,
        "restore_best_weights": True,
        "schedule": "cosine",
        "warmup_epochs": 2.5,
        "plateau_patience": 10,
        "plateau_min_delta": 0.001,
        "augmentation": {"shift": 0.1, "zoom": 0.2},
    }
    found = run_table.runs(read(runs=[many], grid={"seeds": 2}))
    assert len(found[-1].path) > 255
    assert max(len(run.state) for run in found) < 230
    assert len({run.state for run in found}) == len(found)


def test_another_axis_with_the_old_value_leaves_the_old_runs_where_they_are():
    more = paths(read(grid={"optimizer": ["sgd", "adam"], "seeds": 3}))
    assert set(paths(read())) < set(more)
    assert "batch_size~64/learning_rate~0.1/optimizer~adam/seed~2" in more
    assert len(more) == 2 * 2 * 3


def test_an_axis_of_mappings_sets_several_parameters_and_null_is_no_axis():
    rates = [{"network": "paper", "learning_rate": 0.1}, {"network": "roi", "learning_rate": 0.01}]
    config = read(grid={"learning_rate": None, "batch_size": None, "trained": rates})
    assert paths(config)[::2] == [
        "batch_size~16/learning_rate~0.1/seed~0",
        "batch_size~16/learning_rate~0.01/network~roi/seed~0",
    ]
    # The rate goes with the network, and is no axis of its own.
    assert run_table.axes(config) == {"network": ["paper", "roi"]}
    grid = {
        "learning_rate": None,
        "batch_size": None,
        "trained": [dict(sorted(r.items())) for r in rates],
    }
    assert run_table.axes(read(grid=grid)) == {"network": ["paper", "roi"]}
    # A condition is: one ranking of losses on different data would mean nothing.
    sizes = [{"batch_size": 16, "condition": "clean"}, {"batch_size": 4, "condition": "noisy"}]
    grid = {"batch_size": None, "learning_rate": None, "trained": sizes}
    config = read(CONDITIONS, grid=grid)
    assert run_table.axes(config) == {"batch_size": [16, 4], "condition": ["clean", "noisy"]}


def test_listed_runs_come_beside_the_grid_and_from_a_file(tmp_path):
    listed = [{"learning_rate": "0.3", "stop_patience": "null", "seeds": "1"}]
    assert (
        paths(read(runs=listed))[-1] == "batch_size~16/learning_rate~0.3/stop_patience~None/seed~0"
    )
    (tmp_path / "runs.csv").write_text("batch_size,loss,warmup_epochs\n8,iou,\n,giou,3\n")
    given = {"runs": "runs.csv", "grid": {"batch_size": None, "learning_rate": None, "seeds": 1}}
    config = configuration.read(given, SCHEMA, [str(tmp_path)])
    assert paths(config) == [
        "batch_size~8/learning_rate~0.002/loss~iou/seed~0",
        "batch_size~16/learning_rate~0.002/loss~giou/warmup_epochs~3.0/seed~0",
    ]
    # A spreadsheet may write empty rows and columns.
    (tmp_path / "runs.csv").write_text("batch_size,loss,\n8,iou,\n,,\n")
    assert len(paths(configuration.read(given, SCHEMA, [str(tmp_path)]))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_size,loss\n8,iou\n8,giou,3\n", "row 8, giou, 3 has more values"),
        ("batch_size,\n8,iou\n", "row 8, iou has more values"),
        ("loss,batch_size,loss\niou,8,giou\n", "has several columns 'loss'"),
    ],
)
def test_no_value_of_a_file_of_runs_is_dropped(tmp_path, text, message):
    (tmp_path / "runs.csv").write_text(text)
    with pytest.raises(configuration.ConfigurationError, match=message):
        read(runs=str(tmp_path / "runs.csv"))


def test_the_best_parametrization_is_a_cell_like_others():
    best = {"batch_size": 16, "learning_rate": 0.1, "plateau_patience": 2, "seeds": 1}
    config = read(best=best)
    (run,) = run_table.best(config)
    assert run.path == "batch_size~16/learning_rate~0.1/plateau_patience~2/seed~0"
    assert run.parameters["epochs"] == 30
    assert run_table.best(read()) == []


def test_an_optimizer_may_have_settings():
    config = read(grid={"optimizer": [{"name": "sgd", "momentum": 0.5}, "sgd"], "seeds": 1})
    assert (
        paths(config)[0] == "batch_size~16/learning_rate~0.1/optimizer~name=sgd,momentum=0.5/seed~0"
    )


@pytest.mark.parametrize("per_job", [1, 3])
def test_every_run_is_in_one_job(per_job):
    config = read(grid={"seeds": 4}, execution={"runs_per_job": per_job})
    jobs = run_table.jobs(config)
    if per_job == 1:
        assert [job.name for job in jobs] == ["train"]
        return
    assert [job.name for job in jobs] == ["train_seeds_0_to_2", "train_seeds_3_to_3"]
    cells = {run.cell for run in run_table.runs(config)}
    made = [
        path.replace("{cell}", cell)
        for job in jobs
        for cell in cells
        if re.fullmatch(job.cells, cell)
        for path in job.runs
    ]
    assert sorted(made) == sorted(paths(config))


def test_runs_that_one_program_can_train_are_one_job():
    best = {"batch_size": 16, "learning_rate": 0.1, "plateau_patience": 2, "seeds": 1}
    config = read(best=best, execution={"fan_out": "batch_size"})
    jobs = run_table.jobs(config)
    assert [len(job.runs) for job in jobs] == [3, 2]
    assert all(job.together for job in jobs)


def test_functions_of_ones_own_are_looked_for_beside_the_configuration(tmp_path):
    (tmp_path / "mine.py").write_text("def small(shape):\n    pass\n")
    config = read(grid={"network": ["paper", "mine.py:small"], "seeds": 1})
    assert configuration.own_files(config, [str(tmp_path)]) == {
        "mine.py": str(tmp_path / "mine.py")
    }
    run = run_table.runs(config)[-1]
    assert (run.path.split("/")[2], run.files) == ("network~mine.py_small", ["mine.py"])
    with pytest.raises(
        ValueError, match=r"there is no file 'mine\.py' in the folder of the configuration"
    ):
        configuration.own_files(config, [])
    config = read(settings={"network": "mine.py:smal"})
    with pytest.raises(ValueError, match=r"mine\.py has no 'smal'; did you mean small\?"):
        configuration.own_files(config, [str(tmp_path)])


def test_a_network_that_is_added_may_have_an_output_activation(monkeypatch):
    monkeypatch.setitem(NETWORKS, "mine", NETWORKS["paper"])
    schema = configuration.Schema(ROOT / "workflow/schemas/config.schema.yaml")
    given = {"settings": {"network": "mine", "output_activation": "tanh"}}
    assert configuration.read(given, schema)["settings"]["output_activation"] == "tanh"
    given["settings"]["network"] = "roi"
    with pytest.raises(ValueError, match="output_activation must be linear for the network roi"):
        configuration.read(given, schema)


def test_what_boxregressor_refuses_is_refused_with_its_message():
    cells = [run.settings for run in run_table.runs(read(settings={"augmentation": {"shift": 5}}))]
    with pytest.raises(ValueError, match=r"config: .*shift must be a number in 0\.\.1; got 5"):
        estimators.check(cells, {}, (16, 16, 1))
    settings = read(settings={"optimizer": {"name": "sgd", "momentun": 0.5}})["settings"]
    with pytest.raises(ValueError, match=r"no optimizer 'sgd' with \{'momentun': 0\.5\}"):
        estimators.make(settings, 0).fit(*synthetic.make(0, 20, seed=0, image_size=16))


def test_a_loss_of_ones_own_sees_the_whole_batch(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from keras import ops\n\n\n"
        "def size(true, found):\n"
        "    return 0 * ops.mean(found, -1) + found.shape[0]\n"
    )
    settings = read(settings={"loss": "mine.py:size", "batch_size": 40, "xla": False})["settings"]
    files = {"mine.py": str(tmp_path / "mine.py")}
    regressor = estimators.make(settings | {"epochs": 1}, 0, files)
    regressor.fit(*synthetic.make(0, 50, seed=0, image_size=16))
    assert regressor.history_[0]["train_loss"] == pytest.approx((40 * 40 + 5 * 5) / 45)


def test_an_error_of_several_lines_in_a_function_of_ones_own_is_one_line(tmp_path):
    (tmp_path / "mine.py").write_text("raise ValueError('the cause\\nand where')")
    cells = [read(settings={"network": "mine.py:small"})["settings"]]
    with pytest.raises(ValueError, match="config: ValueError: the cause and where"):
        estimators.check(cells, {"mine.py": str(tmp_path / "mine.py")}, (16, 16, 1))


def test_a_network_of_ones_own_may_be_a_class_and_is_refused_for_its_outputs(tmp_path):
    (tmp_path / "mine.py").write_text(
        """
import keras


class Own(keras.Model):
    def __init__(self, n):
        super().__init__()
        self.last = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(n)])

    def call(self, inputs, training=None):
        return self.last(inputs)


def four(shape, output_activation, seed):
    return Own(4)


def three(shape, output_activation, seed):
    return Own(3)
"""
    )
    four, three = (
        read(settings={"network": f"mine.py:{n}"})["settings"] for n in ("four", "three")
    )
    files = {"mine.py": str(tmp_path / "mine.py")}
    estimators.check([four], files, (16, 16, 1))
    with pytest.raises(ValueError, match=r"must return 4 numbers per image.* \(None, 3\)"):
        estimators.check([three], files, (16, 16, 1))


# --- data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "photograph"}, "data.source: 'photograph' is not one of"),
        ({"source": "photographs"}, "data.folder is required for the source 'photographs'"),
        ({"source": "photographs", "folder": "x", "boxes": "y"}, "config: data: x does not exist"),
        ({"source": "photographs", "images": 10}, "unknown key 'images'"),
        ({"source": "arrays"}, "'file' is a required property"),
        ({"source": "arrays", "file": "none.npz"}, r"data: none\.npz does not exist"),
        ({"source": "arrays", "file": "x", "shards": 0}, "data.shards: 0 is less than the minimum"),
        ({"source": "photographs", "image_size": None}, "data.image_size: None is not what it may"),
        ({"source": "shards", "train": "a", "validation": "b", "test": "c"}, "a does not exist"),
        ({"source": "photographs", "render": {"images": 1}}, "1 is less than the minimum of 10"),
    ],
)
def test_images_that_are_not_there_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        configuration.read(SMALL | {"data": given}, SCHEMA)


@pytest.mark.parametrize("overrides", [{"render": {"images": 60}}, {"folder": "mine"}])
def test_a_condition_cannot_render_other_photographs(overrides):
    given = {"source": "photographs", "render": {"images": 50}, "conditions": {"few": overrides}}
    with pytest.raises(ValueError, match=r"data\.conditions\.few: all conditions have the same"):
        configuration.read(SMALL | {"data": given}, SCHEMA)


def test_a_condition_changes_what_it_names_and_nothing_else():
    conditions = {"small": {"image_size": 64, "box_law": {"max_side": 64}}, "clean": {}}
    config = read(data={"conditions": conditions})
    small = data.of(config, "small")
    assert small["box_law"] == {"name": "sides_uniform", "min_side": 5, "max_side": 64}
    assert data.of(config, "clean") == data.of(config)
    assert data.of(config)["image_size"] == 128


def test_values_of_a_condition_may_be_text():
    """As Snakemake passes them from its command line."""
    conditions = {"small": {"image_size": "64", "box_law": {"max_side": "32"}}}
    config = read(data={"conditions": conditions})
    assert config["data"]["conditions"]["small"] == {"image_size": 64, "box_law": {"max_side": 32}}
    shares = {"source": "arrays", "file": "setup.cfg", "split": ["0.5", "0.25", "0.25"]}
    files = {"source": "arrays", "file": "setup.cfg", "split": ["a.txt", "b.txt", "c.txt"]}
    schema = SCHEMA.of_source("arrays")
    for given, split in ((shares, [0.5, 0.25, 0.25]), (files, files["split"])):
        assert schema.completed({"data": given})["data"]["split"] == split


def test_a_condition_is_described_by_what_its_lists_mean():
    lists = {"image_size": [64, 96], "split": [0.5, 0.25, 0.25]}
    assert data.described(lists) == "image_size 64 × 96, split 0.5/0.25/0.25"
    assert data.described({"scene": {"object_level": [0.5, 1]}}) == "scene.object_level 0.5 to 1"


def test_a_scene_is_expected_of_shards():
    noisy = read(data={"scene": {"noise": 0.2}})["data"]
    assert data.expected(noisy, "test")["scene"] == '{"noise": 0.2}'
    assert "scene" not in data.expected(read()["data"], "test")


def test_expected_is_what_the_shards_of_a_study_say(tmp_path):
    drawn = {"images": 30, "image_size": 16, "shard_size": 7, "box_law": {"max_side": 16}}
    drawn = read(data=drawn)["data"]
    law, made = synthetic.BoxLaw(**drawn["box_law"]), []
    for name, (split, start, stop) in splits.shard_ranges(drawn).items():
        content = synthetic.make(start, stop, seed=0, image_size=16, law=law)
        made.append(tmp_path / f"{name}.h5")
        shards.write(made[-1], *content, shards.Meta(split, start, stop, 0, 16, law))
    images, _ = shards.load(made[:4], data.expected(drawn, "train"))
    assert len(images) == 24
    for other in ({"seed": 31}, {"images": 31}, {"scene": {"noise": 0.1}}):
        with pytest.raises(shards.ShardError, match="is a shard of another study"):
            shards.load(made[:4], data.expected(drawn | other, "train"))


def test_splits_cover_every_index_once():
    parts = splits.splits(1001, (0.5, 0.3, 0.2))
    assert [i for part in parts.values() for i in part] == list(range(1001))
    ranges = splits.shard_ranges({"images": 1003, "split": (0.5, 0.3, 0.2), "shard_size": 100})
    assert [i for one in ranges.values() for i in range(one.start, one.stop)] == list(range(1003))


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.1, 0.2), (0.8, 0.2), (1.2, -0.1, -0.1), (math.nan,) * 3]
)
def test_fractions_that_do_not_divide_are_refused(fractions):
    with pytest.raises(ValueError, match="sum to 1; got"):
        splits.splits(100, fractions)


# --- what a study makes ----------------------------------------------------------------------


def test_the_papers_study_makes_all_that_needs_no_other_axis():
    config = configuration.read({}, SCHEMA)
    tables, figures = (outputs.made(kind, config) for kind in (outputs.TABLES, outputs.FIGURES))
    assert set(outputs.TABLES) - set(tables) == {
        "variants", "variant_cells", "found_rates", "found_rates_by_method",
    }  # fmt: skip
    assert set(outputs.FIGURES) - set(figures) == {"variants", "found_rates", "test_losses"}
    assert outputs.left_out(config) == []


@pytest.mark.parametrize(
    ("changes", "ranked"),
    [
        ({"box_law": {"min_side": 10}}, True),
        ({"images": 12500}, True),
        ({"scene": {"noise": 0.1}}, False),
        ({"image_size": 256}, False),
    ],
)
def test_only_data_that_the_paper_may_have_meant_are_ranked_beside_its_losses(changes, ranked):
    config = read(
        data={"conditions": {"as_stated": {}, "other": changes}},
        grid={"condition": ["as_stated", "other"]},
    )
    assert ("variants" in outputs.made(outputs.TABLES, config)) is ranked


@pytest.mark.parametrize(("size", "ranked"), [(8, False), (16, True)])
def test_variants_are_ranked_by_cells_that_the_paper_has(size, ranked):
    """The ranking of none had no first row, and failed after the training."""
    config = read(grid={"batch_size": [size], "optimizer": ["sgd", "adam"]})
    assert ("variants" in outputs.made(outputs.TABLES, config)) is ranked


def test_a_study_of_other_axes_leaves_out_what_it_cannot_have_with_a_sentence():
    config = read(grid={"batch_size": None, "network": ["paper", "roi"], "loss": ["iou", "giou"]})
    tables = outputs.made(outputs.TABLES, config)
    # Another network is no variant of the paper's, whatever else the study varies.
    losses = read(grid={"loss": ["iou", "giou"]}, settings={"network": "roi"})
    assert "variants" not in outputs.made(outputs.TABLES, losses)
    assert {"ranking", "cost", "best"} <= set(tables)
    assert not {"comparison", "claims", "time_fit", "scaling_fit"} & set(tables)
    assert outputs.rows_and_columns(config) == ("network", "loss")
    said = " ".join(outputs.left_out(config))
    assert "`comparison`, `distances`" in said
    assert "batch sizes as an axis" in said


def test_a_figure_has_a_page_for_each_value_of_a_third_axis():
    config = read(grid={"learning_rate": [0.1, 1.0], "optimizer": ["sgd", "adam"]})
    names = [name for name in outputs.made(outputs.FIGURES, config) if name.startswith("appendix")]
    assert names == ["appendix_a,optimizer~sgd", "appendix_a,optimizer~adam"]
    many = read(grid={"learning_rate": [0.1, 1.0], "warmup_epochs": list(range(13))})
    assert not any(name.startswith("appendix") for name in outputs.made(outputs.FIGURES, many))
    assert "at most 12 combinations" in " ".join(outputs.left_out(many))


def test_times_of_networks_are_on_pages_of_their_own():
    """Even where networks are rows or columns of panels: their times were one curve."""

    def pages_of(name, config):
        made = outputs.made(outputs.FIGURES, config)
        return [one.partition(",")[2] for one in made if one.partition(",")[0] == name]

    networks = ["network~paper", "network~roi"]
    config = read(grid={"network": ["paper", "roi"], "learning_rate": None})
    assert outputs.rows_and_columns(config) == ("batch_size", "network")
    assert pages_of("appendix_a", config) == [""]
    assert pages_of("fig4_training_time", config) == pages_of("time_fit", config) == networks
    # All combinations, written as a list.
    trained = [
        {"network": n, "learning_rate": rate} for n in ("paper", "roi") for rate in (0.1, 1.0)
    ]
    config = read(grid={"batch_size": [16, 64], "learning_rate": None, "trained": trained})
    assert outputs.rows_and_columns(config) == ("batch_size", "learning_rate")
    for name in ("appendix_a", "time_fit", "loss_against_updates", "scaling_residuals"):
        assert pages_of(name, config) == networks
    assert outputs.pages(config) == {
        ",network~paper": {"network": "paper"}, ",network~roi": {"network": "roi"},
    }  # fmt: skip


# Some of the paper's cells, which have all its batch sizes and rates.
DIAGONAL = {
    "grid": {"batch_size": None, "learning_rate": None},
    "runs": [
        {"batch_size": size, "learning_rate": rate}
        for size, rate in zip(
            [4, 16, 64, 256, 1024, 4096], [1e-4, 1e-3, 1e-2, 1e-1, 1e-1, 1e-1], strict=True
        )
    ],
}
NOISY = {"data": {"conditions": {"noisy": {"scene": {"noise": 0.2}}}}}


@pytest.mark.parametrize("rates", [["auto"], ["auto", 0.1], None])
def test_rates_that_are_found_are_not_compared_with_the_papers(rates):
    """Its cells have numbers; the tables failed after the training."""
    config = read(grid={"learning_rate": rates}, settings={"learning_rate": "auto"})
    tables = outputs.made(outputs.TABLES, config)
    assert "time_fit" in tables
    assert not {"comparison", "claims", "scaling_fit"} & set(tables)
    assert "`claims`" in " ".join(outputs.left_out(config))
    trained = [{"optimizer": "sgd"}, {"optimizer": "adam", "learning_rate": 0.1}]
    mixed = read(grid={"learning_rate": None, "t": trained}, settings={"learning_rate": "auto"})
    assert "variants" not in outputs.made(outputs.TABLES, mixed)


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ({"settings": {"optimizer": "adam"}}, "ours: optimizer adam; paper: optimizer sgd"),
        ({"settings": {"output_activation": "tanh"}}, "output_activation tanh"),
        ({"settings": {"stop_patience": 10}}, "stop_patience 10; paper: stop_patience 5"),
        ({"data": {"scene": {"noise": 0.2}}}, "scene noise 0.2; paper: scene clean"),
        ({"data": {"box_law": {"min_side": 6}}}, "box_law.min_side 6"),
        ({"data": {"split": [0.5, 0.25, 0.25]}}, "split [0.5, 0.25, 0.25]; paper: split [0.8"),
        ({"grid": {"batch_size": [4, 8]}}, "axis batch_size 4 to 8"),
        (
            {"grid": {"batch_size": [4, 4096]}},
            "ours: axis batch_size (4, 4096); paper: axis batch_size (4, 16, 64, 256, 1024, 4096)",
        ),
        ({"grid": {"optimizer": "adam"}}, "ours: optimizer adam; paper: optimizer sgd"),
        (DIAGONAL, "ours: cells 6 of 24; paper: cells all"),
        (NOISY | {"grid": {"condition": "noisy"}}, "scene noise 0.2; paper: scene clean"),
        ({"grid": {"loss": ["iou"], "stop_patience": None}}, "ours: loss iou; paper: loss incl"),
    ],
)
def test_a_study_with_other_values_is_not_the_papers(overlay, said):
    paper = configuration.read({}, SCHEMA)
    config = configuration.read(overlay, SCHEMA)
    assert said in deviations.note(config, paper)
    assert not deviations.is_the_papers(config, paper)
    assert deviations.note(paper, paper) is None
    fewer = configuration.read({"grid": {"seeds": 6}}, SCHEMA)
    assert deviations.note(fewer, paper) == "ours: seeds 6; paper: seeds 10"
    assert deviations.is_the_papers(fewer, paper)


@pytest.mark.parametrize(
    ("changes", "is_it"),
    [({}, True), ({"seeds": 1}, True), ({"plateau_patience": 3}, False), ({"loss": "iou"}, False)],
)
def test_the_papers_best_parametrization_is_known(changes, is_it):
    paper = configuration.read({}, SCHEMA)
    best = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["best"] | changes
    config = configuration.read({"best": best}, SCHEMA)
    assert deviations.has_the_papers_best(config, paper) == is_it
    assert not deviations.has_the_papers_best(paper, paper)


def test_captions_say_of_all_runs_what_all_runs_have():
    """Also where the grid sets it, or where a setting follows from an axis without being one."""
    trained = [
        {"network": "roi", "optimizer": "adam", "learning_rate": 0.01},
        {"network": "marginal", "optimizer": "momentum", "learning_rate": 0.1},
    ]
    grid = {"learning_rate": None, "loss": "iou", "trained": trained}
    config = configuration.read({"grid": grid}, SCHEMA)
    assert outputs.shared_settings(config)["loss"] == "iou"
    assert not {"network", "optimizer"} & outputs.shared_settings(config).keys()
    shared = outputs.shared_settings(config)
    assert (shared["augmentation"], shared["plateau patience"]) == ("none", "never")
    summary = {"config": config, "numbers": {}, "verdicts": False}
    template = "{{ trained }}, {{ first.network }}, {{ settings.optimizer }}"
    assert captions.fill_in(template, summary).startswith("iou, roi, None\nAll runs: ")


def test_captions_of_the_best_parametrization_say_how_it_was_trained():
    """They said how the runs of the grid were."""
    given = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config = configuration.read(given, SCHEMA)
    summary = {"config": config, "numbers": {}, "verdicts": True}
    own = "stop patience never, restore best weights False, schedule plateau, warmup epochs 0.0, "
    own += "plateau patience 2"
    for name in ("best", "fig2_network", "fig5_predictions"):
        caption = captions.fill_in("Shown.", summary, name)
        assert "The best parametrization: network paper" in caption
        assert own in caption
    assert "All runs: network paper" in captions.fill_in("Shown.", summary, "fig8_final_losses")
    config = configuration.read(given | {"best": None}, SCHEMA)
    found = {"config": config, "numbers": {}, "verdicts": True}
    assert "All runs: network paper" in captions.fill_in("Shown.", found, "best")


RATES = {"seeds": 1, "start": 0.01, "epochs": 1}
TOGETHER = {"execution": {"fan_out": "batch_size"}}


LONG = {"name": "sgd", **{f"an_option_with_a_long_name_{i}": 0.5 for i in range(10)}}
HALF = {"name": "sgd", **{f"an_option_with_a_long_name_{i}": 0.5 for i in range(6)}}


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"settings": {"optimizer": LONG}}, None),
        ({"grid": {"optimizer": ["sgd", LONG]}}, "optimizer has a value so long that its folder"),
        ({"best": {"optimizer": LONG}}, r"a name of 348 characters, optimizer~name=sgd.*most 255"),
        ({"grid": {"optimizer": ["sgd", HALF]}}, None),
        (
            {"grid": {"learning_rate": [0.1, 1.0], "optimizer": ["sgd", HALF]}},
            "a figure of each combination of axes would have a name of 239 characters, fig3_val",
        ),
    ],
)
def test_names_that_no_file_can_have_are_refused_before_a_training(overlay, message):
    with pytest.raises(ValueError, match=message) if message else contextlib.nullcontext():
        read(overlay)


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"grid": {"epochs": [20, 10]}}, r"the same number of epochs.*got 10, 20\. Make a study"),
        ({"runs": [{"batch_size": 8, "epochs": 2}]}, r"the same number of epochs.*got 2, 30"),
        (
            CONDITIONS | {"grid": {"condition": ["clean", "noisy"]}, "best": {"batch_size": 16}},
            "Name one in each",
        ),
        (CONDITIONS | {"runs": [{"learning_rate": 0.1, "condition": "noisy"}]}, "Name one in each"),
        ({"grid": {"loss": ["iou", "giou"]}, "rates": RATES}, "here also in loss. Set"),
        ({"grid": {"learning_rate": ["auto"]}, "rates": RATES}, "must be numbers"),
        (TOGETHER | {"grid": {"engine": ["compiled", "keras"]}}, "settings.engine: compiled; got"),
        (TOGETHER | {"best": {"learning_rate": "auto"}}, "needs a number as learning_rate"),
    ],
)
def test_cells_that_no_table_could_compare_are_refused_before_they_are_trained(overlay, message):
    with pytest.raises(configuration.ConfigurationError, match=message):
        read(overlay)

"""Fuzzing: spoiled shards, models, runs and configurations are refused, or read as they were.

Every input is a function of its number, so a failure can be repeated. The suite tries some of each
kind; ``BOXEST_FUZZ=10000 pytest -n 0 -s tests/test_fuzz.py`` tries so many, and counts.
"""

import copy
import json
import math
import os
import random
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from strangers import IMAGES, parts, rewrite, write_model, write_shard

from boxest import BoxRegressor, shards, synthetic
from boxest.data import splits
from boxest.data.shards import ShardError
from boxest.estimator.saving import FileError
from boxest.study import configuration, history, run_table
from boxest.study import data as images

NUMBERS = [0, 1, 2, 3, 7, 8, 12, 24, 48, 255, 256, 2**15, 2**16, 2**31, 2**32 - 1, 2**63, 2**64 - 1]
VALUES = [
    *(None, True, False, 0, -1, 1, 2, 16, 128, 10**9, 2**31, 2**63, 2**64, -(2**63), 10**30),
    *(0.5, 1.0, -0.0, 16.0, 1e-320, 1e308, math.inf, -math.inf, math.nan),
    *("", "1", "1e-3", "..", "a\n", "\0", "../x", "sgd", "x" * 1000, [], [1], ["a"], [[1]], {}),
    *([0.8, 0.1, 0.1], [1.5, 0.1], {"a": 1}, {"name": 5}),
]


def inputs(usual):
    """Number the inputs of a test."""
    return range(int(os.environ.get("BOXEST_FUZZ", usual)))


def outcome(error, read, *arguments):
    """Return what is read, or None and the text of the error."""
    try:
        return read(*arguments), None
    except error as refusal:
        return None, str(refusal)


def report(kind, refused, total, before):
    seconds = time.perf_counter() - before
    print(f"\n{kind}: {total} inputs, {refused} refused, {seconds:.0f} s")


def spoil_bytes(content, rng):
    """Change some bytes: a bit, a byte, a number, a copy of others, an end, an insertion."""
    spoiled = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 5])):
        at, width = rng.randrange(len(spoiled) or 1), rng.choice([1, 2, 4, 8])
        number = int.from_bytes(spoiled[at : at + width], "little")
        how = rng.randrange(7)
        if how == 0:
            number ^= 1 << rng.randrange(8 * width)
        elif how in (1, 2):
            number = rng.choice([rng.randrange(256**width), *NUMBERS])
        elif how == 3:
            number += rng.choice([-8, -1, 1, 8])
        elif how == 4:
            source = rng.randrange(len(spoiled) or 1)
            number = int.from_bytes(spoiled[source : source + width], "little")
        elif how == 5 and rng.random() < 0.2:
            del spoiled[at:]
            continue
        elif how == 6 and rng.random() < 0.2:
            spoiled[at:at] = rng.randbytes(width)
            continue
        spoiled[at : at + width] = (number % 256**width).to_bytes(width, "little")
    return bytes(spoiled)


def spoil_tree(tree, rng):
    """Change values of a nested table: others, none, more, of another size or type."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice([1, 1, 2])):
        places = [tree]
        for place in places:
            values = place.values() if isinstance(place, dict) else place
            places += [value for value in values if isinstance(value, (dict, list)) and value]
        place = rng.choice(places)
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        value = place[key]
        how = rng.randrange(6)
        if how == 0:
            del place[key]
            if not tree:
                return tree
        elif how == 1 and isinstance(place, dict):
            place[rng.choice(["x", 5, None, "results", "seeds"])] = rng.choice(VALUES)
        elif how == 2 and isinstance(value, (int, float)):
            place[key] = value * rng.choice([-1, 0, 2, 10, 10**6, 1.0, 0.5])
        elif how == 3:
            place[key] = [value] * rng.choice([1, 2])
        elif how == 4:
            place[key] = str(value)
        else:
            place[key] = rng.choice(VALUES)
    return tree


@pytest.mark.fault
@pytest.mark.timeout(3600)
def test_shards(tmp_path):
    path = write_shard(tmp_path / "shard.h5")
    whole, refused, start = path.read_bytes(), 0, time.perf_counter()
    for number in inputs(300):
        spoiled = spoil_bytes(whole, random.Random(number))
        path.write_bytes(spoiled)
        shard, refusal = outcome(ShardError, shards.read, path)
        assert (refusal is None) == (spoiled == whole), number
        if refusal:
            refused += 1
            assert str(path) in refusal, number
        else:
            np.testing.assert_array_equal(shard.images, IMAGES, err_msg=str(number))
    report("shards", refused, number + 1, start)
    assert 0.5 < refused / (number + 1) < 1


@pytest.mark.fault
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:.* was stored by")
def test_models(tmp_path):
    """Spoiled archives, and whole ones with a spoiled text."""
    path = write_model(tmp_path / "a.boxest")
    whole, content = path.read_bytes(), parts(path)
    about = json.loads(content["estimator.json"])
    images, _ = synthetic.make(0, 2, seed=0, image_size=16)
    refused, start = 0, time.perf_counter()
    for number in inputs(80):
        rng = random.Random(number)
        if rng.random() < 0.5:
            path.write_bytes(spoil_bytes(whole, rng))
        else:
            text = json.dumps(spoil_tree(about, rng))
            rewrite(path, (content | {"estimator.json": text}).items())
        regressor, refusal = outcome(FileError, BoxRegressor.load, path)
        if refusal:
            refused += 1
            assert str(path) in refusal, number
        else:
            assert regressor.predict(images).shape == (2, 4), number
    report("models", refused, number + 1, start)
    assert 0.5 < refused / (number + 1) < 1


@pytest.mark.fault
@pytest.mark.timeout(3600)
def test_runs(tmp_path):
    """Spoiled histories and descriptions of a run: an error that names it, or tables."""
    row = dict.fromkeys(history.EPOCH_COLUMNS, 0.5)
    table = pd.DataFrame([row | {"epoch": 1, "updates": 4}, row | {"epoch": 2, "updates": 8}])
    about = {
        "batch_size": 16,
        "learning_rate": 0.1,
        "seed": 0,
        "epochs": 2,
        "planned_epochs": 2,
        "stopped_early": False,
        "diverged": False,
        "updates": 8,
        "seconds": {"train": 1.5},
        "runtime": dict.fromkeys(("backend", "device", "xla", "threads", "engine"), "x"),
        "n_parameters": 5,
        "settings": {"batch_size": 16, "learning_rate": 0.1, "loss": "iou"},
    }
    tested = {"smallest_side": 9.0, "iou_loss": 0.5, "inclusive_iou_loss": 0.5}
    pd.DataFrame([tested]).to_csv(tmp_path / "predictions.csv", index=False)
    lines, refused, start = table.to_csv(index=False).encode(), 0, time.perf_counter()
    for number in inputs(300):
        rng = random.Random(number)
        spoils_text = rng.random() < 0.5
        text = spoil_bytes(lines, rng) if spoils_text else lines
        (tmp_path / "history.csv").write_bytes(text)
        (tmp_path / "run.json").write_text(
            json.dumps(about if spoils_text else spoil_tree(about, rng))
        )
        tables, refusal = outcome(history.RunError, history.collect, [tmp_path], ["loss"])
        if refusal:
            refused += 1
            assert str(tmp_path) in refusal, number
        else:
            histories, runs = tables
            assert (len(histories), len(runs)) == (2, 1), number
            assert histories["train_loss"].map(math.isfinite).all() or runs["diverged"][0], number
    report("runs", refused, number + 1, start)
    assert 0.5 < refused / (number + 1) < 1


def check_accepted(config):
    """Whatever else a configuration that is accepted may say, a study can be made of it."""
    data, execution, grid = config["data"], config["execution"], config["grid"]
    settings = config["settings"]
    whole = [data[name] for name in ("images", "image_size", "seed", "shard_size")]
    whole += [data["box_law"]["min_side"], data["box_law"]["max_side"], grid["seeds"]]
    whole += [settings["epochs"], execution["threads"], execution["runs_per_job"]]
    assert {type(number) for number in whole} == {int}
    assert not re.search(r"[{}*?\"'$`\\\n]", config["results"])
    assert not {".", ".."} & set(Path(config["results"]).parts)
    runs = run_table.runs(config)
    assert len({run.path for run in runs}) == len(runs) <= 10**5

    ranges = splits.shard_ranges(data)
    assert sum(part.stop - part.start for part in ranges.values()) == data["images"]
    law = synthetic.BoxLaw(**data["box_law"])
    for part in list(ranges.values())[:3]:
        shards.Meta(*part, data["seed"], data["image_size"], law, images.scene(data))
    for run in [*runs[:3], *run_table.best(config)[:1]]:
        assert re.fullmatch(r"[\w./~+=,-]+", run.path)
        parameters = {key: value for key, value in run.parameters.items() if key != "optimizer"}
        BoxRegressor(**parameters)._validate_params()


@pytest.mark.fault
@pytest.mark.timeout(3600)
def test_configurations():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    schema = configuration.Schema(ROOT / "workflow" / "schemas" / "config.schema.yaml")
    refused, start = 0, time.perf_counter()
    for number in inputs(1500):
        spoiled = spoil_tree(config, random.Random(number))
        before = time.perf_counter()
        read, refusal = outcome(ValueError, configuration.read, spoiled, schema)
        refused += refusal is not None
        if not refusal:
            check_accepted(read)
        assert time.perf_counter() - before < 300, number
    report("configurations", refused, number + 1, start)
    assert 0.5 < refused / (number + 1) < 1

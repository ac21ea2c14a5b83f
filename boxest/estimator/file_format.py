"""Check the text in the file of an estimator before anything is built from it."""

import math
import re
from dataclasses import fields
from typing import Any

import numpy as np

from boxest.data.pixels import WHITES, Pixels
from boxest.system.files import FileError
from boxest.training import Schedule

FORMAT = "boxest estimator"
FORMAT_VERSION = 4
PARTS = ("arrays", "estimator.json")
# The largest random_state that scikit-learn accepts.
MAX_SEED = 2**32 - 1
# A search may set numbers of numpy.
_PLAIN = (int, float, str, np.number, np.bool_, type(None))
# Policies of Keras; networks in float16 are refused (`boxest.networks.build`).
_DTYPE_POLICIES = ("float32", "float64", "bfloat16", "mixed_bfloat16")
# Names and types of the values that a text must hold.
_ABOUT = {
    "format": str,
    "format_version": int,
    "versions": dict,
    "class": str,
    "parameters": dict,
    "image_shape": list,
    "feature_names": list | None,
    "pixels": dict,
    "dtype_policy": str,
    "fitted": dict,
    "schedule": dict,
    "arrays": dict,
}
FITTED = {
    "history_": list,
    "n_iter_": int,
    "best_epoch_": int | None,
    "diverged_": bool,
    "stopped_early_": bool,
    "seconds_": dict,
    "runtime_": dict,
    "seed_": int,
    "n_features_in_": int,
    "n_outputs_": int,
    "image_mode_": str | None,
    "_flat_targets": bool,
    "_first_rate": float,
}
_SCHEDULE = {field.name: field.type for field in fields(Schedule)}
_SECONDS = dict.fromkeys(("import", "data", "compile", "train", "evaluation"), float)


def check(about: Any) -> None:
    """Check that the text of a file holds what `save` writes, and nothing else."""
    if not isinstance(about, dict):
        raise FileError(f"{PARTS[1]} does not hold a table")
    written = about.get("format"), about.get("format_version")
    if written != (FORMAT, FORMAT_VERSION):
        raise FileError("it has the format {!r:.40} {!r:.40}".format(*written))
    fitted, schedule = about.get("fitted"), about.get("schedule")
    _check_types(about, _ABOUT, PARTS[1])
    _check_types(fitted, FITTED, "fitted")
    _check_types(schedule, _SCHEDULE, "schedule")
    _check_types(fitted["seconds_"], _SECONDS, "seconds_")
    _check_pixels(about["pixels"])
    _check_dtype_policy(about["dtype_policy"])
    _check_parameters(about["parameters"])
    history = fitted["history_"]
    if not history or len(history) != fitted["n_iter_"]:
        raise FileError(f"its history has {len(history)} epochs instead of {fitted['n_iter_']}")
    for row in history:
        if not isinstance(row, dict):
            raise FileError(f"its history has {row!r:.80} instead of a table")
    always = [name for name in history[0] if not name.startswith("validation_")]
    for row in history:
        # `partial_fit` need not evaluate the same measures as `fit`.
        evaluated = [name for name in row if name.startswith("validation_")]
        _check_types(row, dict.fromkeys([*always, *evaluated], float) | {"updates": int}, "epoch")
    if not 0 <= fitted["seed_"] <= MAX_SEED:
        raise FileError(f"it has the seed {fitted['seed_']:.3g}")
    for rate in (schedule["learning_rate"], fitted["_first_rate"]):
        if not 0 <= rate < math.inf:  # A callback may have lowered it to 0.
            raise FileError(f"it has the learning rate {rate}")


def _check_pixels(pixels: Any) -> None:
    """Check the description of the numbers in images."""
    _check_types(pixels, Pixels.__annotations__, "pixels")
    dtype, white, low, high = (pixels[name] for name in ("dtype", "white", "low", "high"))
    known = re.fullmatch("bool|u?int(8|16|32|64)|float(16|32|64|96|128)", dtype)
    ordered = low is high is None or (
        None not in (low, high) and -math.inf < low <= high < math.inf
    )
    if not known or white not in (*WHITES, None) or not ordered:
        raise FileError(f"its pixels are {pixels!r:.120}")


def _check_dtype_policy(name: str) -> None:
    """Check that Keras, too, knows the policy."""
    if name not in _DTYPE_POLICIES:
        raise FileError(f"its dtype_policy is {name!r:.80}")


def _check_parameters(parameters: dict[str, Any]) -> None:
    """Check that parameters are plain values, and that none makes a reader write a file."""
    for name, value in parameters.items():
        if not is_plain(name, value):
            raise FileError(f"its parameter {name:.80} is {value!r:.80}")
    # A text cannot hold callbacks.
    if parameters.get("callbacks"):
        raise FileError(f"its parameter callbacks is {parameters['callbacks']!r:.80}")
    if parameters.get("checkpoint") is not None:
        raise FileError(
            "its parameter checkpoint should be null, because it could overwrite a file"
        )


def _check_types(values: Any, types: dict[str, Any], what: str) -> None:
    """Check the names and types of the values in a table; a whole number also counts as a float."""
    if not isinstance(values, dict) or set(values) != set(types):
        raise FileError(f"its {what} should be a table of {', '.join(types)}")
    for name, kind in types.items():
        kind = kind | int if kind in (float, float | None) else kind
        if not isinstance(values[name], kind) or (
            isinstance(values[name], bool) and kind is not bool
        ):
            raise FileError(f"its {name} is {values[name]!r:.80}")


def is_plain(name: str, value: Any) -> bool:
    """Whether a text can hold a parameter: plain values, or the options of an augmentation."""
    if name in ("augmentation", "optimizer") and isinstance(value, dict):
        if name == "optimizer" and not isinstance(value.get("name"), str):
            return False
        value = [*value, *value.values()]
    parts = value if isinstance(value, (tuple, list)) else [value]
    return all(isinstance(part, _PLAIN) for part in parts)

"""Find one box in an image, and see how batch size and learning rate affect the training.

The public names are loaded when they are first used: ``import boxest`` imports neither
scikit-learn nor Keras nor a backend.
"""

from importlib import import_module

from boxest.system.registration import register_with_keras

__version__ = "0.2.0"

_HOME = {
    "BoxRegressor": "boxest.estimator.box_regressor",
    "ImageRegressor": "boxest.estimator.image_regressor",
    "find_learning_rate": "boxest.estimator.rates",
    "fit_many": "boxest.estimator.many",
    "set_threads": "boxest.system.runtime",
    "analysis": "boxest.analysis",
    "annotations": "boxest.data.annotations",
    "augmentation": "boxest.data.augmentation",
    "boxes": "boxest.boxes",
    "figures": "boxest.figures",
    "losses": "boxest.losses",
    "networks": "boxest.networks",
    "photographs": "boxest.data.photographs",
    "scorers": "boxest.scorers",
    "shards": "boxest.data.shards",
    "synthetic": "boxest.data.synthetic",
    "tasks": "boxest.tasks",
    "training": "boxest.training",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'boxest' has no attribute {name!r}")
    home = import_module(_HOME[name])
    value = home if _HOME[name].endswith(f".{name}") else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


register_with_keras("boxest.losses", "boxest.networks.layers")

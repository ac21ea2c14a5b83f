"""The contenders of `benchmarks/training.py`, and how one of them is measured in its process."""

from importlib.util import find_spec
from typing import NamedTuple


class Contender(NamedTuple):
    """One way to train the network."""

    title: str
    module: str  # in this package
    function: str
    needs: tuple[str, ...]  # one of these must be installed; the first one that is, is used

    def library(self) -> str | None:
        """Return the library that it runs on here, None where there is none."""
        return next((name for name in self.needs if find_spec(name)), None)


CONTENDERS = {
    "keras-default": Contender(
        "(a) Keras fit, default settings", "keras_fit", "run_default", ("tensorflow", "jax")
    ),
    "keras-best": Contender(
        "(b) Keras fit, best settings", "keras_fit", "run_best", ("tensorflow", "jax")
    ),
    "pytorch": Contender("(c) PyTorch, by hand", "pytorch", "run", ("torch",)),
    "tensorflow": Contender(
        "(d) TensorFlow graph, by hand", "tensorflow_graph", "run", ("tensorflow",)
    ),
    "boxest-tensorflow": Contender(
        "(e) boxest on TensorFlow", "boxest_fit", "run", ("tensorflow",)
    ),
    "boxest-jax": Contender("(f) boxest on JAX", "boxest_fit", "run", ("jax",)),
}

# With what trains many networks at once, in `benchmarks/many.py` alone.
EVERY = CONTENDERS | {
    "boxest-stacked": Contender("boxest, all runs at once", "stacked_fit", "run", ("jax",))
}

"""Train many runs in one program: their arrays are stacked and take each step together.

Only JAX can do this: `jax.vmap` turns the update of one run into an update of many, whatever
network, loss and optimizer compute, and keeps the runs separate. The learning rate is one of the
variables of a Keras optimizer, and is stacked like the others.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from boxest.data.augmentation import N_DRAWS
from boxest.system.backend import device
from boxest.training import layout
from boxest.training.backend import jax as backend
from boxest.training.graph import unfolded
from boxest.training.layout import PART, grey_levels
from boxest.training.predictor import BATCH, at_once
from boxest.training.program import EpochProgram, in_parts, rest

# Share of the free memory of a device that may be used.
SHARE_OF_MEMORY = 0.8

State = tuple[list, list, list]


class Stack:
    """Runs with the same network and batch size, trained by one compiled program.

    A group of `width` runs goes through it at once, one group after another. The width is

    - on a CPU, as many runs as have `layout.PART` examples per update together, which stay in the
      cache: 4 runs of batch size 4; from 16 on, one run at a time;
    - on a GPU, all runs; or, if the compiler's memory estimate for training or for evaluation
      exceeds 80 % of the free memory, as many as fit.

    Parameters
    ----------
    program : EpochProgram
        Of one of the runs: network, optimizer, loss and measures are those of all.
    states : sequence of State
        The initial state of each run: the values of `backend.jax.variables`.
    unfold : bool
        Cut the images into patches only once, if the network begins with that; this is faster, and
        takes four times their memory.
    """

    def __init__(self, program: EpochProgram, states: Sequence[State], *, unfold: bool):
        # With augmentation, the patches would have to be cut again in each epoch.
        unfold = unfold and program.augmentation is None
        trunk = unfolded(program.trunk) if unfold else None
        self._unfolds = trunk is not None
        if self._unfolds:
            program = EpochProgram(
                trunk, program.optimizer, program.loss, program.measures, xla=True
            )
        self.program, self.n_runs = program, len(states)
        self.states = jax.tree.map(lambda *values: jnp.stack(values), *states)
        self._updates = backend.updates(program)
        self._put_back = jax.jit(_put_back)
        self._on_cpu = device() == "cpu"

    def put(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        validation: tuple[np.ndarray, np.ndarray] | None,
    ) -> None:
        """Put the examples on the device.

        Parameters
        ----------
        features, targets : ndarray of shape (n, ...)
            The training examples of all runs.
        weights : ndarray of shape (runs, n)
            The weights of the examples in each run.
        validation : features and targets, or None
            The examples for evaluation; None means examples among the same.
        """
        self.examples = self._put(features), *map(backend.put, (targets, weights))
        self.validation = self.examples[:2]
        if validation is not None:
            self.validation = self._put(validation[0]), backend.put(validation[1])

    def compile(self, order: np.ndarray, n_validation: int) -> None:
        """Choose the width, and compile, without an update.

        Parameters
        ----------
        order : ndarray of int32, shape (steps, batch_size)
            Of an epoch of a run.
        n_validation : int
            Examples that each run is evaluated on, 0 for none.
        """
        self._order, self._n_validation = order, n_validation
        self.program.rest = rest(order)
        limit = max(1, PART // order.shape[1]) if self._on_cpu else self.n_runs
        self._compile(_equal_parts(self.n_runs, limit))
        free = _free_memory()
        while self.width > 1 and (needed := max(map(_memory, self._programs))) > free:
            limit = min(self.width - 1, max(1, int(self.width * free / needed)))
            self._compile(_equal_parts(self.n_runs, limit))

    def narrow(self, n_left: int, seconds_left: float) -> None:
        """Compile for fewer runs, if that may save more time than it takes.

        This is done at half the width or less, so it happens only a few times. It is not done on a
        CPU, whose narrow groups waste little, and where results must not depend on a clock.

        Parameters
        ----------
        n_left : int
            Runs that still train.
        seconds_left : float
            What they will take as things are.
        """
        saved = seconds_left * (1 - n_left / self.width)
        half = 0 < n_left <= self.width // 2
        if half and not self._on_cpu and saved > self._compile_seconds:
            self._compile(n_left)

    def train(
        self,
        runs: np.ndarray,
        rates: np.ndarray,
        orders: np.ndarray,
        draws: np.ndarray | None = None,
    ) -> np.ndarray:
        """Train some of the runs for one epoch; the others stay as they are.

        Parameters
        ----------
        runs : ndarray of int, shape (k,)
            Their places in the stack.
        rates : ndarray of float, shape (k, steps)
            The learning rates of their updates.
        orders : ndarray of int32, shape (k, steps, batch_size)
            Their orders of the examples.
        draws : ndarray of float32, shape (k, n, 11), or None
            How each of them sees the examples changed, see `Augmentation.draw`.

        Returns
        -------
        ndarray of float64, shape (k, 2 + measures)
            As from `EpochProgram.sums`.
        """
        all_sums = []
        drawn = () if draws is None else (draws,)
        groups = self._in_groups(
            self._train, self.examples, runs, *drawn, *self._pieces(orders, rates)
        )
        for places, (states, sums) in groups:
            self.states = self._put_back(self.states, places, states)
            all_sums.append(sums)
        sums = np.concatenate([backend.get(sums) for sums in all_sums])
        return sums[: len(runs)].astype(np.float64)

    def evaluate(self, runs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return loss and measures of validation examples.

        Parameters
        ----------
        runs : ndarray of int, shape (k,)
        rows : ndarray of int, shape (k, n)
            Which of the examples each run is evaluated on.

        Returns
        -------
        ndarray of float32, shape (k, 1 + measures, n)
        """
        # JAX keeps integers of 64 bits as such if a user has asked for double precision.
        n, rows = rows.shape[1], in_parts(rows.astype(np.int32), self._evaluated_at_once)
        groups = self._in_groups(self._evaluate, self.validation, runs, rows)
        values = np.concatenate([backend.get(values) for _, values in groups])[: len(runs)]
        values = np.moveaxis(values, 1, 2)  # Now (k, 1 + measures, parts, examples of a part).
        return values.reshape(*values.shape[:2], -1)[..., :n]

    def state(self, run: int) -> State:
        """Return the values of the variables of a run."""
        return jax.tree.map(lambda values: np.asarray(values[run]), self.states)

    def arrays(self) -> list[np.ndarray]:
        """Return the variables of all runs, stacked, for a `Checkpoint`."""
        return [np.asarray(values) for values in jax.tree.leaves(self.states)]

    def set_arrays(self, arrays: list[np.ndarray]) -> None:
        """Restore the result of `arrays`."""
        structure = jax.tree.structure(self.states)
        self.states = jax.tree.unflatten(structure, map(jnp.asarray, arrays))

    def _put(self, features: np.ndarray) -> jax.Array:
        features = backend.put(features)
        if not self._unfolds:
            return features
        from boxest.training import fused

        return jax.jit(fused.unfold)(features)

    def _pieces(self, orders: np.ndarray, rates: np.ndarray) -> list[np.ndarray]:
        """Divide the orders and rates, and cut batches into parts, for each run.

        Returns
        -------
        list of ndarray
            By turns an order of shape (k, steps, parts, size), and rates of shape (k, steps).
        """
        pieces = []
        for rows, some_rates, n_steps in self.program.pieces(orders, rates, orders.shape[1]):
            rows = rows[:, :n_steps]
            parts = in_parts(rows.reshape(-1, rows.shape[-1]), self.program.part)
            pieces.append(parts.reshape(*rows.shape[:2], *parts.shape[1:]))
            pieces.append(some_rates[:, :n_steps])
        return pieces

    def _in_groups(
        self, program: Callable, examples: tuple, runs: np.ndarray, *per_run
    ) -> Iterator[tuple]:
        """Run a compiled program on runs, group by group; yield their places and its results."""
        for start in range(0, len(runs), self.width):
            lanes = np.arange(start, start + self.width)
            # The last group is filled up with its last run, whose extra results are discarded.
            filled = np.minimum(lanes, len(runs) - 1)
            places = np.where(lanes < len(runs), runs[filled], self.n_runs).astype(np.int32)
            values = (values[filled] for values in per_run)
            yield places, program(self.states, examples, places, *values)

    def _compile(self, width: int) -> None:
        """Compile for groups of this many runs."""
        before = time.perf_counter()
        self.width = width
        most = at_once(BATCH["cpu" if self._on_cpu else "gpu"], self.validation[0].shape[1:])
        self._evaluated_at_once = max(1, most // self.width)
        places = np.zeros(self.width, np.int32)
        orders = np.repeat(self._order[np.newaxis], self.width, axis=0)
        per_run = self._pieces(orders, np.zeros(orders.shape[:2]))
        if self.program.augmentation is not None:
            drawn = self.width, self.examples[1].shape[0], N_DRAWS
            per_run.insert(0, np.zeros(drawn, np.float32))
        rows = np.zeros((self.width, self._n_validation), np.int32)

        def compiled(function, examples, *arguments):
            return jax.jit(function).lower(self.states, examples, places, *arguments).compile()

        self._train = compiled(self._train_group, self.examples, *per_run)
        self._programs = [self._train]
        if self._n_validation:
            rows = in_parts(rows, self._evaluated_at_once)
            self._evaluate = compiled(self._evaluate_group, self.validation, rows)
            self._programs.append(self._evaluate)
        self._compile_seconds = time.perf_counter() - before

    # The following methods are compiled.

    def _train_group(self, states, examples, places, *per_run):
        features, targets, weights = examples
        augments = self.program.augmentation is not None

        def train(state, weights, *own):
            draws, pieces = own[:augments], own[augments:]
            pairs = zip(pieces[::2], pieces[1::2], strict=True)
            steps = [(order, rates, order.shape[0]) for order, rates in pairs]
            return self._updates(state, (features, targets, weights, *draws), steps)

        return self._over_runs(train)(_take(states, places), _take(weights, places), *per_run)

    def _evaluate_group(self, states, examples, places, rows):
        features, targets = examples
        functions = self.program.measured.values()

        def evaluate(state, parts):
            def outputs_of(rows):
                inputs = grey_levels(jnp.take(features, jnp.maximum(rows, 0), axis=0))
                outputs, _ = self.program.trunk.stateless_call(*state[:2], inputs, training=False)
                # A network may compute in another precision.
                return outputs.astype(jnp.float32)

            def values(rows, outputs):
                true = jnp.take(targets, jnp.maximum(rows, 0), axis=0)
                return jnp.stack([function(true, outputs) for function in functions])

            if not layout.is_of_a_user(self.program.loss):
                return jax.lax.map(lambda rows: values(rows, outputs_of(rows)), parts)
            # It may compare the examples, so it gets all of them, and none that fill up a part.
            outputs = jax.lax.map(outputs_of, parts)
            outputs = outputs.reshape(-1, outputs.shape[-1])[: self._n_validation]
            return values(parts.ravel()[: self._n_validation], outputs)[None]

        return self._over_runs(evaluate)(_take(states, places), rows)

    def _over_runs(self, function: Callable) -> Callable:
        """Turn a function of one run into a function of a group."""
        if self.width > 1:
            return jax.vmap(function)

        def alone(*arguments):
            result = function(*jax.tree.map(lambda values: values[0], arguments))
            return jax.tree.map(lambda values: values[None], result)

        return alone


def _equal_parts(n: int, limit: int) -> int:
    """Return the size of parts of n that do not exceed a limit: 5 runs, 4 at most, are 3 and 2."""
    return -(-n // -(-n // limit))


def _take(stacked, places):
    return jax.tree.map(lambda values: jnp.take(values, places, axis=0, mode="clip"), stacked)


def _put_back(stacked, places, group):
    return jax.tree.map(lambda all, some: all.at[places].set(some, mode="drop"), stacked, group)


def _memory(compiled: jax.stages.Compiled) -> int:
    """Return the bytes that a program needs besides its arguments; 0 without an estimate."""
    account = compiled.memory_analysis()
    return account.temp_size_in_bytes + account.output_size_in_bytes if account else 0


def _free_memory() -> float:
    """Return the bytes that a program may take; unknown on a CPU."""
    stats = jax.local_devices()[0].memory_stats()
    if not stats:
        return math.inf
    return SHARE_OF_MEMORY * (stats["bytes_limit"] - stats["bytes_in_use"])

"""The functions for TensorFlow."""

import functools
import logging

import numpy as np
import tensorflow as tf

from boxest.system import runtime

ALWAYS_XLA = False


class _NoRetracingAdvice(logging.Filter):
    """Drops TensorFlow's advice against retracing, because each training is another program."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all other messages pass."""
        message = record.getMessage()
        return "tf.function retracing" not in message or not any(
            name in message for name in ("boxest", "compile_epoch")
        )


tf.get_logger().addFilter(_NoRetracingAdvice())


def put(array: np.ndarray) -> tf.Tensor:
    """Put the array on the device."""
    # The tensor of the conversion keeps a second copy; another one with its values does not.
    return tf.identity(tf.convert_to_tensor(array))


def get(tensor: tf.Tensor) -> np.ndarray:
    """Return the tensor as a numpy array; wait until it is computed."""
    return np.asarray(tensor)


def compile(function, *, xla: bool):
    """Return the function, compiled; one trace per set of shapes."""
    make = functools.partial(tf.function, function, jit_compile=xla, autograph=False)
    compiled = make()

    def call(*args):
        nonlocal compiled
        traces = compiled.experimental_get_tracing_count()
        try:
            return compiled(*args)
        except tf.errors.OpError:
            # A stored program cannot be used, or a program cannot be stored, for example on a full
            # disk. TensorFlow does not continue without it by itself, and remembers the failure.
            is_new = compiled.experimental_get_tracing_count() > traces
            if not is_new or not runtime.forget_compiled_programs():
                raise
            compiled = make()
            return compiled(*args)

    return call


def compile_epoch(program, *, xla: bool):
    """Return ``epoch(examples, pieces) -> sums``; the loops assign the variables themselves."""
    trunk, optimizer = program.trunk, program.optimizer
    variables = trunk.trainable_variables

    def gradient(examples, indices, extent):
        if program.takes_any_size:
            indices = indices[: extent[1]]
        features, targets, weights = program.part_of(examples, indices)
        with tf.GradientTape() as tape:
            outputs = trunk(features, training=True)
            objective, sums = program.objective(outputs, trunk.losses, targets, weights, extent)
        tensors = [variable.value for variable in variables]
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(objective, tensors, unconnected_gradients=zero), sums

    def update(examples, batch, learning_rate):
        optimizer.learning_rate.assign(learning_rate)
        extent = program.extent(batch)
        if batch.shape[0] == 1:
            gradients, sums = gradient(examples, batch[0], extent)
        else:
            none = [tf.zeros(v.shape, v.dtype) for v in variables]
            _, (gradients, sums) = tf.while_loop(
                lambda i, _: i < extent[0],
                lambda i, so_far: (i + 1, _add(so_far, gradient(examples, batch[i], extent))),
                (tf.constant(0), (none, program.no_sums())),
                parallel_iterations=1,
            )
        # This runs outside the only replica. Inside it, Keras would add up the gradients over all
        # replicas with an operation that TensorFlow keeps forever, with the whole graph.
        replica = tf.distribute.get_replica_context()
        replica.merge_call(lambda strategy: optimizer.apply(gradients, variables))
        return sums

    def steps(examples, order, rates, n_steps, sums):
        _, sums = tf.while_loop(
            lambda i, _: i < n_steps,
            lambda i, sums: (i + 1, sums + update(examples, order[i], rates[i])),
            (tf.constant(0), sums),
            parallel_iterations=1,
        )
        return sums

    def epoch(examples, pieces):
        sums = program.no_sums()
        for order, rates, n_steps in pieces:
            sums = steps(examples, order, rates, n_steps, sums)
        return sums

    return compile(epoch, xla=xla)


def _add(a, b):
    return tf.nest.map_structure(tf.add, a, b)

"""The functions for JAX."""

import jax
import jax.numpy as jnp
import numpy as np

from boxest.system.backend import assign

ALWAYS_XLA = True


def put(array: np.ndarray) -> jax.Array:
    """Put the array on the device."""
    return jax.device_put(array)


def get(tensor: jax.Array) -> np.ndarray:
    """Return the tensor as a numpy array; wait until it is computed."""
    return np.asarray(tensor)


def compile(function, *, xla: bool):
    """Return the function, compiled; JAX always compiles with XLA."""
    del xla
    return jax.jit(function)


def compile_epoch(program, *, xla: bool):
    """Return ``epoch(examples, pieces) -> sums``; the variables go through the loops."""
    parts = variables(program.trunk, program.optimizer)
    compiled = compile(updates(program), xla=xla)

    def epoch(examples, pieces):
        state = tuple([variable.value for variable in part] for part in parts)
        state, sums = compiled(state, examples, pieces)
        for part, values in zip(parts, state, strict=True):
            assign(part, values)
        return sums

    return epoch


def variables(trunk, optimizer) -> tuple[list, list, list]:
    """Return what an epoch changes: trained variables, others, and the optimizer's."""
    return trunk.trainable_variables, trunk.non_trainable_variables, optimizer.variables


def updates(program):
    """Return ``updates(state, examples, pieces) -> state, sums``, without side effects.

    The state is the values of `variables`.
    """
    trunk, optimizer = program.trunk, program.optimizer
    rate = next(i for i, v in enumerate(optimizer.variables) if v is optimizer.learning_rate)

    def objective(trainable, fixed, part, extent):
        features, targets, weights = part
        outputs, fixed, penalties = trunk.stateless_call(
            trainable, fixed, features, training=True, return_losses=True
        )
        value, sums = program.objective(outputs, penalties, targets, weights, extent)
        return value, (fixed, sums)

    gradient = jax.grad(objective, has_aux=True)

    def update(examples, state, batch, learning_rate):
        trainable, fixed, optimizer_variables = state
        optimizer_variables = list(optimizer_variables)
        optimizer_variables[rate] = learning_rate
        extent = program.extent(batch)

        def add_part(i, so_far):
            part = program.part_of(examples, batch[i])
            gradients, (fixed, sums) = gradient(trainable, so_far[1], part, extent)
            return jax.tree.map(jnp.add, so_far[0], gradients), fixed, so_far[2] + sums

        none = [jnp.zeros_like(v) for v in trainable], fixed, program.no_sums()
        if batch.shape[0] == 1:
            gradients, fixed, sums = add_part(0, none)
        else:
            gradients, fixed, sums = jax.lax.fori_loop(0, extent[0], add_part, none)
        trainable, optimizer_variables = optimizer.stateless_apply(
            optimizer_variables, gradients, trainable
        )
        return (trainable, fixed, optimizer_variables), sums

    def run(state, examples, pieces):
        carry = state, program.no_sums()
        for order, rates, n_steps in pieces:

            def step(i, carry, order=order, rates=rates):
                state, sums = carry
                state, batch_sums = update(examples, state, order[i], rates[i])
                return state, sums + batch_sums

            carry = jax.lax.fori_loop(0, n_steps, step, carry)
        return carry

    return run

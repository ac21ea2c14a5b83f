"""(d) TensorFlow without Keras, by hand: own variables, an epoch in one while loop of a graph."""

import numpy as np
import tensorflow as tf

from peers_training import problem
from peers_training.stopwatch import Job, measure


def run(job: Job) -> dict:
    """Train with the fastest of the ways to compile it."""
    images, boxes = problem.data(job.images, job.image_size)
    examples = tf.constant(problem.pooled(images)), tf.constant(boxes)
    variants = {"no XLA": lambda: _epoch(job, *examples, max_pool, xla=False)}
    # On a CPU, XLA loses by 3 to 15 times: its convolution is slow where channels are few.
    if job.thorough or tf.config.list_physical_devices("GPU"):
        variants["XLA"] = lambda: _epoch(job, *examples, max_pool, xla=True)
        variants["XLA, pooling by reshape"] = lambda: _epoch(job, *examples, reshape_max, xla=True)
    return measure(job, variants)


def _epoch(job, images, boxes, pool, *, xla):
    """Return an epoch: the pooled images are resident, gathered by index inside the graph."""
    weights = [tf.Variable(values) for values in problem.first_weights(job.image_size)]
    steps, rest = divmod(job.images, job.batch)

    def step(rows):
        x, y = tf.gather(images, rows), tf.gather(boxes, rows)
        x = tf.ensure_shape(x, (rows.shape[0], *images.shape[1:]))
        with tf.GradientTape() as tape:
            losses = inclusive_iou_losses(y, network(x, weights, pool))
            loss = tf.reduce_mean(losses)
        for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            variable.assign_sub(problem.LEARNING_RATE * gradient)
        return tf.reduce_sum(losses)

    @tf.function(jit_compile=xla, autograph=False)
    def all_steps(order):
        whole = tf.reshape(order[: steps * job.batch], (steps, job.batch))
        total = tf.constant(0.0)
        if steps:
            _, total = tf.while_loop(
                lambda i, _: i < steps,
                lambda i, total: (i + 1, total + step(whole[i])),
                (tf.constant(0), total),
                parallel_iterations=1,
            )
        return total + step(order[steps * job.batch :]) if rest else total

    def epoch(number: int) -> float:
        order = tf.constant(problem.order(job.images, number))
        return float(np.asarray(all_steps(order))) / job.images

    return epoch


def network(x, weights, pool):
    """Apply the paper's network behind its first pooling."""
    for i in (0, 2):
        x = pool(tf.nn.relu(tf.nn.conv2d(x, weights[i], 1, "SAME") + weights[i + 1]))
    x = tf.reshape(x, (x.shape[0], -1))
    x = tf.nn.relu(x @ weights[4] + weights[5])
    return x @ weights[6] + weights[7]


def max_pool(x):
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def reshape_max(x):
    """Pool 2×2 with operations that XLA fuses."""
    n, height, width, channels = x.shape
    x = tf.reshape(x, (n, height // 2, 2, width // 2, 2, channels))
    x = tf.maximum(x[:, :, 0], x[:, :, 1])
    return tf.maximum(x[:, :, :, 0], x[:, :, :, 1])


def inclusive_iou_losses(true, predicted):
    """Return one minus the inclusive IoU of each box."""

    def area(low, high):
        return tf.reduce_prod(tf.maximum(high - low + 1, 0), -1)

    shared = area(
        tf.maximum(true[:, :2], predicted[:, :2]), tf.minimum(true[:, 2:], predicted[:, 2:])
    )
    covered = area(true[:, :2], true[:, 2:]) + area(predicted[:, :2], predicted[:, 2:]) - shared
    return 1 - shared / covered

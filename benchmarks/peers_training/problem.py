"""What every contender is given: the images, the first weights, the order; numpy alone."""

import math

import numpy as np

from boxest import synthetic

LEARNING_RATE = 0.01


def data(n_images: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the paper's images, uint8 (n, size, size), and boxes, float32 (n, 4)."""
    images, boxes = synthetic.make(0, n_images, seed=0, image_size=image_size)
    return images, boxes.astype(np.float32)


def pooled(images: np.ndarray) -> np.ndarray:
    """Return what the network's first layer, a 2×2 max pooling, makes of the images: float32."""
    n, height, width = images.shape
    largest = images.reshape(n, height // 2, 2, width // 2, 2).max((2, 4))
    return largest[..., np.newaxis].astype(np.float32) / 255


def first_weights(image_size: int) -> list[np.ndarray]:
    """Return kernel and bias of the four layers, in the layout of Keras: Glorot uniform, zeros."""
    generator = np.random.default_rng(0)
    flat = 4 * (image_size // 8) ** 2
    weights = []
    for shape in ((3, 3, 1, 4), (3, 3, 4, 4), (flat, 16), (16, 4)):
        field = math.prod(shape[:-2])
        limit = math.sqrt(6 / (field * (shape[-2] + shape[-1])))
        weights.append(generator.uniform(-limit, limit, shape).astype(np.float32))
        weights.append(np.zeros(shape[-1], np.float32))
    return weights


def order(n_images: int, epoch: int) -> np.ndarray:
    """Return the order of the images in an epoch, from 1: that of boxest with seed 0."""
    return np.random.default_rng([0, epoch]).permutation(n_images).astype(np.int32)

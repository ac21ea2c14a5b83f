"""Training: one loop for every backend, one compiled call per epoch.

==========================  ======================================================
`boxest.training.loop`      the loop over epochs: `Trainer`
`boxest.training.record`    inputs and results of a training
`boxest.training.order`     the order of examples, from (seed, epoch)
`boxest.training.schedule`  early stopping, and the learning rate of each update
`boxest.training.program`   the compiled programs: an epoch, a prediction
`boxest.training.layout`    the same network, arranged for speed
`boxest.training.graph`     the same for networks that are graphs of layers
`boxest.training.backend`   the parts that differ between TensorFlow and JAX
==========================  ======================================================
"""

from boxest.training.loop import Trainer
from boxest.training.order import epoch_order
from boxest.training.record import Training
from boxest.training.schedule import Schedule

__all__ = ["Schedule", "Trainer", "Training", "epoch_order"]

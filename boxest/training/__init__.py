"""Training: one loop for every backend, one compiled call per epoch.

==========================  ======================================================
`boxest.training.loop`      the loop over epochs: `Trainer`
`boxest.training.record`    what a training takes and leaves
`boxest.training.order`     which example comes when, from (seed, epoch)
`boxest.training.schedule`  early stopping, and the learning rate on a plateau
`boxest.training.program`   what is compiled: an epoch, a prediction
`boxest.training.layout`    what the programs compute: the same network, faster
`boxest.training.graph`     the same where the network is a graph of layers
`boxest.training.backend`   the parts that TensorFlow and JAX spell differently
==========================  ======================================================
"""

from boxest.training.loop import Trainer
from boxest.training.order import epoch_order
from boxest.training.record import Training
from boxest.training.schedule import Schedule

__all__ = ["Schedule", "Trainer", "Training", "epoch_order"]

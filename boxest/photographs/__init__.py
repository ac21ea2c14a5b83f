"""Photographs with a box each: converted once into shards, and boxes found in their pixels.

`convert` (and the command ``boxest convert``) writes into a folder

- ``train-000.h5``, …, ``validation-000.h5``, …, ``test-000.h5``, …: shards (`boxest.shards`);
- ``images.csv``, the table of the originals (`boxest.photographs.table`).

They are there when all is written. The same photographs, boxes and settings give the same bytes.
"""

from boxest.photographs.check import true_boxes
from boxest.photographs.conversion import Conversion, convert
from boxest.photographs.prediction import predict
from boxest.photographs.table import OFFSETS, SCALES, TABLE, originals, to_pixels

__all__ = [
    "OFFSETS",
    "SCALES",
    "TABLE",
    "Conversion",
    "convert",
    "originals",
    "predict",
    "to_pixels",
    "true_boxes",
]

"""Convert photographs with one box each into shards, and find boxes in photographs.

`convert` (and the command ``boxest convert``) writes to a folder

- ``train-000.h5``, …, ``validation-000.h5``, …, ``test-000.h5``, …: shards (`boxest.shards`);
- ``images.csv``, the table of the originals (`boxest.photographs.originals`).

The files appear when everything is written. The same photographs, boxes and settings give the same
bytes.
"""

from boxest.data.photographs.conversion import Conversion, convert
from boxest.data.photographs.image_table import OFFSETS, SCALES, TABLE, originals, to_pixels
from boxest.data.photographs.matching import true_boxes
from boxest.data.photographs.prediction import predict

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

"""Read and write tables of boxes, one object per image: CSV, COCO, Pascal VOC and others.

In every format, a box becomes ``x1, y1, x2, y2`` in pixels of the image as it is displayed, from 0
at its upper left edge, half-open: a box around the whole image is ``0, 0, width, height``.

- CSV: columns ``image`` (or ``filename``) and either ``x1, y1, x2, y2``, read as above, or ``xmin,
  ymin, xmax, ymax``, read as in VOC, where such tables come from; optional ``width, height`` of the
  image and ``label`` (or ``class``). Other columns are ignored.
- COCO: ``bbox`` is x, y, width, height, measured from 0 (cocodataset.org, "Data format").
  Annotations of crowds (``iscrowd``) do not mark one object, and are skipped.
- VOC: one XML file per image, also in subfolders. Pixels are counted from 1 and xmax, ymax
  belong to the box (VOC2012 development kit, "Annotations": the upper left pixel is (1, 1)), so
  that x1 = xmin - 1, x2 = xmax.

- YOLO, LabelMe, CVAT and folders of masks: see `boxest.annotations.tools` and
  `boxest.annotations.masks`. OpenImages is CSV with ``ImageID, XMin, XMax, YMin, YMax``.

If the numbers of a file mean something else, ``coordinates`` says so. A box may extend beyond its
image by less than half a pixel, and is clipped there. Nothing in such a file is trusted: XML with a
document type, which may define entities, is refused.
"""

from boxest.boxes import CORNERS
from boxest.data.annotations.fields import COORDINATES, SIDES, AnnotationError
from boxest.data.annotations.reading import read
from boxest.data.annotations.selection import COLUMNS, inside
from boxest.data.annotations.writing import write

__all__ = [
    "COLUMNS",
    "COORDINATES",
    "CORNERS",
    "SIDES",
    "AnnotationError",
    "inside",
    "read",
    "write",
]

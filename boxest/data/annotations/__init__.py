"""Tables of boxes: one object per image, from CSV, COCO, Pascal VOC and other tools' files.

Whatever the format, a box becomes ``x1, y1, x2, y2`` in pixels of the image as it is shown, from 0
at its upper left edge, half open: a box around the whole image is ``0, 0, width, height``.

- CSV: columns ``image`` (or ``filename``) and either ``x1, y1, x2, y2``, taken as above, or
  ``xmin, ymin, xmax, ymax``, taken as in VOC, where tables of that kind come from; optional
  ``width, height`` of the image and ``label`` (or ``class``). Others are passed over.
- COCO: ``bbox`` is x, y, width, height, measured from 0 (cocodataset.org, "Data format").
  Annotations of crowds (``iscrowd``) are not of one object, and are passed over.
- VOC: an XML file per image, in sub-folders as well. Pixels are counted from 1 and xmax, ymax
  belong to the box (VOC2012 development kit, "Annotations": the upper left pixel is (1, 1)), so
  that x1 = xmin - 1, x2 = xmax.

- YOLO, LabelMe, CVAT and folders of masks: see `boxest.annotations.tools` and
  `boxest.annotations.masks`. OpenImages is CSV with ``ImageID, XMin, XMax, YMin, YMax``.

Where a file means something else, ``coordinates`` says so. A box may pass the edge of its image by
less than half a pixel, and is cut off there. Nothing in such a file is trusted: XML with a document
type, where entities are, is refused.
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

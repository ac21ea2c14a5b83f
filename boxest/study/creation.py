"""Create a folder for a study of your own, ready for ``snakemake``."""

import os
from importlib import resources
from pathlib import Path
from string import Template

import boxest
from boxest.system.files import atomic_folder, write_text

_FILES = {
    "Snakefile": "Snakefile",
    "profiles/default/config.yaml": "profile.yaml",
    "config/config.yaml": "config.yaml",
    "README.md": "README.md",
}
_DRAWN = {
    "data": """\
data:
  source: synthetic             # white boxes on black, drawn; `scene` makes them harder
  images: 2500
  image_size: 64                # px
  split: [0.8, 0.1, 0.1]        # training, validation, test
  box_law: {max_side: 64}       # px
  # scene: {noise: 0.1, blur: 1.0, discs: 3}
""",
    "settings": """\
  network: paper                # or profile, roi, marginal, or my.py:function
  loss: inclusive_iou           # or iou, giou, giou_l1, ...
  optimizer: sgd                # or adam, momentum, {name: sgd, momentum: 0.5}""",
    "epochs": "10",
    "batch_sizes": "[4, 16, 64]",
    "learning_rates": "[1.0e-2, 1.0e-1]",
}
_PHOTOGRAPHS = {
    "data": """\
data:
  source: photographs
  folder: {photographs}
  boxes: {boxes}
  # label: cup                  # use only objects with this name
  # several: largest            # if a photograph has several boxes
  image_size: 64                # px, to which photographs are resized; or [height, width]
  channels: 3                   # colour; 1: grey levels
  mode: pad                     # keep the aspect ratio; stretch: change it
  split: [0.8, 0.1, 0.1]        # training, validation, test; or three files with names
""",
    "settings": """\
  network: marginal             # for pictures of any kind; or my.py:function
  loss: giou_l1
  optimizer: adam
  schedule: cosine
  augmentation: default         # null: none
  restore_best_weights: true    # those of the epoch with the smallest validation loss""",
    "epochs": "20",
    "batch_sizes": "[8, 32]",
    "learning_rates": "[1.0e-3, 3.0e-3]",
}


def create(
    folder: str | os.PathLike,
    photographs: str | os.PathLike | None = None,
    boxes: str | os.PathLike | None = None,
) -> Path:
    """Write a new study: commented configuration, Snakefile, profile and README.

    Parameters
    ----------
    folder : path-like
        Output folder; it must not exist, or must be empty. It is written completely or not at all.
    photographs, boxes : path-like, optional
        A folder of photographs and a table of their boxes (`boxest.annotations.read`) to learn
        from. By default, boxes are drawn.

    Returns
    -------
    pathlib.Path
        The folder; ``snakemake`` there runs the study with the workflow of the installed package.

    Raises
    ------
    ValueError
        If only one of photographs and boxes is given.
    OSError
        If the folder exists and is not empty, or a named file does not exist.
    """
    if (photographs is None) != (boxes is None):
        raise ValueError("Photographs and the table of their boxes belong together: name both.")
    values = _DRAWN
    if photographs is not None:
        named = {"photographs": _path(photographs, folder), "boxes": _path(boxes, folder)}
        values = _PHOTOGRAPHS | {"data": _PHOTOGRAPHS["data"].format(**named)}
    values = values | {"name": Path(folder).resolve().name, "version": boxest.__version__}
    template = resources.files("boxest.study") / "template"
    with atomic_folder(folder) as made:
        for path, name in _FILES.items():
            text = (template / name).read_text("utf-8")
            write_text(made / path, Template(text).substitute(values))
    return Path(folder)


def snakefile() -> str:
    """Return the path of the workflow: in the installed package, or next to it in a clone."""
    package = Path(boxest.__file__).parent
    for folder in (package, package.parent):
        if (path := folder / "workflow" / "Snakefile").is_file():
            return str(path)
    raise FileNotFoundError(
        f"The workflow is neither in {package} nor next to it: install boxest again."
    )


def _path(path: str | os.PathLike, folder: str | os.PathLike) -> str:
    """Return a path for the configuration, quoted for YAML."""
    found = Path(path).absolute()
    if not found.exists():
        raise FileNotFoundError(f"{path} does not exist.")
    study = Path(folder).absolute()
    inside = found.relative_to(study) if found.is_relative_to(study) else found
    return "'" + str(inside).replace("'", "''") + "'"

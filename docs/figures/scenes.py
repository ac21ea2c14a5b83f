"""Draw docs/figures/scenes.png, a row of images for each option: python docs/figures/scenes.py."""

from pathlib import Path

from boxest import figures
from boxest.data.synthetic import Scene, make

SCENES = {
    "the paper's": Scene(),
    "noise 0.2": Scene(noise=0.2),
    "object_level 0..1\nbackground_level 0..1": Scene(
        object_level=(0, 1), background_level=(0, 1), contrast=0.2
    ),
    "blur 3 px": Scene(blur=3),
    "texture 0.25\ntexture_scale 4 px": Scene(texture=0.25),
    "discs 6": Scene(discs=6),
    "lines 6": Scene(lines=6),
    "rotation 40°": Scene(rotation=40),
    "hidden 0.5": Scene(hidden=0.5),
    "a little of each": Scene(
        noise=0.08,
        object_level=(0.5, 1),
        background_level=(0, 0.4),
        contrast=0.25,
        blur=1,
        texture=0.08,
        discs=2,
        lines=2,
        rotation=20,
        hidden=0.25,
    ),
}


def draw():
    """Return the figure: six images of each scene, of the same boxes."""
    return figures.scenes(
        {name: make(9, 15, seed=0, scene=scene) for name, scene in SCENES.items()}
    )


if __name__ == "__main__":
    png, pdf = figures.save(draw(), Path(__file__).with_suffix(".png"))
    pdf.unlink()
    print(png)

"""Every style on a dark, a bright, a grey and a colour picture: docs/styles.md and its pictures.

The cat of `models/images/` by EfficientNet-Lite0, each variant explained by itself; a drawn shape
by `shapes_torch.onnx`; a drawn volume by `lesions_keras.onnx`.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/style_gallery.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import cv2
import numpy as np

import onnxcam
from onnxcam.images import Picture, read_image, write_image
from onnxcam.overlay import COLORMAPS, STYLES, Look, View, colorize, fitted, grid, render
from onnxcam.overlay.style import SHEETS
from onnxcam.volumes import as_volume

ROOT = Path(__file__).resolve().parents[1]
PAGE, FOLDER = ROOT / "docs" / "styles.md", ROOT / "docs" / "images" / "styles"
MODELS = ROOT / "models"
SIDE = 320

sys.path.insert(0, str(ROOT / "scripts" / "models"))
import shapes  # noqa: E402
import volumes  # noqa: E402

Explained = tuple[Picture, np.ndarray]


def explained(model: str, picture: Picture) -> Explained:
    """A picture in the gallery's size and its heat."""
    picture = fitted(picture, SIDE)
    found = onnxcam.explain(MODELS / model, picture)
    assert isinstance(found, onnxcam.Explanation)
    return picture, found.heat


def pictures() -> dict[str, Explained]:
    """The cat dark, bright, grey and as it is, and a drawn star."""
    cat = read_image(MODELS / "images" / "chelsea.png")[:, 50:400]
    grey = np.repeat(cv2.cvtColor(cat, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    variants = {
        "dark": (cat * 0.3).astype(np.uint8),
        "bright": (255 - (255 - cat) * 0.35).astype(np.uint8),
        "grey": grey,
        "colour": cat,
    }
    found = {name: explained("efficientnet_lite0.onnx", one) for name, one in variants.items()}
    star = shapes.draw(shapes.HELD_BACK[11]).image
    return {**found, "drawn": explained("shapes_torch.onnx", star)}


def write(name: str, picture: Picture) -> None:
    write_image(FOLDER / f"{name}.jpg", picture)
    print(name, picture.shape, flush=True)


def style_sheets() -> None:
    """One sheet a style."""
    subjects = pictures()
    for style in STYLES:
        if style in SHEETS:
            write(style, render(*subjects["colour"], Look(style, colormap="rainbow"), View()))
        else:
            drawn = [render(*subject, Look(style), View()) for subject in subjects.values()]
            write(style, grid(drawn, list(subjects), columns=len(drawn)))


def volume_sheets() -> None:
    """A volume with a lesion: three planes, a montage, and a slice as panel and as fusion."""
    drawn = next(one for one in map(volumes.draw, volumes.HELD_BACK) if one.label)
    found = onnxcam.explain(MODELS / "lesions_keras.onnx", drawn.values)
    assert isinstance(found, onnxcam.Explanation)
    volume = as_volume(drawn.values)
    fade = Look("fade", colormap="inferno")
    write("planes", render(volume, found.heat, fade, View("planes")))
    write("montage", render(volume, found.heat, fade, View("montage", axis=0, count=8)))
    panel = Look("panel", colormap="rainbow", base="bone")
    write("volume-panel", render(volume, found.heat, panel, View(axis=1, rotate=1)))
    fusion = render(volume, found.heat, Look("fusion", enlarge=4), View(axis=1, rotate=1))
    write("volume-fusion", fusion)


def colormap_sheet() -> None:
    """Every colormap from 0 to 1."""
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (24, 1))
    write("colormaps", grid([colorize(ramp, name) for name in COLORMAPS], list(COLORMAPS), 4))


def page() -> str:
    """docs/styles.md."""
    rows = []
    for name, style in STYLES.items():
        usual = "1 - a" if style.beta is None else f"{style.beta:g}"
        alpha = f"{style.alpha:g}" if re.search(r"\ba [Ch]|opacity a", style.formula) else ""
        beta = usual if "b P" in style.formula else ""
        rows.append(
            f"| [`{name}`](#{name}) | {style.formula} | {alpha} | {beta} "
            f"| {style.threshold:g} | `{style.colormap}` | {style.used_by} |"
        )
    shown = [
        f"## {name}\n\n{NOTES.get(name, '')}![{name}](images/styles/{name}.jpg)\n"
        for name in STYLES
    ]
    return "\n".join([INTRODUCTION, *rows, "", *shown, VOLUMES])


INTRODUCTION = """# Styles

How heat is drawn on what was explained: `--style` on the command line, `Look(style=...)` in Python.
C are the heat's colours, P is the picture, h the heat in [0, 1], a (`alpha`) the weight of the heat
and b (`beta`) that of the picture. Left out, they are the style's own, as are `threshold` and
`colormap`. `gamma` raises the heat to a power first; below `threshold` the picture stays as it is;
`enlarge` makes the finished picture larger. All but `panel` and
`heatmap-bar` have the picture's own size.

Each is shown on a dark, a bright, a grey and a colour picture of a cat, with the heat of
EfficientNet-Lite0, and on a drawn star. Made by `python scripts/style_gallery.py`.

| style | formula | a | b | threshold | colormap | used for |
|---|---|---|---|---|---|---|"""

NOTES = {
    "sum": "Bright pictures turn white: it is made for dark ones.\n\n",
    "fusion": """Made for scans. Step by step: heat below 0.3 is dropped; the background, what is
exactly black (or, where the edge is faint noise, all that is as dark and hangs together with it),
becomes white; of the colours those with a grey level above 80 are added to the picture at full
strength with the weight 0.4, cut off at white. In `rainbow` the last three of 256 reds are as dark
as that, so the very hottest place stays free; in `jet` everything above 0.87 is.

""",
    "contour": "The outline is black or white, whichever has the higher contrast to the line.\n\n",
}

VOLUMES = """## Volumes

`View(layout="planes")`: one slice along each axis through the hottest voxel.

![planes](images/styles/planes.jpg)

`View(layout="montage", axis=0, count=8)`: slices evenly spread, the hottest among them.

![montage](images/styles/montage.jpg)

`View(axis=1, rotate=1)`, a slice turned by 90 degrees, with `Look("panel", colormap="rainbow",
base="bone")`; grey values reach from the volume's least to its largest, or over `window`:

![panel of a slice](images/styles/volume-panel.jpg)

and with `Look("fusion", enlarge=4)`:

![fusion of a slice](images/styles/volume-fusion.jpg)

## Colormaps

OpenCV's, `gray`, and matplotlib's `rainbow` (OpenCV's is `cv-rainbow`).

![colormaps](images/styles/colormaps.jpg)
"""


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    style_sheets()
    volume_sheets()
    colormap_sheet()
    PAGE.write_text(page(), encoding="utf-8")

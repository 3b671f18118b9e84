"""One picture, every method: docs/gallery.md and its pictures.

The cat of `models/images/` by EfficientNet-Lite0; what reads attention is shown on
a picture of shapes by the small vision transformer. Each method runs as it comes, with its
default parameters and the automatic layer.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/gallery.py [METHOD ...]
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import onnxcam
from onnxcam.images import read_image, write_image
from onnxcam.methods import methods

ROOT = Path(__file__).resolve().parents[1]
PAGE, FOLDER = ROOT / "docs" / "gallery.md", ROOT / "docs" / "images" / "gallery"
SIDE, COLUMNS = 224, 4
FEWER = {"sscam": {"num_samples": 4}}
"""Parameters in place of defaults that would take a quarter of an hour."""

sys.path.insert(0, str(ROOT / "scripts" / "models"))
import shapes  # noqa: E402


@dataclass(frozen=True)
class Subject:
    """A model and a picture for it."""

    model: Path
    picture: np.ndarray

    def explained(self, method: str) -> onnxcam.Explanation:
        found = onnxcam.Explainer(self.model, method, **FEWER.get(method, {})).explain(self.picture)
        assert isinstance(found, onnxcam.Explanation)
        return found


def subjects() -> tuple[Subject, Subject]:
    """The cat for all, and shapes for what needs attention."""
    models = ROOT / "models"
    cat = read_image(models / "images" / "chelsea.png")
    middle = (cat.shape[1] - cat.shape[0]) // 2
    square = cat[:, middle : middle + cat.shape[0]]
    star = shapes.draw(shapes.HELD_BACK[11]).image
    return (
        Subject(models / "efficientnet_lite0.onnx", square),
        Subject(models / "shapes_vit.onnx", cv2.resize(star, (SIDE, SIDE))),
    )


def shown(subject: Subject, method: str) -> tuple[np.ndarray, str]:
    """The overlay in the page's size, and what it is a picture of."""
    start = time.perf_counter()
    found = subject.explained(method)
    print(f"{method}: {time.perf_counter() - start:.1f} s", *found.warnings, flush=True)
    overlay = cv2.resize(found.overlay(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return overlay, str(found.target)


def main(names: list[str]) -> None:
    cat, star = subjects()
    FOLDER.mkdir(parents=True, exist_ok=True)
    cells = []
    for method in methods():
        attends = not {"attention", "tokens"}.isdisjoint(method.needs)
        file = FOLDER / f"{method.name.replace('+', 'p')}.jpg"
        if not names or method.name in names:
            overlay, _ = shown(star if attends else cat, method.name)
            write_image(file, overlay)
        cells.append(f"![{method.title}](images/gallery/{file.name})<br>`{method.name}`")
    rows = [cells[k : k + COLUMNS] for k in range(0, len(cells), COLUMNS)]
    rows[-1] += [""] * (COLUMNS - len(rows[-1]))
    table = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "|" + "---|" * COLUMNS
    PAGE.write_text("\n".join([INTRODUCTION, table[0], rule, *table[1:]]) + "\n", encoding="utf-8")


INTRODUCTION = """# Gallery

Why does EfficientNet-Lite0 call this an Egyptian cat? One picture, every method that
`onnxcam methods` lists, each with its defaults (SS-CAM with 4 noisy copies) at the automatic
layer, the positive part of its map drawn over the picture. What reads attention is shown on a
star and the small vision transformer of `models/`. Made by `python scripts/gallery.py`; what the
methods compute is in [methods](methods.md).
"""


if __name__ == "__main__":
    main(sys.argv[1:])

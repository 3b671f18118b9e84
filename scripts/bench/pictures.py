"""JPEG files to read, made of the repository's pictures."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

import cv2

IMAGES = Path(__file__).resolve().parents[2] / "models" / "images"
COUNT = 48


def jpegs(folder: Path, side: int) -> tuple[str, ...]:
    """Paths of `COUNT` files of that many pixels on their longer side; the pictures repeat."""
    place = folder / str(side)
    place.mkdir(parents=True, exist_ok=True)
    paths = []
    for source in sorted(p for p in IMAGES.iterdir() if p.suffix in (".png", ".jpg")):
        path = place / f"{source.stem}.jpg"
        if not path.exists():
            picture = cv2.imread(str(source))
            scale = side / max(picture.shape[:2])
            cv2.imwrite(str(path), cv2.resize(picture, None, fx=scale, fy=scale))
        paths.append(str(path))
    return tuple(islice(cycle(paths), COUNT))

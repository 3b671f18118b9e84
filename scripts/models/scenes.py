"""Pictures of several shapes at once, with the box and the exact mask of each, for detectors.

Drawn from a seed with the pieces of `shapes.py`; a picture is a function of its seed alone.
"""

from dataclasses import dataclass

import numpy as np
import shapes

OBJECTS = (2, 4)
"""Fewest and most shapes on a picture."""
DIAMETER = (20.0, 36.0)
"""Smallest and largest diameter, in pixels, of the circle drawn around an object."""
HELD_BACK = range(1_000_000, 1_000_100)

_TRIES = 40


@dataclass(frozen=True)
class Scene:
    """One picture: `image` (96, 96, 3) uint8 RGB; of its n objects `labels` (n,) int64, indices
    into `shapes.CLASSES`, `boxes` (n, 4) float32, x1 y1 x2 y2 in pixels, and `masks` (n, 96, 96)
    bool. No two objects touch."""

    image: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray


def draw(seed: int) -> Scene:
    """Draw the picture that belongs to `seed`."""
    rng = np.random.default_rng(seed)
    picture = shapes.background(rng)
    labels, masks = [], []
    for centre, radius in _places(rng):
        label = int(rng.integers(len(shapes.CLASSES)))
        turn = rng.uniform(0, 2 * np.pi)
        coverage, silhouette = shapes.cover(shapes.CLASSES[label], radius, centre, turn)
        picture = shapes.paint(rng, picture, coverage, silhouette)
        labels.append(label)
        masks.append(silhouette > 0.5)
    picture += rng.normal(0, rng.uniform(2, 10), picture.shape)
    image = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    boxes = np.array([_box(mask) for mask in masks], np.float32)
    return Scene(image, np.array(labels, np.int64), boxes, np.stack(masks))


def _places(rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """Centres and radii of circles that do not meet."""
    wanted = int(rng.integers(OBJECTS[0], OBJECTS[1] + 1))
    found: list[tuple[np.ndarray, float]] = []
    for _ in range(_TRIES):
        radius = rng.uniform(*DIAMETER) / 2
        centre = rng.uniform(radius + 1, shapes.SIZE - radius - 1, 2)
        if all(np.linalg.norm(centre - c) > radius + r + 2 for c, r in found):
            found.append((centre, radius))
        if len(found) == wanted:
            break
    return found


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 around a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1

"""Procedural pictures of six shapes, with the exact mask of the shape: numpy and OpenCV only.

The same little network is trained on these pictures in PyTorch, Keras and Paddle (`train_*.py`).
Because every picture comes with a mask, "does the heatmap point at the object?" has an answer that
needs no human and no framework.

The class is the shape and nothing else: colour, size, place, rotation and background are drawn
independently of it. A picture is a function of its seed alone. Training uses seeds from 0 upwards;
`HELD_BACK` is never trained on.
"""

from dataclasses import dataclass

import cv2
import numpy as np

CLASSES: tuple[str, ...] = ("circle", "square", "triangle", "star", "cross", "ring")
SIZE = 96
DIAMETER = (32.0, 56.0)
"""Smallest and largest diameter, in pixels, of the circle drawn around an object."""
HELD_BACK = range(1_000_000, 1_000_200)

_FINE = 4  # shapes are filled at four times the resolution and averaged down: smooth edges
_YS, _XS = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1) - 0.5
_HOLE = 0.55  # inner radius of the ring, as a fraction of the outer one


@dataclass(frozen=True)
class Picture:
    """One picture: `image` (96, 96, 3) uint8 RGB, `label` an index into `CLASSES`, `mask` (96, 96)
    bool, True on the object. A ring's mask is its filled disc: the hole belongs to the object."""

    image: np.ndarray
    label: int
    mask: np.ndarray


def draw(seed: int) -> Picture:
    """Draw the picture that belongs to `seed`."""
    rng = np.random.default_rng(seed)
    label = int(rng.integers(len(CLASSES)))
    radius = rng.uniform(*DIAMETER) / 2
    centre = rng.uniform(radius + 2, SIZE - radius - 2, 2)
    coverage, silhouette = cover(CLASSES[label], radius, centre, rng.uniform(0, 2 * np.pi))
    picture = paint(rng, background(rng), coverage, silhouette)
    picture += rng.normal(0, rng.uniform(2, 10), picture.shape)
    image = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return Picture(image, label, silhouette > 0.5)


def draw_many(seeds: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, 96, 96, 3) uint8, labels (N,) int64 and masks (N, 96, 96) bool of some seeds."""
    pictures = [draw(seed) for seed in seeds]
    return (
        np.stack([p.image for p in pictures]),
        np.array([p.label for p in pictures], np.int64),
        np.stack([p.mask for p in pictures]),
    )


def cover(
    name: str, radius: float, centre: np.ndarray, rotation: float
) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel a shape covers, and its silhouette (a ring's has no hole): (96, 96)
    float64 in [0, 1]; `centre` is (x, y)."""
    outline = _outline(name, rotation) * radius + centre
    silhouette = _fill(outline)
    if name != "ring":
        return silhouette, silhouette
    return silhouette - _fill((outline - centre) * _HOLE + centre), silhouette


def paint(
    rng: np.random.Generator, picture: np.ndarray, coverage: np.ndarray, silhouette: np.ndarray
) -> np.ndarray:
    """The picture, float64, with a shape on it, in a colour that stands out."""
    colour = _contrasting(rng, picture, silhouette > 0.5)
    alpha = coverage[..., None]
    return picture * (1 - alpha) + (colour + _shading(rng)) * alpha


def _outline(name: str, rotation: float) -> np.ndarray:
    """Corners (n, 2) of a shape inside the unit circle."""
    if name in ("circle", "ring"):
        corners = _regular(72)
    elif name == "square":
        corners = _regular(4)
    elif name == "triangle":
        corners = _regular(3)
    elif name == "star":
        corners = _regular(10)
        corners[1::2] *= 0.45
    else:  # cross: four arms, each a third of the whole wide
        arm, tip = 0.33, (1 - 0.33**2) ** 0.5
        quarter = np.array([[tip, -arm], [tip, arm], [arm, arm]])
        turn = np.array([[0, 1], [-1, 0]])
        corners = np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])
    cos, sin = np.cos(rotation), np.sin(rotation)
    return corners @ np.array([[cos, sin], [-sin, cos]])


def _regular(corners: int) -> np.ndarray:
    angles = np.arange(corners) * 2 * np.pi / corners
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _fill(outline: np.ndarray) -> np.ndarray:
    """How much of each pixel a polygon covers, float64 in [0, 1]."""
    fine = np.zeros((SIZE * _FINE, SIZE * _FINE), np.uint8)
    cv2.fillPoly(fine, [np.rint(outline * _FINE).astype(np.int32)], 255)
    return cv2.resize(fine, (SIZE, SIZE), interpolation=cv2.INTER_AREA) / 255.0


def background(rng: np.random.Generator) -> np.ndarray:
    """A gradient with soft clouds, crossed by lines and strewn with long thin blobs."""
    angle = rng.uniform(0, 2 * np.pi)
    ramp = _XS * np.cos(angle) + _YS * np.sin(angle) + 0.5
    start, stop = rng.uniform(0, 255, (2, 3))
    clouds = cv2.resize(
        rng.normal(0, rng.uniform(5, 25), (6, 6, 3)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC
    )
    canvas = np.clip(start + (stop - start) * ramp[..., None] + clouds, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(2, 8)):
        (x0, y0), (x1, y1) = rng.integers(0, SIZE, (2, 2)).tolist()
        colour, width = rng.integers(0, 256, 3).tolist(), int(rng.integers(1, 3))
        cv2.line(canvas, (x0, y0), (x1, y1), colour, width, cv2.LINE_AA)
    for _ in range(rng.integers(2, 6)):
        place = tuple(rng.integers(0, SIZE, 2).tolist())
        length = int(rng.integers(6, 12))
        axes = (length, int(rng.integers(2, 4)))
        colour = rng.integers(0, 256, 3).tolist()
        turn, sweep = rng.uniform(0, 360), rng.uniform(150, 360)
        cv2.ellipse(canvas, place, axes, turn, 0, sweep, colour, -1, cv2.LINE_AA)
    return canvas.astype(np.float64)


def _contrasting(rng: np.random.Generator, background: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Of four random colours the one that stands out best from what lies behind the object."""
    candidates = rng.uniform(0, 255, (4, 3))
    behind = background[where].mean(0)
    return candidates[np.linalg.norm(candidates - behind, axis=1).argmax()]


def _shading(rng: np.random.Generator) -> np.ndarray:
    """A faint ramp of light across the object, (96, 96, 1)."""
    angle = rng.uniform(0, 2 * np.pi)
    return (rng.uniform(0, 60) * (_XS * np.cos(angle) + _YS * np.sin(angle)))[..., None]

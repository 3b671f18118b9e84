"""Procedural volumes with and without a lesion, and its exact mask: numpy and OpenCV only.

A volume is a roundish body of tissue with two dark chambers, veins and specks, under a slow change
of brightness and noise. Half of them hold a lesion: a soft-edged bright ellipsoid somewhere in
the tissue. Veins (long and thin) and specks (small) are as bright as a lesion and are in both
classes, so neither brightness nor size alone gives it away.

A volume is a function of its seed alone. Training uses seeds from 0 upwards; `HELD_BACK` is never
trained on.
"""

from dataclasses import dataclass

import cv2
import numpy as np

LABELS: tuple[str, ...] = ("healthy", "lesion")
SIZE = (40, 48, 40)
"""Depth, height, width."""
RADIUS = (4.0, 8.0)
"""Smallest and largest half axis of a lesion, in voxels."""
HELD_BACK = range(1_000_000, 1_000_400)

_GRID = np.stack(np.meshgrid(*(np.arange(n) for n in SIZE), indexing="ij"), -1).astype(np.float32)
_MIDDLE = (np.array(SIZE, np.float32) - 1) / 2


@dataclass(frozen=True)
class Volume:
    """One volume: `values` (40, 48, 40) float32 in [0, 1], `label` an index into `LABELS`, `mask`
    (40, 48, 40) bool, True in the lesion."""

    values: np.ndarray
    label: int
    mask: np.ndarray


def draw(seed: int) -> Volume:
    """Draw the volume that belongs to `seed`."""
    rng = np.random.default_rng(seed)
    label = int(rng.integers(2))
    turn = _rotation(rng)
    half = _MIDDLE * rng.uniform(0.86, 0.98, 3)
    body = _ellipsoid(_MIDDLE, half, np.eye(3), 1.5)
    values = body * rng.uniform(0.35, 0.45)
    for side in (-1, 1):
        centre = _MIDDLE + np.array([0, rng.uniform(-2, 2), side * rng.uniform(4, 6)])
        chamber = _ellipsoid(centre, rng.uniform((5, 6, 2), (9, 10, 3.5)), turn, 1.0)
        values *= 1 - 0.7 * chamber
    for _ in range(rng.integers(3, 7)):
        values = np.maximum(values, _vein(rng, half) * rng.uniform(0.6, 0.9))
    for _ in range(rng.integers(4, 9)):
        speck = _ellipsoid(_inside(rng, half, 0.9), rng.uniform(0.8, 1.8, 3), np.eye(3), 0.7)
        values = np.maximum(values, speck * rng.uniform(0.6, 0.9))
    mask = np.zeros(SIZE, bool)
    if label:
        centre, axes = _inside(rng, half, 0.6), rng.uniform(*RADIUS, 3)
        lesion = _ellipsoid(centre, axes, _rotation(rng), 1.5)
        values = np.maximum(values, lesion * rng.uniform(0.6, 0.9))
        mask = lesion > 0.5
    slow = _clouds(rng, 4) * rng.uniform(0.02, 0.08) * body
    values += slow + rng.normal(0, rng.uniform(0.01, 0.05), SIZE)
    return Volume(np.clip(values, 0, 1).astype(np.float32), label, mask)


def draw_many(seeds: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (N, 40, 48, 40) float32, labels (N,) int64 and masks (N, 40, 48, 40) bool."""
    volumes = [draw(seed) for seed in seeds]
    return (
        np.stack([v.values for v in volumes]),
        np.array([v.label for v in volumes], np.int64),
        np.stack([v.mask for v in volumes]),
    )


def _ellipsoid(centre: np.ndarray, half: np.ndarray, turn: np.ndarray, edge: float) -> np.ndarray:
    """1 inside, 0 outside, with an edge that many voxels wide."""
    away = np.linalg.norm((_GRID - centre.astype(np.float32)) @ turn / half, axis=-1)
    return np.clip((1 - away) * float(np.min(half)) / edge + 0.5, 0, 1)


def _inside(rng: np.random.Generator, half: np.ndarray, reach: float) -> np.ndarray:
    """A place in the body, no farther out than `reach` of it."""
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    return _MIDDLE + direction * half * reach * rng.uniform() ** (1 / 3)


def _vein(rng: np.random.Generator, half: np.ndarray) -> np.ndarray:
    """A thin tube along a bent line through the body."""
    ends = np.stack([_inside(rng, half, 0.95) for _ in range(3)])
    t = np.linspace(0, 1, 24)[:, None]
    line = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * ends[1] + t**2 * ends[2]
    nearest = np.full(SIZE, np.inf)
    for point in line.astype(np.float32):
        nearest = np.minimum(nearest, np.linalg.norm(_GRID - point, axis=-1))
    return np.clip(rng.uniform(1.0, 1.6) - nearest + 0.5, 0, 1)


def _clouds(rng: np.random.Generator, coarse: int) -> np.ndarray:
    """Slowly varying values around 0."""
    plane = rng.normal(size=(coarse, coarse * coarse)).astype(np.float32)
    rows = cv2.resize(plane, (coarse * coarse, SIZE[0]), interpolation=cv2.INTER_CUBIC)
    cube = rows.reshape(SIZE[0], coarse, coarse)
    return np.stack([cv2.resize(p, SIZE[:0:-1], interpolation=cv2.INTER_CUBIC) for p in cube])


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """A random rotation of space."""
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q.astype(np.float32)

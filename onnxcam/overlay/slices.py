"""Volumes, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from onnxcam.errors import VolumeError
from onnxcam.images import Picture
from onnxcam.overlay.colormaps import colorize
from onnxcam.overlay.contrast import BLACK, WHITE
from onnxcam.overlay.drawing import draw
from onnxcam.overlay.look import Look, View
from onnxcam.overlay.sheet import placed, resized, scaled
from onnxcam.volumes.volume import Volume

_PLANES = ("sagittal", "coronal", "axial")
"""What slices across the world's x, y and z axes are called."""


@dataclass(frozen=True)
class Slice:
    """One slice: its picture, uint8 RGB (H, W, 3), its heat (H, W), its name, the height and width
    of a pixel in millimetres (or voxels), and where the volume's hottest voxel lies in it."""

    picture: Picture
    heat: np.ndarray
    caption: str
    pixel: tuple[float, float]
    hottest: tuple[int, int]


def draw_volume(volume: Volume, heat: np.ndarray, look: Look, view: View) -> Picture:
    """Heat (D, H, W) in [0, 1] on the slices of a volume that a view asks for.

    One slice has a pixel a voxel; several are on a sheet with captions, with square pixels where
    the volume says how large its voxels are. Raises `VolumeError`.
    """
    if heat.shape != volume.size:
        raise VolumeError(f"heat {heat.shape} is not of the volume's size {volume.size}")
    found = slices(volume, heat, look, view)
    if view.layout == "slice":
        return draw(found[0].picture, found[0].heat, look)
    drawn = [_squared(draw(one.picture, one.heat, look), one.pixel) for one in found]
    cells = scaled(drawn)  # by one factor: what is in proportion stays so
    if view.layout == "planes":
        cells = [_crossed(*pair) for pair in zip(cells, found, strict=True)]
    return placed(cells, [one.caption for one in found])


def slices(volume: Volume, heat: np.ndarray, look: Look, view: View) -> list[Slice]:
    """The slices that a view asks for. Raises `VolumeError` where the volume has no such one."""
    pictures = _Pictures(volume, heat, look.base, view)
    hottest = pictures.hottest
    if view.layout == "planes":
        return [pictures.slice(axis, hottest[axis]) for axis in range(3)]
    count = volume.size[view.axis]
    index = _index(view.index, count, hottest[view.axis])
    if not -count <= index < count:
        raise VolumeError(f"no slice {index} across axis {view.axis}: there are {count}")
    if view.layout == "slice":
        return [pictures.slice(view.axis, index % count)]
    return [pictures.slice(view.axis, k) for k in _spread(count, view.count, index % count)]


def _index(asked: int | str | None, count: int, hottest: int) -> int:
    if asked is None:
        return hottest
    return count // 2 if isinstance(asked, str) else asked


def _spread(length: int, count: int, index: int) -> list[int]:
    """`count` slices evenly spread over `length`, the one next to `index` moved there."""
    count = min(count, length)
    found = [int((k + 0.5) * length / count) for k in range(count)]
    found[min(range(count), key=lambda k: abs(found[k] - index))] = index
    return found


class _Pictures:
    """Slices of one volume as pictures, all with the same window."""

    def __init__(self, volume: Volume, heat: np.ndarray, base: str, view: View) -> None:
        self._volume, self._heat, self._base, self._view = volume, heat, base, view
        finite = volume.values[np.isfinite(volume.values)]
        full = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        self._low, self._high = view.window or full
        self.hottest = _hottest(heat)

    def slice(self, axis: int, index: int) -> Slice:
        values = np.take(self._volume.values, index, axis)
        across = [k for k in range(3) if k != axis]
        row, column = (self.hottest[k] for k in across)
        height, width = (_voxel(self._volume)[k] for k in across)
        rows, columns = values.shape[:2]
        for _ in range(self._view.rotate % 4):
            row, column = columns - 1 - column, row
            rows, columns, height, width = columns, rows, width, height
        turned = np.rot90(values, self._view.rotate)
        heat = np.rot90(np.take(self._heat, index, axis), self._view.rotate)
        named = f"{_plane(self._volume, axis)} {index} of {self._volume.size[axis]}"
        picture, heat = self._picture(turned), np.ascontiguousarray(heat, np.float32)
        return Slice(picture, heat, named, (height, width), (row, column))

    def _picture(self, values: np.ndarray) -> Picture:
        """(H, W, C) in the window: three channels are colours, of others the first is shown."""
        span = self._high - self._low or 1.0
        unit = np.clip((np.nan_to_num(values, nan=self._low) - self._low) / span, 0, 1)
        # Black is the least value alone, never dark tissue: `fusion` looks for the background.
        unit = np.where(unit > 0, np.maximum(unit, 1.01 / 255), 0)
        if unit.shape[2] == 3:
            return np.rint(unit * 255).astype(np.uint8)
        return colorize(np.ascontiguousarray(unit[..., 0]), self._base)


def _hottest(heat: np.ndarray) -> tuple[int, ...]:
    """The hottest voxel, the middle one where all are the same."""
    if heat.min() == heat.max():
        return tuple(length // 2 for length in heat.shape)
    return tuple(int(k) for k in np.unravel_index(int(heat.argmax()), heat.shape))


def _voxel(volume: Volume) -> Sequence[float]:
    """The edges of a voxel in millimetres; 1 each where the volume does not tell."""
    if volume.affine is None:
        return (1.0, 1.0, 1.0)
    edges = np.linalg.norm(volume.affine[:3, :3], axis=0)
    return tuple(edges) if (edges > 0).all() and np.isfinite(edges).all() else (1.0, 1.0, 1.0)


def _plane(volume: Volume, axis: int) -> str:
    """What slices across an axis are called: by the world's axis that it runs along most."""
    if volume.affine is None:
        return f"axis {axis}:"
    return _PLANES[int(np.argmax(abs(volume.affine[:3, axis])))]


def _squared(picture: Picture, pixel: tuple[float, float]) -> Picture:
    """A picture whose pixels have that height and width, with square ones."""
    height, width = (edge / min(pixel) for edge in pixel)
    return resized(picture, height, width)


def _crossed(picture: Picture, one: Slice) -> Picture:
    """A slice with lines through the hottest voxel, open around it: white between black."""
    rows, columns = picture.shape[:2]
    y = round((one.hottest[0] + 0.5) * rows / one.heat.shape[0])
    x = round((one.hottest[1] + 0.5) * columns / one.heat.shape[1])
    gap = max(rows, columns) // 12
    ends = (
        ((0, y), (x - gap, y)),
        ((x + gap, y), (columns, y)),
        ((x, 0), (x, y - gap)),
        ((x, y + gap), (x, rows)),
    )
    drawn = picture.copy()
    for color, width in ((BLACK, 3), (WHITE, 1)):
        for start, end in ends:
            if min(end) >= 0 and start[0] <= columns and start[1] <= rows:
                cv2.line(drawn, start, end, color, width)
    return drawn

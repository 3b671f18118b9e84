"""TIFF files of several pages: one page a slice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxcam.array_files import reading
from onnxcam.arrays import as_values, refuse_large
from onnxcam.errors import VolumeError
from onnxcam.volumes.volume import Volume

if TYPE_CHECKING:
    from PIL import Image

_BITS, _SAMPLE_FORMAT = 258, 339
_UNSIGNED, _SIGNED = 1, 2

_MISREAD = {(8, _SIGNED): np.int8, (32, _UNSIGNED): np.uint32}
"""By bits and sample format, what Pillow reads with the other signedness."""


def read(path: Path) -> Volume:
    """Values (pages, rows, columns, channels) as stored; raises `VolumeError`."""
    with reading(path):
        if not path.stat().st_size:
            raise VolumeError(f"{path}: the file is empty")
        from PIL import Image, ImageSequence  # few volumes are TIFF, and it is slow to import

        with Image.open(path, formats=["TIFF"]) as image:
            width, height = image.size
            pages = getattr(image, "n_frames", 1)
            refuse_large((pages, height, width, len(image.getbands())), str(path))
            slices = [_page(page, path) for page in ImageSequence.Iterator(image)]
    shapes = sorted({page.shape for page in slices})
    if len(shapes) > 1:
        named = ", ".join(str(shape) for shape in shapes[:4])
        raise VolumeError(f"{path}: pages of different shapes ({named}); save one stack of slices")
    return Volume(as_values(np.stack(slices), str(path)), None, str(path))


def _page(page: Image.Image, path: Path) -> np.ndarray:
    """(rows, columns, channels)."""
    bits, form = _tag(page, _BITS), _tag(page, _SAMPLE_FORMAT)
    if bits > 8 and len(page.getbands()) > 1:
        raise VolumeError(f"{path}: {bits}-bit colours are not read; save one channel, or .npy")
    values = np.asarray(page.convert("RGB") if page.mode == "P" else page)
    misread = _MISREAD.get((bits, form))
    if misread:
        values = values.view(misread)
    return values.reshape(page.height, page.width, -1)


def _tag(page: Image.Image, number: int) -> int:
    """A tag of one value a channel, or of one; the specification's default is 1 for both."""
    value = page.tag_v2.get(number, 1)  # type: ignore[attr-defined]
    return int(value[0] if isinstance(value, tuple) else value)

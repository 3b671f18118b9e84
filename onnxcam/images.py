"""Reading and writing pictures."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from onnxcam.errors import ImageError

Picture = NDArray[np.uint8]

_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"


ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".ppm", ".pgm")
"""What pictures in a folder are known by; a file that is named may be called anything."""


def pictures_in(folder: str | os.PathLike[str]) -> list[str]:
    """The paths of the pictures in a folder, by name, those of folders in it left out."""
    found = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
    return [str(path) for path in found]


def read_image(path: str | os.PathLike[str]) -> Picture:
    """Read a picture as uint8 RGB (H, W, 3).

    EXIF orientation is applied, grey becomes RGB, transparency is laid on white, 16 bits are
    scaled to 8. Any path works, Unicode too. Raises `ImageError`.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such picture") from None
    except IsADirectoryError:
        raise ImageError(
            f"{path}: a folder without pictures in it ({', '.join(ENDINGS)})"
        ) from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise ImageError(f"{path}: the file is empty")
    if _is_cut_short(data):
        raise ImageError(f"{path}: the file is cut short; copy it again")
    return _as_rgb(_decode(data, path), str(path))


class _Silence:
    """OpenCV says nothing while pictures are read, by however many threads.

    A broken file is reported once, by us.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._level = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._level = cv2.utils.logging.setLogLevel(0)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                cv2.utils.logging.setLogLevel(self._level)


_SILENCE = _Silence()


def _is_cut_short(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end; OpenCV 4 fills the rest of such a JPEG with grey."""
    if data.startswith(_JPEG):  # a thumbnail in front of the last scan has an end of its own
        ends = data.endswith(_JPEG_END)  # as nearly all do: no need to look for the scan
        return not ends and data.find(_JPEG_END, data.rfind(_JPEG_SCAN) + 1) < 0
    return data.startswith(_PNG) and _PNG_END not in data


def _decode(data: bytes, path: Path) -> np.ndarray:
    """Channels in OpenCV's order (BGR, BGRA or grey), depth as stored."""
    oriented = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH  # applies EXIF, but drops transparency
    try:
        with _SILENCE:
            stream = np.frombuffer(data, np.uint8)
            image = cv2.imdecode(stream, oriented)
            if image is not None and not data.startswith(_JPEG):
                stored = cv2.imdecode(stream, cv2.IMREAD_UNCHANGED)
                if stored is not None and stored.ndim == 3 and stored.shape[2] == 4:
                    image = stored
    except cv2.error:
        image = None
    if image is None or not image.size:
        raise ImageError(f"{path}: not a picture that OpenCV can read (broken or another format)")
    return np.asarray(image)


def as_picture(image: np.ndarray) -> Picture:
    """An array as uint8 RGB (H, W, 3).

    Takes (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), in RGB(A) order: uint8, uint16, or floats
    in [0, 1]. Raises `ImageError`.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size:
        return np.array(image, order="C")  # a copy: cameras write the next picture into the array
    if image.ndim == 3 and image.shape[2] in (3, 4):
        image = image[..., [2, 1, 0, *range(3, image.shape[2])]]
    return _as_rgb(image, f"array of shape {image.shape}")


def _as_rgb(image: np.ndarray, name: str) -> Picture:
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
        raise ImageError(f"{name}: not a picture (H, W), (H, W, 3) or (H, W, 4)")
    if image.dtype == np.uint8 and image.shape[2] != 4:  # most pictures: nothing to scale
        to_rgb = cv2.COLOR_GRAY2RGB if image.shape[2] == 1 else cv2.COLOR_BGR2RGB
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), to_rgb))
    values = _in_unit_range(image, name)
    if image.shape[2] == 4:
        values, alpha = values[..., :3], values[..., 3:]
        values = values * alpha + (1 - alpha)
    rgb = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[..., ::-1]
    return np.ascontiguousarray(np.rint(rgb * 255).astype(np.uint8))


def _in_unit_range(image: np.ndarray, name: str) -> np.ndarray:
    if image.dtype in (np.uint8, np.uint16):
        return image.astype(np.float32) / np.iinfo(image.dtype).max
    if image.dtype == bool:
        return image.astype(np.float32)
    if image.dtype.kind == "f" and np.isfinite(image).all() and image.min() >= 0:
        if image.max() <= 1:
            return image.astype(np.float32)
        raise ImageError(f"{name}: floats must be in [0, 1], these go up to {image.max():g}")
    raise ImageError(f"{name}: {image.dtype} values; give uint8, uint16, or floats in [0, 1]")


_QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 90],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 90],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 90],
}
"""Of 100; OpenCV's own are 95 of JPEG, half as large again, and WebP without loss."""

_FLAT = 1 / 3
"""Share of values like their left neighbour's above which a picture is a drawing or a scan."""


def png(picture: Picture) -> bytes:
    """A picture, uint8 RGB (H, W, 3), as the bytes of a PNG file."""
    # Photographs repeat nothing: to look for runs makes them 1% smaller and takes a third longer;
    # to look for more, by zlib's usual level, saves 3% in twelve times the time.
    flat = _flatness(picture) > _FLAT
    way = cv2.IMWRITE_PNG_STRATEGY_RLE if flat else cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY
    ok, data = cv2.imencode(".png", _as_bgr(picture), [cv2.IMWRITE_PNG_STRATEGY, way])
    if not ok:
        raise ImageError("the picture cannot be written as PNG")
    return data.tobytes()


def _flatness(picture: Picture) -> float:
    """The share of values that are those of the pixel to the left, in every eighth row."""
    rows = picture[::8].reshape(-1, 3 * picture.shape[1])
    same = rows[:, 3:] == rows[:, :-3]
    return np.count_nonzero(same) / max(1, same.size)


def _as_bgr(picture: Picture) -> Picture:
    """In OpenCV's order; by OpenCV itself, which is thirty times as fast as a view backwards."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR))


def write_image(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture, uint8 RGB (H, W, 3), in the format that the path's ending names."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".png":
        data = png(picture)
    else:
        try:
            ok, encoded = cv2.imencode(suffix, _as_bgr(picture), _QUALITY.get(suffix, []))
        except cv2.error:
            ok = False
        if not ok:
            raise ImageError(f"{path}: cannot write '{suffix}' pictures; use .png or .jpg")
        data = encoded.tobytes()
    write_bytes(path, data)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file and the folders above it; `ImageError` when that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written ({error.strerror})") from None

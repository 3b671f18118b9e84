"""TIFF files of several pages: depths, colours, compression, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onnxcam.errors import VolumeError
from onnxcam.volumes import read_volume


def write(path: Path, pages: list[Image.Image], **options: object) -> Path:
    pages[0].save(path, "TIFF", save_all=True, append_images=pages[1:], **options)
    return path


def stack(dtype: str, depth: int = 4) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 200, (depth, 5, 7)) - 100 * (dtype[0] != "u")
    return values.astype(dtype)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_pages_are_slices(dtype: str, compression: str, tmp_path: Path) -> None:
    values = stack(dtype)
    pages = [Image.fromarray(page) for page in values]
    volume = read_volume(write(tmp_path / "a.tif", pages, compression=compression))
    np.testing.assert_array_equal(volume.values, values[..., None])
    assert volume.affine is None


def write_by_hand(path: Path, values: np.ndarray) -> Path:
    """A page (rows, columns, channels) of one strip: not every type can be had from Pillow."""
    rows, columns, channels = values.shape
    order = ">" if values.dtype.byteorder == ">" else "<"
    bits, form = 8 * values.itemsize, 2 if values.dtype.kind == "i" else 1
    photometric = 2 if channels == 3 else 1
    entries = [(256, columns), (257, rows), (258, bits), (259, 1), (262, photometric), (273, 256)]
    entries += [(277, channels), (278, rows), (279, values.nbytes), (339, form)]
    data = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
    data += np.array(len(entries), f"{order}u2").tobytes()
    for tag, value in entries:
        each = channels == 3 and tag == 258  # three short numbers, kept behind the entries
        data += np.array([tag, 3 if each else 4], f"{order}u2").tobytes()
        data += np.array([3, 200] if each else [1, value], f"{order}u4").tobytes()
    data = (data + bytes(4)).ljust(200, b"\0") + np.array([bits] * 3, f"{order}u2").tobytes()
    path.write_bytes(data.ljust(256, b"\0") + values.tobytes())
    return path


@pytest.mark.parametrize("code", ["i1", "<i2", "<u4", ">u2", ">i4"])
def test_signs_and_byte_order_are_kept(code: str, tmp_path: Path) -> None:
    values = np.array([[1, 2, 3], [0, 5, 100]]).astype(code)[..., None]
    values[1, 0] = np.iinfo(code).max - 1 if code[-2] == "u" else -7
    volume = read_volume(write_by_hand(tmp_path / "a.tiff", values))
    np.testing.assert_array_equal(volume.values[0], values.astype(np.float32))


def test_colours_that_would_lose_depth_are_refused(tmp_path: Path) -> None:
    colours = np.arange(2 * 3 * 3, dtype="<u2").reshape(2, 3, 3) * 1000
    with pytest.raises(VolumeError, match="16-bit colours are not read"):
        read_volume(write_by_hand(tmp_path / "a.tif", colours), 3)


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_colours_are_channels(mode: str, tmp_path: Path) -> None:
    colours = np.zeros((3, 4, 5, 3), np.uint8)
    colours[0, ..., 0], colours[1, :2, ..., 1], colours[2, 1] = 255, 255, (0, 0, 255)
    pages = [Image.fromarray(page).convert(mode) for page in colours]
    np.testing.assert_array_equal(read_volume(write(tmp_path / "a.tif", pages), 3).values, colours)


def test_pages_of_two_sizes(tmp_path: Path) -> None:
    pages = [Image.fromarray(stack("uint8")[0]), Image.new("L", (9, 3))]
    with pytest.raises(VolumeError, match=r"different shapes \(\(3, 9, 1\), \(5, 7, 1\)\)"):
        read_volume(write(tmp_path / "a.tif", pages))


@pytest.mark.parametrize("kept", [0, 3, 60, -30])
def test_a_file_cut_short_is_told(kept: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", [Image.fromarray(page) for page in stack("uint8")])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(VolumeError, match=r"a\.tif: (damaged|the file is empty)"):
        read_volume(path)


def test_another_format_under_that_name(tmp_path: Path) -> None:
    Image.fromarray(stack("uint8")[0]).save(tmp_path / "a.tif", "PNG")
    with pytest.raises(VolumeError, match="damaged, or not what its name says"):
        read_volume(tmp_path / "a.tif")


def test_what_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxcam.arrays.LARGEST", 100)
    path = write(tmp_path / "a.tif", [Image.fromarray(page) for page in stack("uint8")])
    with pytest.raises(VolumeError, match="4 x 5 x 7 x 1 is 140 values, more than 100"):
        read_volume(path)

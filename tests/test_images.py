"""Pictures in and out: formats, orientation, transparency, depth, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from graphs import photo, write_picture

from onnxcam.errors import ImageError
from onnxcam.images import as_picture, png, read_image, write_image

LOSSLESS = [".png", ".bmp", ".tiff"]


def png_file(path: Path, color_type: int, depth: int, rows: np.ndarray, *extra: bytes) -> Path:
    """A PNG of its own making: type 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA."""
    height, width = rows.shape[:2]
    kind = ">u2" if depth == 16 else "u1"
    lines = b"".join(b"\0" + row.astype(kind).tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    chunks = [b"IHDR" + header, *extra, b"IDAT" + zlib.compress(lines), b"IEND"]
    data = b"\x89PNG\r\n\x1a\n"
    for chunk in chunks:
        data += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data)
    return path


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds the orientation only."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    block = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + bytes(4)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores under each of the EXIF specification's eight orientations."""
    return {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_lossless_format_comes_back_as_it_was(suffix: str, tmp_path: Path) -> None:
    picture = photo()
    write_image(tmp_path / f"a{suffix}", picture)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), picture)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".JPG"])
def test_a_lossy_format_comes_back_alike(suffix: str, tmp_path: Path) -> None:
    picture = cv2.resize(photo(3, 4), (64, 48), interpolation=cv2.INTER_LINEAR)
    write_image(tmp_path / f"a{suffix}", picture)
    read = read_image(tmp_path / f"a{suffix}")
    assert read.shape == picture.shape
    assert np.abs(read.astype(int) - picture).mean() < 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :16] = (255, 0, 0)
    upright[:16, 32:] = (0, 255, 0)
    upright[16:, :16] = (0, 0, 255)
    stored = np.ascontiguousarray(as_stored(upright, orientation)[..., ::-1])
    jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    path = tmp_path / "camera.jpg"
    path.write_bytes(with_orientation(jpeg, orientation))
    read = read_image(path)
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 6


@pytest.mark.parametrize("name", ["猫.png", "Å b ñ.png", "émoji 🐈.png", "100% #1.png"])
def test_any_path_is_read_and_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "ordner ü" / name
    write_image(path, photo())
    np.testing.assert_array_equal(read_image(path), photo())
    np.testing.assert_array_equal(read_image(str(path)), photo())


def test_grey_becomes_rgb(tmp_path: Path) -> None:
    path = png_file(tmp_path / "g.png", 0, 8, np.array([[0, 100, 255]]))
    np.testing.assert_array_equal(read_image(path), [[[0] * 3, [100] * 3, [255] * 3]])


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rows = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]])
    read = read_image(png_file(tmp_path / "a.png", 6, 8, rows))
    np.testing.assert_array_equal(read, [[[200, 100, 0], [255] * 3, [244, 224, 204]]])


def test_grey_with_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rows = np.array([[[100, 255], [100, 0], [100, 51]]])
    read = read_image(png_file(tmp_path / "la.png", 4, 8, rows))
    np.testing.assert_array_equal(read[0, :, 0], [100, 255, 224])


def test_a_palette_with_transparency_is_laid_on_white(tmp_path: Path) -> None:
    palette = [b"PLTE" + bytes([200, 100, 0, 10, 20, 30]), b"tRNS" + bytes([255, 0])]
    read = read_image(png_file(tmp_path / "p.png", 3, 8, np.array([[0, 1]]), *palette))
    np.testing.assert_array_equal(read, [[[200, 100, 0], [255, 255, 255]]])


@pytest.mark.parametrize(("color_type", "channels"), [(0, 1), (2, 3)])
def test_sixteen_bits_are_scaled_by_257(color_type: int, channels: int, tmp_path: Path) -> None:
    rows = np.repeat(np.array([[[0], [257 * 77], [65535], [128]]]), channels, axis=2)
    read = read_image(png_file(tmp_path / "d.png", color_type, 16, rows))
    np.testing.assert_array_equal(read[0, :, 0], [0, 77, 255, 0])
    assert read.dtype == np.uint8


def test_sixteen_bits_with_transparency(tmp_path: Path) -> None:
    rows = np.array([[[257 * 77, 65535], [257 * 77, 0]]])
    read = read_image(png_file(tmp_path / "d.png", 4, 16, rows))
    np.testing.assert_array_equal(read[0, :, 0], [77, 255])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_single_pixel(suffix: str, tmp_path: Path) -> None:
    path = write_picture(tmp_path / f"one{suffix}", np.full((1, 1, 3), 128, np.uint8))
    assert read_image(path).shape == (1, 1, 3)


def test_a_thumbnail_does_not_pass_for_the_end_of_a_jpeg(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", photo())[1].tobytes()
    thumbnail = b"\xff\xe2" + struct.pack(">H", len(jpeg) + 2) + jpeg
    path = tmp_path / "t.jpg"
    path.write_bytes(jpeg[:2] + thumbnail + jpeg[2:])
    assert read_image(path).shape == photo().shape
    path.write_bytes(jpeg[:2] + thumbnail + jpeg[2:-40])
    with pytest.raises(ImageError, match="cut short"):
        read_image(path)


@pytest.mark.parametrize("trailing", [b"", b"\0" * 100, b"appended data"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_bytes_behind_the_end_are_no_harm(suffix: str, trailing: bytes, tmp_path: Path) -> None:
    path = write_picture(tmp_path / f"a{suffix}")
    path.write_bytes(path.read_bytes() + trailing)
    assert read_image(path).shape == photo().shape


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_a_truncated_picture_is_refused(suffix: str, share: float, tmp_path: Path) -> None:
    path = write_picture(tmp_path / f"cut{suffix}", photo(64, 64))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=f"cut{suffix}"):
        read_image(path)


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 3), 51, np.uint8),
        np.full((2, 3, 1), 51, np.uint8),
        np.full((2, 3, 3), 51, np.uint8),
        np.dstack([np.full((2, 3, 3), 51, np.uint8), np.full((2, 3), 255, np.uint8)]),
        np.full((2, 3, 3), 51 * 257, np.uint16),
        np.full((2, 3, 3), 0.2, np.float32),
        np.full((2, 3, 3), 0.2, np.float64),
        np.full((2, 3), 0.2, np.float16),
        np.asfortranarray(np.full((2, 3, 3), 51, np.uint8)),
        np.full((2, 3, 3), 51, np.uint8)[::-1, ::-1],
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_every_kind(array: np.ndarray) -> None:
    picture = as_picture(array)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.full((2, 3, 3), 51))


def test_colours_of_an_array_keep_their_order() -> None:
    np.testing.assert_array_equal(as_picture(photo()), photo())
    alpha = np.full((24, 32, 1), 255, np.uint8)
    np.testing.assert_array_equal(as_picture(np.dstack([photo(), alpha])), photo())


def test_a_mask_is_black_and_white() -> None:
    np.testing.assert_array_equal(as_picture(np.array([[True, False]]))[0, :, 0], [255, 0])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3, 2), np.uint8),
        np.zeros((2, 3, 5), np.uint8),
        np.zeros((1, 2, 3, 3), np.uint8),
        np.zeros(3, np.uint8),
        np.zeros((), np.uint8),
        np.zeros((0, 3, 3), np.uint8),
        np.zeros((2, 3), np.int64),
        np.full((2, 3), 1.5),
        np.full((2, 3), -0.5),
        np.full((2, 3), np.nan),
        np.full((2, 3), np.inf),
        np.full((2, 3), 1 + 1j),
        np.array([["a"]]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ImageError) as raised:
        as_picture(array)
    assert "\n" not in str(raised.value)


def test_png_holds_the_picture() -> None:
    decoded = cv2.imdecode(np.frombuffer(png(photo()), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], photo())


def smooth(side: int) -> np.ndarray:
    """Something like a photograph: no two pixels beside each other are the same."""
    coarse = photo(8, 8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))


def test_png_of_a_drawing_holds_it_in_a_fraction_of_its_size() -> None:
    """A line on white: runs of the same value are found, not only rare values made short."""
    drawing = np.full((256, 256, 3), 255, np.uint8)
    drawing[:, 100:103] = (200, 0, 0)
    data = png(drawing)
    np.testing.assert_array_equal(
        cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1], drawing
    )
    assert len(data) < drawing.size / 50


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (200, 300)])
def test_png_of_any_size_holds_the_picture(shape: tuple[int, int]) -> None:
    picture = smooth(300)[: shape[0], : shape[1]]
    found = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(found[..., ::-1], picture)


@pytest.mark.parametrize(("suffix", "share"), [(".jpg", 0.5), (".webp", 0.3)])
def test_lossy_formats_are_small_and_close(suffix: str, share: float, tmp_path: Path) -> None:
    picture = smooth(256)
    write_image(tmp_path / f"a{suffix}", picture)
    assert (tmp_path / f"a{suffix}").stat().st_size < share * len(png(picture))
    difference = np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - picture)
    assert difference.mean() < 4


def test_an_array_is_copied() -> None:
    """Whoever writes the next picture of a camera into the same array leaves the last one be."""
    array = photo()
    picture = as_picture(array)
    array[:] = 0
    np.testing.assert_array_equal(picture, photo())


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.txt"])
def test_an_unknown_ending_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot write"):
        write_image(tmp_path / name, photo())
    assert not (tmp_path / name).exists()

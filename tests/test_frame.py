"""Where a picture lies in the model's input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onnxcam.frame import Frame
from onnxcam.graph.picture import ImageInput
from onnxcam.images import read_image
from onnxcam.preprocess import Preprocess

PICTURE, INPUT = (40, 80), (20, 20)


@pytest.mark.parametrize(
    ("resize", "ratio", "point", "expected"),
    [
        ("stretch", 1.0, (80, 40), (20, 20)),
        ("stretch", 1.0, (8, 8), (2, 4)),
        ("crop", 1.0, (20, 0), (0, 0)),
        ("crop", 1.0, (60, 40), (20, 20)),
        ("crop", 0.5, (30, 10), (0, 0)),
        ("crop", 0.5, (50, 30), (20, 20)),
        ("pad", 1.0, (80, 40), (20, 10)),
        ("pad", 1.0, (8, 8), (2, 2)),
    ],
)
def test_points_of_the_picture_in_the_input(
    resize: str, ratio: float, point: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    frame = Preprocess(resize=resize, crop_ratio=ratio).frame(PICTURE, INPUT)
    np.testing.assert_allclose(frame.to_input(np.array(point)), expected)
    np.testing.assert_allclose(frame.to_source(np.array(expected)), point)


def test_boxes_are_pairs_of_points() -> None:
    frame = Preprocess(resize="crop").frame(PICTURE, INPUT)
    boxes = np.array([[[20, 0, 60, 40]], [[30, 10, 40, 20]]])
    found = frame.to_input(boxes)
    np.testing.assert_allclose(found, [[[0, 0, 20, 20]], [[5, 5, 10, 10]]])
    np.testing.assert_allclose(frame.to_source(found), boxes)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_mask_goes_where_the_picture_goes(resize: str) -> None:
    how = Preprocess(resize=resize, scale=1.0)
    frame = how.frame(PICTURE, INPUT)
    mask = np.zeros(PICTURE, bool)
    mask[8:24, 32:56] = True
    picture = np.where(mask[..., None], np.uint8(255), np.uint8(0)).repeat(3, 2)
    image = ImageInput("image", True, 3, 1, INPUT, np.dtype(np.float32))
    seen = how.tensor(picture, image)[0, ..., 0]
    np.testing.assert_array_equal(frame.mask_to_input(mask), seen > 127)


def test_the_input_itself() -> None:
    frame = Frame.whole((3, 5))
    np.testing.assert_allclose(frame.to_input(np.array([4.0, 2.0])), [4, 2])
    assert frame.mask_to_input(np.ones((3, 5), bool)).all()


# -- a mark comes back to where it was -----------------------------------------------------------

GEOMETRIES = {
    "stretch": Preprocess(scale=1.0),
    "stretch, Pillow": Preprocess(scale=1.0, interpolation="pil-linear"),
    "crop": Preprocess(scale=1.0, resize="crop"),
    "crop, smaller": Preprocess(scale=1.0, resize="crop", crop_ratio=0.875),
    "letterbox, corner": Preprocess(scale=1.0, resize="pad"),
    "letterbox, centre": Preprocess(scale=1.0, resize="pad", pad_at="center", pad_value=114),
}
BACKGROUND = 114


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("size", [(64, 64), (150, 100), (97, 131), (300, 90), (33, 40)])
@pytest.mark.parametrize("to", [(48, 48), (40, 72)])
def test_a_mark_comes_back_to_its_pixels(
    geometry: str, size: tuple[int, int], to: tuple[int, int]
) -> None:
    """Through the model's input and back, the middle of a mark moves by less than half a pixel of
    the coarser of the two grids."""
    how = GEOMETRIES[geometry]
    frame = how.frame(size, to)
    (top, bottom), (left, right) = frame.seen
    centre = (top + 0.4 * (bottom - top), left + 0.55 * (right - left))
    picture = spot(size, centre, radius=0.12 * min(bottom - top, right - left))
    image = ImageInput("image", True, 3, 1, to, np.dtype(np.float32))
    seen = how.tensor(picture, image)[0, ..., 0] - BACKGROUND
    back = frame.back(np.maximum(seen, 0))
    pixel = max(1.0, 1 / frame._scale.min())
    np.testing.assert_allclose(middle(back), middle(picture[..., 0] - 114.0), atol=0.5 * pixel)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_points_and_heat_agree(geometry: str) -> None:
    """A hot pixel of the input lies on the picture where that point of it does."""
    how, size, to = GEOMETRIES[geometry], (120, 200), (48, 64)
    frame = how.frame(size, to)
    heat = np.zeros(to, np.float32)
    heat[20, 30] = 1
    x, y = frame.to_source(np.array([30.5, 20.5]))
    np.testing.assert_allclose(middle(frame.back(heat)), (y - 0.5, x - 0.5), atol=0.3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heat_lies_on_the_picture_as_it_is_shown(orientation: int, tmp_path: Path) -> None:
    """A photograph that its EXIF entry turns is read turned, so heat lies on what people see."""
    shown = spot((60, 90), (15, 70), 6)
    path = tmp_path / "turned.jpg"
    turn_back = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: lambda a: np.rot90(a, 3),
    }  # fmt: skip
    stored = Image.fromarray(np.ascontiguousarray(turn_back[orientation](shown)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, quality=95, exif=exif)
    picture = read_image(path)
    assert picture.shape == shown.shape
    how = GEOMETRIES["letterbox, centre"]
    image = ImageInput("image", True, 3, 1, (48, 48), np.dtype(np.float32))
    seen = how.tensor(picture, image)[0, ..., 0] - BACKGROUND
    back = how.frame((60, 90), (48, 48)).back(np.where(seen > 30, seen, 0))
    np.testing.assert_allclose(middle(back), (15, 70), atol=1.0)


@pytest.mark.parametrize("axes", [None, (1, 0, 2), (2, 0, 1)])
def test_volumes_come_back_in_their_own_order(axes: tuple[int, ...] | None) -> None:
    size, mark = (20, 30, 24), (5, 21, 16)
    order = axes or (0, 1, 2)
    to = tuple(size[axis] for axis in order)
    values = np.zeros((*size, 1), np.float32)
    values[mark] = 1
    how = Preprocess(scale=1.0, axes=axes)
    image = ImageInput("volume", True, 1, 1, to, np.dtype(np.float32))
    seen = how.tensor(values, image)[0, ..., 0]
    assert seen.shape == to
    assert seen[tuple(mark[axis] for axis in order)] == 1
    frame = how.frame(size, to)
    np.testing.assert_array_equal(frame.back(seen), values[..., 0])
    np.testing.assert_array_equal(frame.mask_to_input(values[..., 0] > 0), seen > 0)


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_volumes_of_another_size(resize: str) -> None:
    size, to = (40, 60, 48), (20, 24, 20)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), -1)
    values = np.exp(-(((grid - (22, 30, 20)) / 4) ** 2).sum(-1))[..., None].astype(np.float32)
    how = Preprocess(scale=1.0, resize=resize)
    image = ImageInput("volume", True, 1, 1, to, np.dtype(np.float32))
    back = how.frame(size, to).back(how.tensor(values, image)[0, ..., 0])
    np.testing.assert_allclose(middle(back), (22, 30, 20), atol=0.4)


def spot(size: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    """A white disk with a soft edge on grey 114, which is what letterboxes are filled with."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    distance = np.hypot(rows - centre[0], columns - centre[1])
    soft = np.clip(radius - distance + 1, 0, 1)[..., None]
    return np.rint(BACKGROUND + soft * (255 - BACKGROUND)).astype(np.uint8).repeat(3, 2)


def middle(heat: np.ndarray) -> np.ndarray:
    """The centre of mass, in pixels, along each axis."""
    places = np.meshgrid(*(np.arange(n) for n in heat.shape), indexing="ij")
    return np.array([float((place * heat).sum() / heat.sum()) for place in places])

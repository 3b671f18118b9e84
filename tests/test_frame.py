"""Where a picture lies in the model's input."""

from __future__ import annotations

import numpy as np
import pytest

from onnxcam.frame import Frame
from onnxcam.graph.picture import ImageInput
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
    np.testing.assert_allclose(frame.to_picture(np.array(expected)), point)


def test_boxes_are_pairs_of_points() -> None:
    frame = Preprocess(resize="crop").frame(PICTURE, INPUT)
    boxes = np.array([[[20, 0, 60, 40]], [[30, 10, 40, 20]]])
    found = frame.to_input(boxes)
    np.testing.assert_allclose(found, [[[0, 0, 20, 20]], [[5, 5, 10, 10]]])
    np.testing.assert_allclose(frame.to_picture(found), boxes)


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

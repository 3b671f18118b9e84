"""From raw maps to heatmaps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnxcam.errors import OnnxCamError
from onnxcam.finish import NORMALIZATIONS, Finish
from onnxcam.frame import Frame
from onnxcam.interpolation import KERNELS

RAW = np.array([[-2.0, 1.0], [2.0, 5.0]], np.float32)


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        ("min-max", [[0, 0.2], [0.4, 1]]),
        ("max", [[0, 0.2], [0.4, 1]]),
        ("full", [[0, 3 / 7], [4 / 7, 1]]),
    ],
)
def test_what_becomes_nought_and_one(normalization: str, expected: list[list[float]]) -> None:
    np.testing.assert_allclose(Finish(normalization).unit(RAW), expected, rtol=1e-6)


def test_the_maximum_keeps_what_is_everywhere() -> None:
    """Of a map that is nowhere cold min-max takes away its minimum, "max" does not."""
    raw = np.array([[2.0, 4.0]], np.float32)
    np.testing.assert_allclose(Finish("max").unit(raw), [[0.5, 1]])
    np.testing.assert_allclose(Finish("min-max").unit(raw), [[0, 1]])


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("raw", [[[1.0, 1.0]], [[np.nan, 1.0]], [[0.0, np.inf]]])
def test_what_says_nothing_is_cold(normalization: str, raw: list[list[float]]) -> None:
    assert not Finish(normalization).unit(np.array(raw, np.float32)).any()


def test_negative_maps_are_cold_unless_the_signed_map_is_asked_for() -> None:
    raw = np.array([[-3.0, -1.0]], np.float32)
    assert not Finish().unit(raw).any()
    np.testing.assert_allclose(Finish("full").unit(raw), [[0, 1]])


def test_outliers_are_cut_off() -> None:
    raw = np.arange(100, dtype=np.float32).reshape(10, 10)
    raw[9, 9] = 1e6
    unit = Finish().unit(raw, outliers=0.02)
    assert unit.max() == 1
    assert unit[5, 0] > 0.5


@pytest.mark.parametrize(
    ("name", "flag"), [("linear", cv2.INTER_LINEAR), ("cubic", cv2.INTER_CUBIC)]
)
def test_it_is_enlarged_as_opencv_does(name: str, flag: int) -> None:
    raw = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    made = Finish("max", name, again=False).heatmap(raw, Frame.whole((40, 70)))
    expected = np.clip(cv2.resize(raw / raw.max(), (70, 40), interpolation=flag), 0, 1)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_scaling_again_reaches_both_ends() -> None:
    raw = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], np.float32)
    frame = Frame.whole((6, 8))  # the pixel's middle falls between those of the input
    assert Finish(again=False).heatmap(raw, frame).max() < 1
    again = Finish().heatmap(raw, frame)
    assert (again.min(), again.max()) == (0, 1)


@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=st.floats(-1e3, 1e3, width=32),
    ),
    st.sampled_from([*NORMALIZATIONS]),
    st.sampled_from(["linear", "cubic", "nearest"]),
    st.booleans(),
)  # fmt: skip
def test_heatmaps_stay_within_their_range(
    raw: np.ndarray, normalization: str, interpolation: str, again: bool
) -> None:
    finish = Finish(normalization, interpolation, again)
    frame = Frame((9, 11), (8, 8), ((0.5, 8.5), (0.0, 11.0)), ((0.0, 8.0), (0.0, 8.0)), (0, 1))
    for heat, size in (
        (finish.heatmap(raw, frame), (8, 8)),
        (finish.on_source(raw, frame), (9, 11)),
    ):
        assert heat.shape == size
        assert heat.dtype == np.float32
        assert 0 <= heat.min() <= heat.max() <= 1


def test_on_a_picture_of_the_inputs_size_it_is_the_heatmap() -> None:
    raw = np.random.default_rng(1).random((3, 4)).astype(np.float32)
    frame = Frame.whole((12, 16))
    np.testing.assert_array_equal(Finish().on_source(raw, frame), Finish().heatmap(raw, frame))


@pytest.mark.parametrize("interpolation", KERNELS)
def test_what_the_model_did_not_see_is_cold(interpolation: str) -> None:
    """Cubic interpolation goes below 0 beside a peak; what was not seen stays below that."""
    raw = np.zeros((7, 7), np.float32)
    raw[3, 3] = 1
    frame = Frame((28, 56), (28, 28), ((0.0, 28.0), (14.0, 42.0)), ((0.0, 28.0),) * 2, (0, 1))
    heat = Finish(interpolation=interpolation).on_source(raw, frame)
    assert heat[:, 14:42].max() == 1
    assert not heat[:, :14].any()
    assert not heat[:, 42:].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"normalization": "minmax"}, "'min-max'"), ({"interpolation": "bicubic"}, "'cubic'")],
)
def test_unknown_ways_are_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(OnnxCamError, match=words):
        Finish(**options)

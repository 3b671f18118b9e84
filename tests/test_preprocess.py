"""From pixels to the model's numbers, and heatmaps back to pixels; all by hand values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import photo
from PIL import Image

from onnxcam.errors import PreprocessError
from onnxcam.graph.picture import ImageInput
from onnxcam.preprocess import PRESETS, Preprocess, find_preprocess
from onnxcam.preprocess.scaling import INTERPOLATIONS

RGB = (200, 100, 50)


def image_input(
    height: int | None = 4,
    width: int | None = 4,
    channels: int = 3,
    last: bool = False,
    dtype: Any = np.float32,
) -> ImageInput:
    return ImageInput("image", last, channels, 1, (height, width), np.dtype(dtype))


def plain(rows: int = 4, columns: int = 4, colour: tuple[int, ...] = RGB) -> np.ndarray:
    return np.full((rows, columns, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("imagenet", [(200 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224,
                      (50 / 255 - 0.406) / 0.225]),
        ("caffe", [50 - 103.939, 100 - 116.779, 200 - 123.68]),
        ("tf", [200 / 127.5 - 1, 100 / 127.5 - 1, 50 / 127.5 - 1]),
        ("0-1", [200 / 255, 100 / 255, 50 / 255]),
        ("raw", [200, 100, 50]),
    ],
)  # fmt: skip
def test_a_presets_arithmetic(preset: str, expected: list[float]) -> None:
    x = PRESETS[preset].tensor(plain(), image_input())
    assert x.shape == (1, 3, 4, 4)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0, :, 1, 2], expected, rtol=1e-5)


def test_every_preset_is_covered_above() -> None:
    assert set(PRESETS) == {"imagenet", "caffe", "tf", "0-1", "raw", "min-max", "z-score"}


def test_channels_last() -> None:
    x = PRESETS["raw"].tensor(photo(4, 4), image_input(last=True))
    np.testing.assert_array_equal(x[0], photo(4, 4))


def test_bgr_turns_the_channels_round() -> None:
    x = Preprocess(color="bgr", scale=1.0).tensor(photo(4, 4), image_input(last=True))
    np.testing.assert_array_equal(x[0], photo(4, 4)[..., ::-1])


def test_one_channel_is_luminance() -> None:
    x = PRESETS["raw"].tensor(plain(), image_input(channels=1))
    assert x.shape == (1, 1, 4, 4)
    np.testing.assert_allclose(x, 0.299 * 200 + 0.587 * 100 + 0.114 * 50, atol=0.51)


def test_four_channels_are_opaque() -> None:
    x = PRESETS["0-1"].tensor(plain(), image_input(channels=4))
    np.testing.assert_allclose(x[0, :, 0, 0], [200 / 255, 100 / 255, 50 / 255, 1], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_the_models_element_type(dtype: Any) -> None:
    x = PRESETS["raw"].tensor(plain(), image_input(dtype=dtype))
    assert x.dtype == dtype
    np.testing.assert_array_equal(x[0, :, 0, 0], RGB)


def test_whole_numbers_are_rounded_and_cut_not_wrapped() -> None:
    how = Preprocess(scale=1.7)
    x = how.tensor(plain(colour=(200, 100, 1)), image_input(dtype=np.uint8))
    np.testing.assert_array_equal(x[0, :, 0, 0], [255, 170, 2])


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("field", ["mean", "std"])
def test_a_value_a_channel_must_fit(field: str, channels: int) -> None:
    how = Preprocess(**{field: (1.0, 2.0, 3.0)})
    with pytest.raises(PreprocessError, match=f"3 values, the model {channels} channels"):
        how.tensor(plain(), image_input(channels=channels))


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        ((4, 6), None, (4, 6)),
        ((4, 6), (8, 8), (4, 6)),
        ((None, None), (8, 10), (8, 10)),
        ((None, 6), (8, 10), (8, 6)),
        ((None, None), None, (224, 224)),
    ],
)
def test_the_models_size_goes_before_the_cards(
    given: tuple[Any, Any], own: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    assert Preprocess(size=own).input_size(image_input(*given)) == expected


# -- geometry ---------------------------------------------------------------------------------


def marked(rows: int, columns: int, row: int, column: int, size: int = 8) -> np.ndarray:
    """Black but for a white square whose centre is at (row, column)."""
    picture = np.zeros((rows, columns, 3), np.uint8)
    half = size // 2
    picture[max(0, row - half) : row + half, max(0, column - half) : column + half] = 255
    return picture


def back_on(how: Preprocess, heat: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """A heatmap of the input on the picture's pixels."""
    return how.frame(picture.shape[:2], heat.shape).back(heat)


def centre(heat: np.ndarray) -> tuple[float, float]:
    ys, xs = np.mgrid[: heat.shape[0], : heat.shape[1]]
    return float((ys * heat).sum() / heat.sum()), float((xs * heat).sum() / heat.sum())


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (120, 80), (80, 120), (30, 200)])
@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
def test_a_mark_comes_back_to_where_it_was(resize: str, rows: int, columns: int) -> None:
    how = Preprocess(resize=resize, crop_ratio=0.9 if resize == "crop" else 1.0)
    at = (rows // 2 + 3, columns // 2 - 4)
    picture = marked(rows, columns, *at)
    seen = how.tensor(picture, image_input(48, 48))[0, 0]
    assert seen.max() > 0
    back = back_on(how, seen, picture)
    assert back.shape == (rows, columns)
    y, x = centre(back)
    assert abs(y - at[0] + 0.5) <= 2
    assert abs(x - at[1] + 0.5) <= 2


def test_stretch_takes_the_whole_picture() -> None:
    seen = Preprocess().tensor(marked(100, 50, 96, 46), image_input(20, 20))[0, 0]
    assert centre(seen) == pytest.approx((18.7, 17.9), abs=0.7)


def test_crop_keeps_proportions_and_takes_the_centre() -> None:
    picture = plain(100, 300)
    picture[:, 100:200] = 0
    seen = Preprocess(resize="crop").tensor(picture, image_input(20, 20))
    assert not seen.any()


def test_crop_ratio_is_torchvisions_resize_then_centre_crop() -> None:
    """A 256 x 256 picture at ratio 0.875 is cropped to its middle 224 x 224."""
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[16:240, 16:240] = photo(224, 224)
    how = Preprocess(scale=1.0, resize="crop", crop_ratio=0.875)
    seen = how.tensor(picture, image_input(224, 224, last=True))
    np.testing.assert_array_equal(seen[0], photo(224, 224))


def test_stretched_to_more_than_the_input_the_middle_is_seen() -> None:
    """A 64 x 128 picture at ratio 0.5 becomes 32 x 32, of which 16 x 16 are seen."""
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[16:48, 32:96] = 255
    how = Preprocess(scale=1.0, crop_ratio=0.5)
    assert (how.tensor(picture, image_input(16, 16)) == 255).all()
    assert how.frame((64, 128), (16, 16)).seen == ((16, 48), (32, 96))


def test_outside_the_crop_the_heat_is_zero() -> None:
    how = Preprocess(resize="crop")
    back = back_on(how, np.ones((10, 10), np.float32), plain(40, 80))
    assert (back[:, 20:60] == 1).all()
    assert back.sum() == 40 * 40


def test_padding_is_zero_behind_the_normalisation() -> None:
    how = Preprocess(color="bgr", mean=0.5, std=0.5, resize="pad")
    seen = how.tensor(plain(48, 96, (255, 255, 255)), image_input(48, 192))[0]
    np.testing.assert_array_equal(seen[:, :, :96], 1)
    np.testing.assert_array_equal(seen[:, :, 96:], 0)


def test_the_padding_is_cut_off_again() -> None:
    how = Preprocess(resize="pad")
    heat = np.zeros((48, 192), np.float32)
    heat[:, 96:] = 1
    assert not back_on(how, heat, plain(48, 96)).any()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_extreme_proportions(resize: str, rows: int, columns: int) -> None:
    how = Preprocess(resize=resize)
    assert how.tensor(plain(rows, columns), image_input(32, 16)).shape == (1, 3, 32, 16)
    back = back_on(how, np.ones((32, 16), np.float32), plain(rows, columns))
    assert back.shape == (rows, columns)
    assert back.max() == 1


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    seen = Preprocess(scale=1.0).tensor(stripes, image_input(8, 8))
    np.testing.assert_allclose(seen, 127.5, atol=1)


# -- where it comes from ----------------------------------------------------------------------


def test_a_preset_by_name() -> None:
    assert find_preprocess("caffe") is PRESETS["caffe"]


def test_a_preprocess_is_taken_as_it_is() -> None:
    how = Preprocess(scale=3.0)
    assert find_preprocess(how) is how


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_json_file(wrapped: bool, tmp_path: Path) -> None:
    content: dict[str, Any] = {"mean": [1, 2, 3], "size": [32, 48], "resize": "crop"}
    path = tmp_path / "how.json"
    path.write_text(json.dumps({"preprocess": content, "labels": ["a"]} if wrapped else content))
    expected = Preprocess(mean=(1, 2, 3), size=(32, 48), resize="crop")
    assert find_preprocess(content) == expected
    assert find_preprocess(path) == expected
    assert find_preprocess(str(path)) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"color": "cmyk"},
        {"resize": "fit"},
        {"std": 0},
        {"std": [1, 0, 1]},
        {"mean": "x"},
        {"mean": None},
        {"mean": []},
        {"mean": [[1, 2, 3]]},
        {"mean": [1, [2], 3]},
        {"mean": float("inf")},
        {"scale": [1, 2, 3]},
        {"scale": True},
        {"crop_ratio": 0},
        {"crop_ratio": 1.5},
        {"size": 224},
        {"size": [224, 224, 3, 3]},
        {"size": [224.0, 224.0]},
        {"size": [-1, 224]},
        {"size": "ab"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_wrong_settings_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(PreprocessError) as raised:
        find_preprocess(settings)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("the preprocessing given: ")


# -- windows, letterboxes, other than pictures ------------------------------------------------


def test_a_window_is_the_sources_own_or_a_fixed_one() -> None:
    values = np.array([-100.0, 0.0, 300.0], np.float32).reshape(3, 1, 1, 1)
    volume = ImageInput("volume", True, 1, 1, (3, 1, 1), np.dtype(np.float32))

    def seen(**how: Any) -> list[float]:
        return list(Preprocess(scale=1.0, **how).tensor(values, volume).ravel())

    np.testing.assert_allclose(seen(window="min-max"), [0, 0.25, 1])
    np.testing.assert_allclose(seen(window=(0, 200)), [0, 0, 1])
    standard = seen(window="z-score")
    np.testing.assert_allclose([np.mean(standard), np.std(standard)], [0, 1], atol=1e-6)
    np.testing.assert_allclose(seen(window="min-max", mean=0.5, std=0.5), [-1, -0.5, 1])


def test_a_window_looks_at_all_that_was_read_not_at_what_is_seen() -> None:
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:, 0] = 200  # outside the centre crop
    picture[:, 10:20] = 100
    how = Preprocess(scale=1.0, resize="crop", window="min-max")
    np.testing.assert_allclose(how.tensor(picture, image_input(10, 10)), 0.5)


def test_a_centred_letterbox_is_ultralytics() -> None:
    """Grey 114 above and below, the odd pixel below."""
    how = Preprocess(resize="pad", pad_at="center", pad_value=114, interpolation="linear")
    seen = how.tensor(plain(20, 40, (255, 255, 255)), image_input(41, 40))[0, 0]
    np.testing.assert_allclose(seen[:10], 114 / 255, rtol=1e-6)
    np.testing.assert_allclose(seen[10:30], 1)
    np.testing.assert_allclose(seen[30:], 114 / 255, rtol=1e-6)


def test_padding_is_normalised_as_pixels_are() -> None:
    how = Preprocess(mean=0.5, std=0.25, resize="pad", pad_value=255)
    seen = how.tensor(plain(4, 2, (255, 255, 255)), image_input(4, 4))
    np.testing.assert_allclose(seen, 2)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_every_interpolation_keeps_a_plain_picture(interpolation: str) -> None:
    how = Preprocess(scale=1.0, interpolation=interpolation)
    for size in ((9, 7), (31, 40)):
        seen = how.tensor(plain(20, 16), image_input(*size, last=True))[0]
        np.testing.assert_allclose(seen, np.broadcast_to(RGB, seen.shape), atol=1)


def test_pillows_filters_are_pillows() -> None:
    picture = photo(50, 70)
    expected = np.asarray(Image.fromarray(picture).resize((24, 16), Image.Resampling.BICUBIC))
    how = Preprocess(scale=1.0, interpolation="pil-cubic")
    np.testing.assert_array_equal(how.tensor(picture, image_input(16, 24, last=True))[0], expected)


def test_signals_and_volumes_are_resized_along_every_axis() -> None:
    ramp = np.arange(8, dtype=np.float32)
    signal = ImageInput("signal", False, 1, 1, (4,), np.dtype(np.float32))
    seen = Preprocess(scale=1.0).tensor(ramp[:, None], signal)
    np.testing.assert_allclose(seen, [[[0.5, 2.5, 4.5, 6.5]]])
    volume = ImageInput("volume", False, 1, 1, (4, 2, 2), np.dtype(np.float32))
    values = np.broadcast_to(ramp[:, None, None, None], (8, 2, 2, 1))
    np.testing.assert_allclose(
        Preprocess(scale=1.0).tensor(values, volume)[0, 0, :, 0, 0], seen[0, 0]
    )


def test_lengths_in_another_order_are_not_stretched_in_silence() -> None:
    with pytest.raises(PreprocessError, match=r"\[1, 0, 2\]"):
        Preprocess().fit((6, 4, 8), (4, 6, 8))
    assert Preprocess(axes=(1, 0, 2)).fit((6, 4, 8), (4, 6, 8)).scaled == (4, 6, 8)
    assert Preprocess(axes=(0, 1, 2)).fit((6, 4, 8), (4, 6, 8)).scaled == (4, 6, 8)
    Preprocess().fit((480, 640), (640, 480))  # pictures may well lie down


def test_what_has_other_axes_or_channels_is_refused() -> None:
    with pytest.raises(PreprocessError, match="2 axes"):
        Preprocess().fit((4, 4), (4, 4, 4))
    volume = ImageInput("volume", False, 2, 1, (2, 2, 2), np.dtype(np.float32))
    with pytest.raises(PreprocessError, match="1 channels, the model takes 2"):
        Preprocess().tensor(np.zeros((2, 2, 2, 1), np.float32), volume)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": "minmax"}, "'min-max'"),
        ({"window": [5, 5]}, "window must be"),
        ({"window": [1]}, "window must be"),
        ({"axes": [0, 2]}, "axes"),
        ({"pad_at": "top"}, "pad_at"),
        ({"pad_value": "grey"}, "pad_value"),
        ({"interpolation": "bilinear"}, "interpolation"),
    ],
)
def test_wrong_settings_of_windows_and_letterboxes(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(PreprocessError, match=words):
        find_preprocess(settings)

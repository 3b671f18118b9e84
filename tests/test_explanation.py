"""An explanation as pictures and files."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from graphs import photo

from onnxcam import (
    Explanation,
    Explanations,
    Look,
    Preprocess,
    Signal,
    Target,
    Volume,
    side_by_side,
)
from onnxcam.errors import ImageError, OnnxCamError
from onnxcam.files import FORMATS, Saver
from onnxcam.finish import Finish
from onnxcam.images import read_image
from onnxcam.volumes import read_volume

CAT = Target(285, "Egyptian cat", 9.1, 0.4)


def explanation(
    raw: np.ndarray | None = None,
    image: str | None = None,
    target: Target = CAT,
    preprocess: Preprocess | None = None,
) -> Explanation:
    ramp = np.arange(16, dtype=np.float32).reshape(4, 4) if raw is None else raw
    frame = (preprocess or Preprocess()).frame((24, 32), (8, 8))
    return Explanation(
        ramp, target, "gradcam", "conv", "CPUExecutionProvider", frame, photo(), image,
    )  # fmt: skip


def test_the_heatmap_is_the_raw_map_scaled_then_enlarged() -> None:
    one = explanation()
    expected = cv2.resize(one.raw / 15, (8, 8), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(one.heatmap, expected, rtol=1e-6)
    assert one.heatmap.dtype == np.float32


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_heatmap_does_not_depend_on_the_raw_maps_scale(scale: float) -> None:
    ramp = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_allclose(Finish().unit(ramp * np.float32(scale)), ramp / 15, rtol=1e-5)


def test_the_overlay_has_the_pictures_size_and_the_heat_in_place() -> None:
    raw = np.zeros((4, 4), np.float32)
    raw[0, 0] = 1
    difference = np.abs(explanation(raw).overlay(alpha=1.0).astype(int) - [0, 0, 128]).sum(2)
    assert difference[:3, :4].min() > 100
    assert difference[12:, 16:].max() == 0


def test_the_padding_is_not_on_the_overlay() -> None:
    """A picture of 24 x 32 in 8 x 8 padded fills the upper 6 rows; the heat is below."""
    raw = np.zeros((8, 8), np.float32)
    raw[7] = 1
    one = explanation(raw, preprocess=Preprocess(resize="pad"))
    np.testing.assert_array_equal(one.overlay(alpha=1.0), np.full((24, 32, 3), (0, 0, 128)))


def test_a_notebook_gets_a_png() -> None:
    data = explanation()._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape == (24, 32, 3)


@pytest.mark.parametrize("name", ["a.png", "b.jpg", "new/folder/c.png", "ü.webp"])
def test_save_writes_the_overlay(name: str, tmp_path: Path) -> None:
    path = explanation().save(tmp_path / name, colormap="viridis")
    assert path == tmp_path / name
    saved = read_image(path)
    assert saved.shape == (24, 32, 3)
    if path.suffix == ".png":
        np.testing.assert_array_equal(saved, explanation().overlay(colormap="viridis"))


def test_a_target_reads_well() -> None:
    assert str(CAT) == "285 Egyptian cat (40.0%)"
    assert str(Target(3, None, 1.0, 0.5)) == "class 3 (50.0%)"


# -- notebooks, and several side by side ------------------------------------------------------


def test_a_notebook_gets_a_page() -> None:
    one = replace(explanation(image="cat.png"), warnings=["<odd> & empty"])
    page = one._repr_html_()
    np.testing.assert_array_equal(embedded(page), one.overlay())
    assert "285 Egyptian cat (40.0%)" in page
    assert "cat.png" in page
    assert "&lt;odd&gt; &amp; empty" in page


def test_a_notebook_gets_several_side_by_side() -> None:
    several = Explanations([explanation(), explanation()])
    np.testing.assert_array_equal(embedded(several._repr_html_()), several.grid())
    assert "no explanations" in Explanations()._repr_html_()


def test_side_by_side_they_are_as_wide_as_all_of_them() -> None:
    row = side_by_side([explanation()] * 3, columns=3)
    column = side_by_side([explanation()] * 3, columns=1)
    assert row.shape[1] > 3 * 32
    assert column.shape[0] > 3 * 24
    with pytest.raises(OnnxCamError, match="no explanations"):
        side_by_side([])


def test_several_pictures_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "onnxcam.explanation.grid", lambda cells, captions, columns: said.extend(captions)
    )
    side_by_side([explanation(image="a/cat.png"), explanation(image="dog.png")])
    side_by_side([explanation(image="cat.png"), explanation(image="cat.png")])
    assert said == [
        "285 Egyptian cat (40.0%) · gradcam · cat.png",
        "285 Egyptian cat (40.0%) · gradcam · dog.png",
        "285 Egyptian cat (40.0%) · gradcam",
        "285 Egyptian cat (40.0%) · gradcam",
    ]


def embedded(page: str) -> np.ndarray:
    """The picture in a page."""
    found = re.search("base64,([^']*)'", page)
    assert found is not None
    data = np.frombuffer(b64decode(found.group(1)), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


# -- looks ------------------------------------------------------------------------------------


def test_a_look_can_be_changed_for_one_picture() -> None:
    one = replace(explanation(), look=Look(style="add", colormap="hot"))
    np.testing.assert_array_equal(one.overlay(), explanation().overlay(style="add", colormap="hot"))
    assert (one.overlay(alpha=1.0) != one.overlay()).any()


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(OnnxCamError, match="'colormap'"):
        explanation().overlay(color_map="jet")
    with pytest.raises(OnnxCamError, match="'fusion'"):
        explanation().overlay(style="fussion")


def test_heat_is_saved_in_the_sources_size(tmp_path: Path) -> None:
    one = explanation()
    np.testing.assert_array_equal(np.load(one.save(tmp_path / "heat.npy")), one.heat)
    assert one.heat.shape == (24, 32)


# -- volumes and signals ----------------------------------------------------------------------


def of_volume(affine: np.ndarray | None) -> Explanation:
    values = np.random.default_rng(0).random((6, 8, 10, 1)).astype(np.float32)
    raw = np.zeros((3, 4, 5), np.float32)
    raw[2, 1, 3] = 1
    frame = Preprocess().frame((6, 8, 10), (6, 8, 10))
    return replace(explanation(raw, "scan.nii.gz"), source=Volume(values, affine), frame=frame)


def test_the_heat_of_a_volume_keeps_its_affine(tmp_path: Path) -> None:
    affine = np.array([[0, -2, 0, 5], [0, 0, 3, 6], [1.5, 0, 0, 7], [0, 0, 0, 1]], float)
    one = of_volume(affine)
    path = Path(Saver(tmp_path, ["heatmap"]).save(one)["heatmap"])
    assert path.name == "scan.285.gradcam.nii.gz"
    found = read_volume(path)
    np.testing.assert_allclose(found.affine, affine)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.values[..., 0], one.heat)


def test_the_heat_of_a_volume_without_an_affine_is_an_array(tmp_path: Path) -> None:
    one = of_volume(None)
    path = Path(Saver(tmp_path, ["heatmap"]).save(one)["heatmap"])
    assert path.name == "scan.285.gradcam.npy"
    np.testing.assert_array_equal(np.load(path), one.heatmap)


def test_a_volume_is_shown_where_it_is_hottest() -> None:
    one = of_volume(None)
    hot = np.unravel_index(one.heat.argmax(), one.heat.shape)
    np.testing.assert_array_equal(one.overlay(axis=1), one.overlay(axis=1, index=int(hot[1])))
    assert one.overlay(axis=1, rotate=1).shape == (10, 6, 3)
    assert one.overlay(axis=0, index="middle").shape == (8, 10, 3)
    with pytest.raises(OnnxCamError, match="no slice 8"):
        one.overlay(axis=1, index=8)


def test_a_signal_is_a_plot() -> None:
    signal = Signal(np.sin(np.arange(50, dtype=np.float32))[:, None])
    raw = np.array([0, 1, 3, 1, 0], np.float32)
    one = replace(explanation(raw), source=signal, frame=Preprocess().frame((50,), (50,)))
    picture = one.overlay()
    assert picture.shape[2] == 3
    assert min(picture.shape[:2]) > 50


# -- files ------------------------------------------------------------------------------------


def test_what_is_saved_is_named_after_picture_class_and_method(tmp_path: Path) -> None:
    saver = Saver(tmp_path / "out", ["overlay", "heatmap", "raw"])
    entry = saver.save(explanation(image="folder/cat.jpg"))
    assert entry["overlay"] == str(tmp_path / "out" / "cat.285.gradcam.png")
    assert entry["heatmap"] == str(tmp_path / "out" / "cat.285.gradcam.npy")
    assert entry["raw"] == str(tmp_path / "out" / "cat.285.gradcam.raw.npy")
    np.testing.assert_array_equal(np.load(entry["heatmap"]), explanation().heatmap)
    np.testing.assert_array_equal(np.load(entry["raw"]), explanation().raw)
    assert entry["target"] == {
        "index": 285, "label": "Egyptian cat", "score": 9.1, "probability": 0.4,
    }  # fmt: skip


@pytest.mark.parametrize("picture", FORMATS)
def test_overlays_are_written_as_asked(picture: str, tmp_path: Path) -> None:
    saver = Saver(tmp_path, ["overlay", "raw"], picture)
    entry = saver.save(explanation(image="cat.jpg"))
    assert entry["overlay"] == str(tmp_path / f"cat.285.gradcam.{picture}")
    assert entry["raw"] == str(tmp_path / "cat.285.gradcam.raw.npy")
    (one, other) = saver.save_grid([explanation(image="cat.jpg")] * 2)
    assert one["overlay"] == other["overlay"] == str(tmp_path / f"cat.grid.{picture}")
    starts = {"png": b"\x89PNG", "jpg": b"\xff\xd8", "webp": b"RIFF"}
    for path in (entry["overlay"], one["overlay"]):
        assert Path(path).read_bytes().startswith(starts[picture])


def test_names_do_not_meet(tmp_path: Path) -> None:
    saver = Saver(tmp_path, ["raw"])
    images = ["a/cat.png", "b/cat.png", "a/cat-2.png", "c/cat.png", "a/cat.jpg", "x.y/c.at.png"]
    paths = [saver.save(explanation(image=image))["raw"] for image in images]
    assert len(set(paths)) == len(images)
    again = [saver.save(explanation(image=image))["raw"] for image in images]
    assert not set(again) & set(paths)  # nothing that was written is written over
    assert [Path(path).name.split(".")[0] for path in again] == [
        Path(path).name.split(".")[0] for path in paths
    ]


def test_a_saver_refuses_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OnnxCamError, match="'overlay'"):
        Saver(tmp_path, ["raw", "overlays"])
    with pytest.raises(OnnxCamError, match="png, jpg, webp"):
        Saver(tmp_path, ["overlay"], "gif")


@pytest.mark.parametrize("kind", ["overlay", "heatmap", "raw"])
def test_a_folder_that_cannot_be_made(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ImageError, match="cannot be written"):
        Saver(tmp_path / "file" / "out", [kind]).save(explanation(image="a.png"))

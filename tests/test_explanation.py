"""An explanation as pictures and files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from graphs import photo

from onnxcam import Explanation, Preprocess, Target
from onnxcam.errors import ImageError, OnnxCamError
from onnxcam.explanation import normalized
from onnxcam.files import Saver
from onnxcam.images import read_image

CAT = Target(285, "Egyptian cat", 9.1, 0.4)


def explanation(
    raw: np.ndarray | None = None,
    image: str | None = None,
    target: Target = CAT,
    preprocess: Preprocess | None = None,
) -> Explanation:
    ramp = np.arange(16, dtype=np.float32).reshape(4, 4) if raw is None else raw
    return Explanation(
        ramp, target, "gradcam", "conv", "CPUExecutionProvider", (8, 8),
        preprocess or Preprocess(), photo(), image,
    )  # fmt: skip


def test_the_heatmap_is_the_raw_map_scaled_then_enlarged() -> None:
    one = explanation()
    expected = cv2.resize(one.raw / 15, (8, 8), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(one.heatmap, expected, rtol=1e-6)
    assert one.heatmap.dtype == np.float32


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_heatmap_does_not_depend_on_the_raw_maps_scale(scale: float) -> None:
    ramp = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_allclose(normalized(ramp * np.float32(scale)), ramp / 15, rtol=1e-5)


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((["raw", "overlays"],), "'overlay'"),
        ((["raw"], "blind"), "'blend'"),
        ((["raw"], "blend", "jett"), "'jet'"),
        ((["raw"], "blend", "jet", 2.0), "between"),
    ],
)
def test_a_saver_refuses_before_the_work(
    arguments: tuple[object, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(OnnxCamError, match=words):
        Saver(tmp_path, *arguments)


@pytest.mark.parametrize("kind", ["overlay", "heatmap", "raw"])
def test_a_folder_that_cannot_be_made(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ImageError, match="cannot be written"):
        Saver(tmp_path / "file" / "out", [kind]).save(explanation(image="a.png"))

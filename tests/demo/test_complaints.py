"""What the page says when something is wrong, and that it goes on afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

import onnxcam

pytestmark = pytest.mark.browser

MODELS = Path(__file__).parents[2] / "models"
CAT = MODELS / "images" / "chelsea.png"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, rewritten."""
    path = tmp_path_factory.mktemp("models") / "shapes.onnx"
    onnx.save(onnxcam.rewrite(MODELS / "shapes_torch.onnx", profile="portable"), path)
    return path


def complaint(page: Any) -> str:
    page.wait_for_selector("#error:not([hidden])", timeout=30_000)
    return page.inner_text("#error p")


def choose_model(page: Any, *paths: Path) -> None:
    page.set_input_files("#model-file", list(map(str, paths)))


def test_not_rewritten(page: Any) -> None:
    choose_model(page, MODELS / "shapes_torch.onnx")
    assert "onnxcam rewrite shapes_torch.onnx -o explained.onnx" in complaint(page)


def test_no_model(page: Any, tmp_path: Path) -> None:
    (tmp_path / "odd.onnx").write_bytes(b"hello")
    choose_model(page, tmp_path / "odd.onnx")
    assert "odd.onnx is not an ONNX model" in complaint(page)


def test_volumes_are_no_pictures(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "volume.onnx"
    onnx.save(onnxcam.rewrite(MODELS / "lesions_keras.onnx", profile="portable"), path)
    choose_model(page, path)
    words = complaint(page)
    assert "this page explains pictures" in words
    assert "volumes" in words


def test_a_broken_model_names_itself(page: Any, shapes: Path, tmp_path: Path) -> None:
    model = onnx.load(shapes)
    model.graph.node[0].op_type = "Nonsense"
    onnx.save(model, tmp_path / "broken.onnx")
    choose_model(page, tmp_path / "broken.onnx")
    assert "broken.onnx does not run in this browser" in complaint(page)


def test_weights_elsewhere(page: Any, shapes: Path, tmp_path: Path) -> None:
    onnx.save(
        onnx.load(shapes), tmp_path / "split.onnx", save_as_external_data=True, size_threshold=0
    )
    choose_model(page, tmp_path / "split.onnx")
    assert "its weights lie in another file" in complaint(page)


def test_preprocessing_that_is_unknown(page: Any, shapes: Path, tmp_path: Path) -> None:
    model = onnx.load(shapes)
    for entry in model.metadata_props:
        if entry.key == "onnxcam.preprocess":
            entry.value = json.dumps({"resize": "squash"})
    onnx.save(model, tmp_path / "odd.onnx")
    choose_model(page, tmp_path / "odd.onnx")
    assert "'squash' is none of stretch, crop, pad" in complaint(page)


def test_no_picture(page: Any, tmp_path: Path) -> None:
    (tmp_path / "odd.png").write_bytes(CAT.read_bytes()[:40])
    page.set_input_files("#picture-file", str(tmp_path / "odd.png"))
    assert "odd.png is not a picture" in complaint(page)


@pytest.mark.parametrize("what", ["model", "picture"])
def test_an_address_without_a_file(page: Any, what: str) -> None:
    page.goto(f"/demo/index.html?{what}=/files/missing")
    assert "/files/missing cannot be loaded: the server answers 404" in complaint(page)


def test_no_such_class_and_on_it_goes(page: Any, shapes: Path) -> None:
    choose_model(page, shapes)
    page.set_input_files("#picture-file", str(CAT))
    page.wait_for_selector("#other:not([hidden])")
    page.fill("#other-class", "unicorn")
    page.press("#other-class", "Enter")
    assert complaint(page) == "the model has no class 'unicorn'"
    page.fill("#other-class", "star")
    page.press("#other-class", "Enter")
    page.wait_for_selector('#heat[aria-label^="Heat for star:"]')
    assert not page.is_visible("#error")


def test_what_was_assumed_can_be_put_right(page: Any, shapes: Path, tmp_path: Path) -> None:
    model = onnx.load(shapes)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    choose_model(page, tmp_path / "bare.onnx")
    page.wait_for_selector("#preset-row:not([hidden])")
    assert page.input_value("#preset") == "imagenet"
    page.set_input_files("#picture-file", str(CAT))
    page.wait_for_selector('#heat[aria-label^="Heat for class"]')
    page.select_option("#preset", "0-1")
    card = {"preprocess": {"scale": 1 / 255}, "labels": ["a", "b", "c", "d", "e", "f"]}
    (tmp_path / "bare.json").write_text(json.dumps(card))
    choose_model(page, tmp_path / "bare.json")
    page.wait_for_selector("#preset-row", state="hidden")
    assert set(page.locator(".prediction span").all_inner_texts()) <= set("abcdef")
    assert not page.is_visible("#error")

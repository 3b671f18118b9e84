"""What a rewritten model can hold: profiles, forms, resolutions, choices; and rewritten again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import annotated, classifier
from click.testing import Result
from graph.test_picture import spatial_net
from graphs import photo, write_picture

import onnxcam
from onnxcam import rewriting, understanding
from onnxcam.errors import ModelError, OnnxCamError
from onnxcam.finish import Finish
from onnxcam.frame import Frame
from onnxcam.graph import network
from onnxcam.graph.rewritten import without_explanation
from onnxcam.profiles import PROFILES
from onnxcam.profiles.profile import EVERYWHERE
from onnxcam.runtime import Runner

MODELS = Path(__file__).parents[1] / "models"
SHAPES = MODELS / "shapes_torch.onnx"


def x_of(model: onnx.ModelProto, seed: int = 0) -> np.ndarray:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    shape = [2 if k == 0 else dim.dim_value for k, dim in enumerate(dims)]
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def answers(model: onnx.ModelProto, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    return Runner(model).run({model.graph.input[0].name: x_of(model), **feeds})


@pytest.mark.parametrize("method", ["gradcam", "layercam", "eigencam", "gradcam-elementwise"])
@pytest.mark.parametrize(
    "name", ["shapes_torch", "shapes_keras", "shapes_paddle", "shapes_vit", "shapes_detector"]
)
def test_the_portable_profile_gives_the_same_maps(name: str, method: str) -> None:
    path = MODELS / f"{name}.onnx"
    own = len(onnx.load(path).graph.node)
    plain = onnxcam.rewrite(path, method)
    portable = onnxcam.rewrite(path, method, profile="portable", choice="run-time")
    emitted = {node.op_type for node in portable.graph.node[own:]}
    assert emitted <= EVERYWHERE
    wanted, found = answers(plain), answers(portable)
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(found[key], value, atol=1e-5 * max(1e-9, abs(value).max()))


def test_a_profile_says_what_it_cannot_do() -> None:
    with pytest.raises(ModelError, match="'portable'"):
        onnxcam.rewrite(SHAPES, profile="portabel")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_metadata_says_what_is_inside(profile: str) -> None:
    made = onnxcam.rewrite(SHAPES, profile=profile, form="uint8", resolution="input")
    inside = {entry.key: entry.value for entry in made.metadata_props}
    assert inside["onnxcam.profile"] == profile
    assert inside["onnxcam.form"] == "uint8"
    assert inside["onnxcam.resolution"] == "input"
    assert inside["onnxcam.choice"] == ("required" if profile == "portable" else "run-time")


# -- forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", ["layer", "input"])
def test_a_heatmap_in_the_file_is_that_of_finish(resolution: str) -> None:
    raw = answers(onnxcam.rewrite(SHAPES, "hirescam", top=2))["cam"]
    found = answers(
        onnxcam.rewrite(SHAPES, "hirescam", top=2, form="heatmap", resolution=resolution)
    )
    size = x_of(onnx.load(SHAPES)).shape[2:]
    frame = Frame.whole(size if resolution == "input" else raw.shape[2:])
    for n in range(2):
        for k in range(2):
            expected = Finish(again=resolution == "input").heatmap(raw[n, k], frame)
            np.testing.assert_allclose(found["cam"][n, k], expected, atol=1e-5)


def test_grey_levels_are_the_heatmap_cut_to_whole_numbers() -> None:
    heat = answers(onnxcam.rewrite(SHAPES, form="heatmap", resolution="input"))["cam"]
    levels = answers(onnxcam.rewrite(SHAPES, form="uint8", resolution="input"))["cam"]
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels, (heat * np.float32(255)).astype(np.uint8))


def test_a_raw_map_at_the_inputs_resolution() -> None:
    small = answers(onnxcam.rewrite(SHAPES))["cam"]
    large = answers(onnxcam.rewrite(SHAPES, resolution="input"))["cam"]
    whole = Frame.whole(large.shape[2:])
    np.testing.assert_allclose(large[0, 0], whole.back(small[0, 0]), atol=1e-5)


@pytest.mark.parametrize("style", ["blend", "sum"])
@pytest.mark.parametrize("profile", ["cpu", "portable"])
def test_an_overlay_in_the_file_is_the_overlay(style: str, profile: str) -> None:
    look = onnxcam.Look(style=style, colormap="viridis")
    model = MODELS / "efficientnet_lite0.onnx"
    explainer = onnxcam.Explainer(model, look=look)
    picture = photo(224, 224)
    wanted = explainer.explain(picture)
    assert isinstance(wanted, onnxcam.Explanation)
    made = onnxcam.rewrite(model, form="overlay", look=look, profile=profile, choice="fixed")
    x = explainer.card.preprocess.tensor(picture, explainer.image)
    found = Runner(made).run({explainer.image.name: x})["cam_overlay"]
    assert found.dtype == np.uint8
    difference = np.abs(found[0, 0].astype(int) - wanted.overlay().astype(int))
    # One colour further where rounding decides between two of them.
    assert (difference > 2).mean() < 0.01
    assert difference.max() <= 8


@pytest.mark.parametrize("last", [False, True])
def test_channels_and_colours_are_undone(last: bool) -> None:
    shape = ("n", 16, 20, 3) if last else ("n", 3, 16, 20)
    settings = '{"color": "bgr", "scale": 1.0, "mean": [103.9, 116.8, 123.7]}'
    model = annotated(spatial_net(shape, last), preprocess=settings)
    explainer = onnxcam.Explainer(model)
    picture = photo(16, 20)
    x = explainer.card.preprocess.tensor(picture, explainer.image)
    look = onnxcam.Look(style="sum", alpha=0.0, beta=1.0)
    made = onnxcam.rewrite(model, form="overlay", look=look)
    found = Runner(made).run({"image": x})["cam_overlay"]
    np.testing.assert_array_equal(found[0, 0], picture)


def test_what_cannot_be_drawn_in_a_file_is_refused() -> None:
    with pytest.raises(OnnxCamError, match="'contour'"):
        onnxcam.rewrite(SHAPES, form="overlay", look=onnxcam.Look(style="contour"))
    with pytest.raises(ModelError, match="'heatmap'"):
        onnxcam.rewrite(MODELS / "lesions_keras.onnx", form="overlay")
    with pytest.raises(OnnxCamError, match="'heatmap'"):
        onnxcam.rewrite(SHAPES, form="heat")
    with pytest.raises(OnnxCamError, match="'input'"):
        onnxcam.rewrite(SHAPES, resolution="inputs")


def test_the_heat_of_a_volume_at_the_inputs_resolution() -> None:
    made = onnxcam.rewrite(MODELS / "lesions_keras.onnx", form="heatmap", resolution="input")
    found = answers(made)["cam"]
    assert found.shape == (2, 1, 40, 48, 40)
    assert found.max() <= 1


# -- the class, settled or not ----------------------------------------------------------------


def test_a_settled_class_needs_no_input() -> None:
    made = onnxcam.rewrite(SHAPES, target=3, choice="fixed")
    assert [value.name for value in made.graph.input] == ["image"]
    wanted = Runner(onnxcam.rewrite(SHAPES)).run(
        {"image": x_of(made), "cam_class": np.full((2, 1), 3, np.int64)}
    )
    found = answers(made)
    np.testing.assert_array_equal(found["cam_target"], [[3], [3]])
    np.testing.assert_allclose(found["cam"], wanted["cam"], atol=1e-6)


def test_a_required_class_has_no_default() -> None:
    made = onnxcam.rewrite(SHAPES, top=2, choice="required")
    assert [value.name for value in made.graph.input] == ["image", "cam_class"]
    assert "cam_class" not in {tensor.name for tensor in made.graph.initializer}
    with pytest.raises(OnnxCamError, match="cam_class"):
        answers(made)
    asked = np.array([[3, -1], [0, 2]], np.int64)
    found = Runner(made).run({"image": x_of(made), "cam_class": asked})
    plain = Runner(onnxcam.rewrite(SHAPES, top=2)).run({"image": x_of(made), "cam_class": asked})
    np.testing.assert_array_equal(found["cam"], plain["cam"])


def test_the_best_classes_may_be_settled_too() -> None:
    made = onnxcam.rewrite(SHAPES, top=2, choice="fixed")
    found, wanted = answers(made), answers(onnxcam.rewrite(SHAPES, top=2))
    np.testing.assert_array_equal(found["cam_target"], wanted["cam_target"])
    with pytest.raises(OnnxCamError, match="'fixed'"):
        onnxcam.rewrite(SHAPES, choice="fix")


# -- rewritten again --------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["cpu", "portable"])
def test_an_old_explanation_is_replaced(profile: str) -> None:
    first = onnxcam.rewrite(SHAPES, "eigencam", top=3, form="overlay", profile=profile)
    again = onnxcam.rewrite(first, "gradcam")
    fresh = onnxcam.rewrite(SHAPES, "gradcam")
    assert [o.name for o in again.graph.output] == [o.name for o in fresh.graph.output]
    assert [i.name for i in again.graph.input] == [i.name for i in fresh.graph.input]
    assert len(again.graph.node) == len(fresh.graph.node)
    for key, value in answers(fresh).items():
        np.testing.assert_array_equal(answers(again)[key], value)


def test_without_its_explanation_a_model_is_what_it_was() -> None:
    model = onnx.load(SHAPES)
    assert without_explanation(model) is model
    stripped = without_explanation(onnxcam.rewrite(SHAPES, top=2, form="overlay"))
    assert [node.name for node in stripped.graph.node] == [n.name for n in model.graph.node]
    assert {t.name for t in stripped.graph.initializer} == {t.name for t in model.graph.initializer}
    assert list(stripped.graph.output) == list(model.graph.output)
    assert list(stripped.graph.input) == list(model.graph.input)


def test_a_rewritten_model_is_explained_like_the_original() -> None:
    plain = onnxcam.explain(SHAPES, photo())
    rewritten = onnxcam.explain(onnxcam.rewrite(SHAPES, "eigencam"), photo())
    assert isinstance(plain, onnxcam.Explanation)
    assert isinstance(rewritten, onnxcam.Explanation)
    np.testing.assert_array_equal(plain.raw, rewritten.raw)


def test_what_lies_beside_the_model_travels_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(classifier(), str(path))
    (tmp_path / "model.json").write_text(
        '{"preprocess": {"mean": 0.5}, "labels": ["a", "b", "c", "d", "e"]}'
    )
    own = onnxcam.Explainer(path).card
    moved = onnxcam.Explainer(onnxcam.rewrite(path)).card
    assert (moved.preprocess, moved.labels) == (own.preprocess, own.labels)


def test_a_guess_does_not_travel_as_if_it_were_known(tmp_path: Path) -> None:
    inside = {entry.key for entry in onnxcam.rewrite(classifier()).metadata_props}
    assert not inside & {"onnxcam.preprocess", "onnxcam.labels"}
    path = tmp_path / "model.onnx"
    onnx.save(classifier(), str(path))
    made = onnxcam.rewrite(path, preprocess="caffe")
    assert onnxcam.Explainer(made).card.preprocess.color == "bgr"


def test_the_command_line_has_them_all(cli, model_file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out.onnx"
    options = ["--profile", "portable", "--form", "heatmap", "--resolution", "input"]
    result: Result = cli("rewrite", model_file, "-o", out, *options, "--choice", "fixed")
    assert result.exit_code == 0, result.output
    inside = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert inside["onnxcam.form"] == "heatmap"
    assert inside["onnxcam.choice"] == "fixed"


@pytest.mark.parametrize("target", ["label 1", "similar"])
def test_a_model_and_its_card_are_read_once(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a target asks: labels, or the model's answer for a picture."""
    path, picture = tmp_path / "model.onnx", write_picture(tmp_path / "other.png")
    onnx.save(classifier(), path)
    read: list[str] = []

    def counted(home: object, name: str) -> None:
        plain = getattr(home, name)

        def call(*given: object, **options: object) -> object:
            read.append(name)
            return plain(*given, **options)

        monkeypatch.setattr(home, name, call)

    counted(rewriting, "find_card")
    counted(understanding, "find_card")
    counted(network, "load_with_file")
    labels = [f"label {k}" for k in range(5)]
    words = f"similar:{picture}" if target == "similar" else target
    rewriting.rewrite(path, target=words, labels=labels, preprocess="0-1")
    assert sorted(read) == ["find_card", "load_with_file"]

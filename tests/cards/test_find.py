"""Where preprocessing and labels are found: which source wins, and what becomes of the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml
from builders import annotated, classifier, conv_trunk, head
from graphs import Build
from targets.boxes.detectors import detr, ssd

from onnxcam.cards import Card
from onnxcam.errors import PreprocessError
from onnxcam.preprocess import PRESETS, Preprocess
from onnxcam.understanding import understand

Save = Callable[..., Path]
NAMES = ["ant", "bee", "cat", "dog", "elk"]


def card_of(model: Any, preprocess: Any = None, labels: Any = None) -> Card:
    return understand(model, preprocess, labels)[2]


def test_an_open_input_size_is_told() -> None:
    model = classifier((1, 3, None, None))
    assert "input size 224x224" in card_of(model, "0-1").assumed[0]
    assert card_of(model, Preprocess(size=(64, 32))).assumed == ()


def test_flag_before_metadata_before_file_before_guess(save: Save) -> None:
    inside = annotated(
        classifier(), preprocess='{"scale": 2.0}', labels=json.dumps([f"in {n}" for n in NAMES])
    )
    path = save(inside)
    beside = {"preprocess": {"scale": 3.0}, "labels": [f"by {n}" for n in NAMES]}
    path.with_suffix(".json").write_text(json.dumps(beside))
    given = card_of(path, Preprocess(scale=1.0), NAMES)
    assert (given.preprocess.scale, given.label(0)) == (1.0, "ant")
    metadata = card_of(path)
    assert (metadata.preprocess.scale, metadata.label(0)) == (2.0, "in ant")
    bare = save(classifier())
    sidecar = card_of(bare)
    assert (sidecar.preprocess.scale, sidecar.label(0)) == (3.0, "by ant")
    assert sidecar.assumed == ()
    bare.with_suffix(".json").unlink()
    assert card_of(bare).preprocess == PRESETS["imagenet"]
    assert card_of(bare).label(0) is None


def test_each_half_has_its_own_source(save: Save) -> None:
    path = save(annotated(classifier(), preprocess='{"scale": 2.0}'))
    path.with_suffix(".json").write_text(json.dumps({"labels": NAMES}))
    card = card_of(path)
    assert (card.preprocess.scale, card.labels) == (2.0, tuple(NAMES))


def test_another_json_file_beside_the_model_is_no_card(save: Save) -> None:
    path = save(classifier())
    path.with_suffix(".json").write_text('{"program": {"regions": []}}')
    assert card_of(path).labels is None


HUGGING_FACE = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 24, "width": 24},
    "resample": 3,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.25, 0.25, 0.25],
}
TIMM = {
    "architecture": "resnet18",
    "pretrained_cfg": {"input_size": [3, 24, 24], "crop_pct": 1.0, "std": [0.125]},
}
PADDLE = {
    "PreProcess": {"transform_ops": [{"ResizeImage": {"size": 24}}, {"ToCHWImage": None}]},
    "PostProcess": {"Topk": {"topk": 5, "label_list": NAMES}},
}
TORCHVISION = {"resize_size": 30, "crop_size": 24, "std": [0.0625]}
CONFIG = {"id2label": {str(k): name for k, name in enumerate(NAMES)}, "model_type": "vit"}


def many(classes: int) -> onnx.ModelProto:
    """A classifier of more classes than the small ones."""
    b = Build()
    conv_trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 8, classes)
    b.output("logits", [1, classes])
    return b.model()


def of_volumes() -> onnx.ModelProto:
    """A classifier of volumes with three channels."""
    b = Build((1, 3, 8, 8, 8))
    b.conv("image", "conv", (8, 3, 3, 3, 3), pads=[1] * 6)
    b.op("Relu", ["conv"], "features")
    head(b)
    return b.model()


@pytest.mark.parametrize(
    ("name", "content", "std"),
    [
        ("preprocessor_config.json", HUGGING_FACE, 0.25),
        ("config.json", TIMM, 0.125),
        ("inference.yml", PADDLE, 1.0),
        ("preprocess.json", TORCHVISION, 0.0625),
        ("transforms.json", TORCHVISION, 0.0625),
    ],
)
def test_files_of_others_beside_the_model(
    name: str, content: dict[str, Any], std: float, save: Save
) -> None:
    path = save(classifier())
    (path.parent / name).write_text(yaml.safe_dump(content) if "yml" in name else dumped(content))
    card = card_of(path)
    assert card.preprocess.std == std
    assert card.preprocess != PRESETS["imagenet"]
    assert card.assumed == ()
    assert card_of(path, "raw").preprocess == PRESETS["raw"]
    assert card_of(path, path.parent / name).preprocess == card.preprocess
    assert card_of(path, content).preprocess == card.preprocess


def dumped(content: Any) -> str:
    return json.dumps(content, indent=2)


def test_settings_above_a_folder_of_exports(save: Save) -> None:
    path = save(classifier(), "vit/onnx/model.onnx")
    top = path.parent.parent
    (top / "preprocessor_config.json").write_text(dumped(HUGGING_FACE))
    (top / "config.json").write_text(dumped(CONFIG))
    card = card_of(path)
    assert (card.preprocess.std, card.labels, card.assumed) == (0.25, tuple(NAMES), ())
    other = save(classifier(), "vit/other/model.onnx")
    assert card_of(other).labels is None


def test_the_order_of_programs(save: Save) -> None:
    path = save(classifier())
    for name, content in (
        ("preprocess.json", TORCHVISION),
        ("config.json", TIMM),
        ("preprocessor_config.json", HUGGING_FACE),
    ):
        (path.parent / name).write_text(dumped(content))
        assert card_of(path).preprocess == card_of(path, content).preprocess
    path.with_suffix(".json").write_text('{"preprocess": {"std": 7.0}}')
    assert card_of(path).preprocess.std == 7.0


def test_metadata_of_others_before_files_of_others(save: Save) -> None:
    model = classifier()
    model.metadata_props.add(key="model_info scale_values", value="255")
    model.metadata_props.add(key="model_info labels", value="ant bee cat dog elk")
    path = save(model)
    (path.parent / "preprocessor_config.json").write_text(dumped(HUGGING_FACE))
    card = card_of(path)
    assert (card.preprocess.std, card.labels) == (255.0, tuple(NAMES))


@pytest.mark.parametrize(
    "model",
    [
        lambda: classifier((1, 1, 16, 16), channels=1),
        lambda: classifier((1, 4, 16, 16), channels=4),
        of_volumes,
    ],
)
def test_settings_for_other_inputs_are_left_alone(
    model: Callable[[], onnx.ModelProto], save: Save
) -> None:
    path = save(model())
    without = card_of(path)
    per_channel = HUGGING_FACE | {"image_mean": [0.1, 0.2, 0.3]}
    (path.parent / "preprocessor_config.json").write_text(dumped(per_channel))
    assert card_of(path) == without


def test_names_for_other_classes_are_left_out(save: Save) -> None:
    path = save(classifier())
    (path.parent / "config.json").write_text(dumped({"id2label": {"0": "cat", "1": "dog"}}))
    card = card_of(path, "raw")
    assert card.labels is None
    assert "config.json (it has 2, the model 5 classes" in card.assumed[0]
    assert "--labels" in card.assumed[0]
    (path.parent / "inference.yml").write_text(yaml.safe_dump(PADDLE))
    assert card_of(path, "raw").labels == tuple(NAMES)


@pytest.mark.parametrize(
    ("model", "names"),
    [(detr, ("ant", "bee", "cat", "no object")), (ssd, ("no object", "ant", "bee", "cat"))],
)
def test_no_object_needs_no_name(
    model: Callable[[], onnx.ModelProto], names: tuple[str, ...], save: Save
) -> None:
    path = save(model())
    (path.parent / "config.json").write_text(dumped({"id2label": dict(enumerate(NAMES[:3]))}))
    card = card_of(path, "raw")
    assert (card.labels, card.assumed) == (names, ())


@pytest.mark.parametrize("name", ["preprocessor_config.json", "config.json", "inference.yml"])
@pytest.mark.parametrize("text", ["{", "[1]", "\ttab: [", "\xff"])
def test_a_broken_file_beside_the_model(name: str, text: str, save: Save) -> None:
    path = save(classifier())
    (path.parent / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(PreprocessError, match=rf"{name}: .*--preprocess and --labels") as caught:
        card_of(path)
    assert "\n" not in str(caught.value)
    assert card_of(path, "raw", NAMES).labels == tuple(NAMES)


def test_a_wrong_setting_beside_the_model(save: Save) -> None:
    path = save(classifier())
    wrong = HUGGING_FACE | {"resample": 77}
    (path.parent / "preprocessor_config.json").write_text(dumped(wrong))
    with pytest.raises(PreprocessError, match=r"preprocessor_config\.json: 'resample' .*77"):
        card_of(path)
    assert card_of(path, "raw").preprocess == PRESETS["raw"]


@pytest.mark.parametrize(("classes", "first"), [(1000, "tench"), (1001, "background")])
def test_imagenet_is_assumed_of_a_thousand_classes(classes: int, first: str) -> None:
    card = card_of(many(classes), "raw")
    assert card.label(0) == first
    assert card.assumed[0].startswith(f"class names of ImageNet ({classes} classes")
    assert "--labels" in card.assumed[0]
    told = card_of(many(classes), "raw", [str(k) for k in range(classes)])
    assert (told.label(0), told.assumed) == ("0", ())


@pytest.mark.parametrize("classes", [999, 1002])
def test_and_of_no_others(classes: int) -> None:
    assert card_of(many(classes), "raw").labels is None


def test_settings_in_yaml_of_our_own(tmp_path: Path) -> None:
    path = tmp_path / "fed.yaml"
    path.write_text("color: bgr\nstd: 2.0\n")
    assert card_of(classifier(), path).preprocess == Preprocess(color="bgr", std=2.0)
    path.write_text("colour: bgr\n")
    with pytest.raises(PreprocessError, match=r"fed\.yaml: no setting 'colour'.*'color'"):
        card_of(classifier(), path)

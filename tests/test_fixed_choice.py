"""A choice settled in the file: what follows from it is computed, and the values stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from builders import classifier

import onnxcam
from onnxcam.methods import Baked
from onnxcam.methods.registry import find_method, methods
from onnxcam.runtime import Arrays, Runner

MODELS = Path(__file__).parents[1] / "models"
SHAPES = MODELS / "shapes_torch.onnx"
BAKED = [one.name for one in methods() if issubclass(one, Baked)]


def fed(model: onnx.ModelProto, count: int = 3) -> Arrays:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    shape = [dim.dim_value or count for dim in dims]
    return {model.graph.input[0].name: np.random.default_rng(0).random(shape, np.float32)}


def same_as_chosen(path: object, **options: object) -> list[onnx.NodeProto]:
    """What is emitted for a choice that is fixed, whose values are those of one made in the run."""
    own = onnx.load(path) if isinstance(path, Path) else path
    chosen = onnxcam.rewrite(path, choice="run-time", **options)
    fixed = onnxcam.rewrite(path, choice="fixed", **options)
    onnx.checker.check_model(fixed, full_check=True)
    assert [value.name for value in fixed.graph.input] == [v.name for v in own.graph.input]
    wanted, found = Runner(chosen).run(fed(own)), Runner(fixed).run(fed(own))
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        close = 1e-5 * np.abs(value).max(initial=1e-9)
        np.testing.assert_allclose(found[name], value, rtol=0, atol=close, err_msg=name)
    emitted = list(fixed.graph.node[len(own.graph.node) :])
    assert not {node.name for node in emitted} & settled_by_choice(chosen)
    return emitted


def settled_by_choice(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that read nothing but stored values and the choice."""
    known = {tensor.name for tensor in model.graph.initializer}
    chosen = {value.name for value in model.graph.input} & known
    found = set()
    for node in model.graph.node:
        if set(node.input) <= known and set(node.input) & chosen and node.op_type != "Shape":
            known |= set(node.output)
            chosen |= set(node.output)
            found.add(node.name)
    return found


def ops(nodes: list[onnx.NodeProto]) -> set[str]:
    return {node.op_type for node in nodes}


@pytest.mark.parametrize("profile", ["cpu", "portable"])
@pytest.mark.parametrize("name", ["shapes_torch", "shapes_keras", "shapes_paddle", "shapes_vit"])
def test_a_class_that_is_given_leaves_nothing_to_choose(name: str, profile: str) -> None:
    emitted = same_as_chosen(MODELS / f"{name}.onnx", profile=profile, target=1)
    assert not ops(emitted) & {"Less", "ArgMax", "Where", "GatherElements", "Equal", "Squeeze"}


@pytest.mark.parametrize("profile", ["cpu", "portable"])
def test_grad_cam_of_a_class_is_a_product_with_stored_weights(profile: str) -> None:
    emitted = same_as_chosen(SHAPES, profile=profile, target=2)
    apart = {"Shape", "Gather", "Concat", "Expand"}  # the class, as often as there are pictures
    assert ops(emitted) - apart == {"MatMul", "Reshape", "Relu"}


@pytest.mark.parametrize("profile", ["cpu", "portable"])
@pytest.mark.parametrize("top", [1, 2])
def test_the_best_class_is_found_without_a_choice(top: int, profile: str) -> None:
    emitted = same_as_chosen(SHAPES, profile=profile, top=top)
    assert not ops(emitted) & {"Less", "Where"}
    assert ops(emitted) & {"ArgMax", "TopK"}


@pytest.mark.parametrize("method", BAKED)
def test_every_method_gives_the_same(method: str) -> None:
    attends = "attention" in find_method(method).__module__
    path = MODELS / ("shapes_vit.onnx" if attends else "shapes_torch.onnx")
    same_as_chosen(path, method=method, target="all")


@pytest.mark.parametrize("target", ["2-1", "2-rest", "p:2", "all", "2-0,1"])
def test_other_targets_give_the_same(target: str) -> None:
    emitted = same_as_chosen(SHAPES, target=target)
    assert "ArgMax" not in ops(emitted)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("shapes_segmentation", "region"),
        ("shapes_segmentation", "region:1"),
        ("shapes_detector", "box"),
        ("shapes_detector_nms", "box"),
    ],
)
def test_regions_and_boxes_give_the_same(name: str, target: str) -> None:
    same_as_chosen(MODELS / f"{name}.onnx", target=target)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch(batch: int) -> None:
    emitted = same_as_chosen(classifier((batch, 3, 16, 16)), target=1, preprocess="0-1")
    assert not ops(emitted) & {"Shape", "Where", "ArgMax"}


def test_what_would_be_large_is_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxcam.graph.folding.LARGEST_STORED", 4)
    emitted = [
        node
        for node in onnxcam.rewrite(SHAPES, target=1, choice="fixed").graph.node
        if node.name.startswith("onnxcam/")
    ]
    assert "Gather" in ops(emitted)  # the class's weights are looked up in the run

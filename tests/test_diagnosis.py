"""A map that says nothing is never handed over in silence: its cause is named."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from builders import classifier, gap_linear
from graphs import Build, photo

import onnxcam
from onnxcam import Explanation
from onnxcam.diagnosis import Evidence, diagnose, is_empty
from onnxcam.errors import ModelError
from onnxcam.finish import Finish
from onnxcam.methods import Baked
from onnxcam.methods.scene import Scene

RAW = {"preprocess": {"scale": 1.0}}


def explain(model: onnx.ModelProto, **options: object) -> Explanation:
    """Explained with every warning of NumPy an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = onnxcam.explain(model, photo(), **options)
        assert isinstance(found, Explanation)
        assert found.overlay().shape == photo().shape
    return found


def dead_units_behind() -> onnx.ModelProto:
    """Behind the features a ReLU that is closed everywhere."""
    b = Build((1, 3, 4, 4))
    b.op("Relu", ["image"], "features")
    b.weight("low", np.float32(-1e4))
    b.op("Add", ["features", "low"], "below")
    b.op("Relu", ["below"], "dead")
    b.op("GlobalAveragePool", ["dead"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.weight("w", np.eye(3, dtype=np.float32))
    b.weight("b", np.array([0, 1, 2], np.float32))
    b.op("Gemm", ["flat", "w", "b"], "logits")
    b.output("logits", [1, 3])
    return b.model()


def infinite_gradient() -> onnx.ModelProto:
    """The square root's slope at 0 is infinite, its value is not."""
    b = Build((1, 3, 4, 4))
    b.weight("zero", np.float32(0))
    b.op("Relu", ["image"], "features")
    b.op("Mul", ["features", "zero"], "none")
    b.op("Sqrt", ["none"], "root")
    b.op("GlobalAveragePool", ["root"], "pooled")
    b.op("Flatten", ["pooled"], "logits")
    b.output("logits", [1, 3])
    return b.model()


def infinite_activations() -> onnx.ModelProto:
    b = Build((1, 3, 4, 4))
    b.op("Exp", ["image"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "logits")
    b.output("logits", [1, 3])
    return b.model()


def constant_everywhere() -> onnx.ModelProto:
    b = Build((1, 3, 4, 4))
    b.weight("zero", np.float32(0))
    b.weight("one", np.float32(1))
    b.op("Mul", ["image", "zero"], "none")
    b.op("Add", ["none", "one"], "features")
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "logits")
    b.output("logits", [1, 3])
    return b.model()


SURE = gap_linear(np.diag([50.0, 1.0, 1.0]))
CAUSES = {
    "dead activations": (gap_linear(np.eye(3)), {"preprocess": {"scale": -1.0}}, "are zero"),
    "zero gradient": (dead_units_behind(), {"layer": "features", **RAW}, "gradient is zero"),
    "no weights": (gap_linear(np.zeros((3, 3))), RAW, "gradient is zero"),
    "saturated": (SURE, {"score": "probability", **RAW}, "saturated at 1.000000"),
    "all negative": (gap_linear(-np.eye(3)), RAW, "weighted sum is negative"),
    "NaN in the model": (infinite_activations(), {"layer": "features", **RAW}, "model itself"),
    "infinite gradient": (
        infinite_gradient(), {"layer": "features", **RAW}, "gradient overflows",
    ),
    "NaN weights": (gap_linear(np.full((3, 3), np.nan)), RAW, "not finite"),
    "constant": (constant_everywhere(), {"layer": "features", **RAW}, "same everywhere"),
}  # fmt: skip


@pytest.mark.parametrize("name", CAUSES)
def test_an_empty_map_names_its_cause(name: str) -> None:
    model, options, words = CAUSES[name]
    found = explain(model, **options)
    assert len(found.warnings) == 1
    assert words in found.warnings[0]
    assert "\n" not in found.warnings[0]
    assert not found.heatmap.any()
    assert np.isfinite(found.heatmap).all()


def test_a_saturated_probability_has_a_fine_logit() -> None:
    found = explain(SURE, **RAW)
    assert found.warnings == []
    assert found.heatmap.max() > 0.5


def test_each_class_of_several_has_its_own_warning() -> None:
    w = np.array([[1, 1, 1], [0.5, 0.5, 0.5], [-1, -1, -1]])
    found = onnxcam.explain(gap_linear(w), photo(), top=3, **RAW)
    assert isinstance(found, list)
    assert [bool(one.warnings) for one in found] == [False, False, True]


def test_a_disconnected_layer_is_refused_by_name() -> None:
    model = classifier()
    model.graph.node.append(onnx.helper.make_node("Sigmoid", ["conv1"], ["aside"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("aside", 1, [1, 6, 8, 8]))
    with pytest.raises(ModelError, match=r"'aside' \(disconnected\)"):
        onnxcam.explain(model, photo(), layer="aside")


class Forward(Baked):
    """A map without a gradient, zero everywhere."""

    name = "forward"
    needs = ("forward only",)

    def emit(self, scene: Scene) -> gs.Tensor:
        e, features = scene.e, scene.features
        total = e.reduce("ReduceMax", features.tensor, [features.channel], keepdims=False)
        return e.cast(e.unsqueeze(e.mul(total, 0), [1]), np.float32)


def test_a_method_without_gradients_is_diagnosed_without_one() -> None:
    """Behind the features is an operator that has no derivative."""
    b = Build((1, 3, 4, 4))
    b.op("Relu", ["image"], "features")
    b.op("Round", ["features"], "rounded")
    b.op("GlobalAveragePool", ["rounded"], "pooled")
    b.op("Flatten", ["pooled"], "logits")
    b.output("logits", [1, 3])
    found = explain(b.model(), method=Forward(), layer="features", **RAW)
    assert "nothing that the method does" in found.warnings[0]


@pytest.mark.parametrize(
    ("values", "empty"),
    [
        ([[0, 0]], True),
        ([[3, 3]], True),
        ([[-1, -1]], True),
        ([[np.nan, 1]], True),
        ([[np.inf, 1]], True),
        ([[0, 1e-30]], False),
        ([[-2, -1]], True),
        ([[-2, 1]], False),
    ],
)
def test_empty_and_normalised_agree(values: list[list[float]], empty: bool) -> None:
    raw = np.array(values, np.float32)
    with np.errstate(all="raise"):
        assert is_empty(raw) == empty
        unit = Finish().unit(raw)
    assert unit.dtype == np.float32
    assert unit.max() == (0 if empty else 1)
    assert unit.min() == 0


def test_the_largest_floats_do_not_overflow() -> None:
    top = np.finfo(np.float32).max
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(
            Finish().unit(np.array([[-top, 0, top]], np.float32)), [[0, 0, 1]]
        )


def evidence(**other: Any) -> Evidence:
    """Of a live layer without a gradient, unless told otherwise."""
    usual: dict[str, Any] = {
        "x": photo(4, 4).transpose(2, 0, 1)[None].astype(np.float32),
        "score": 1.0,
        "probability": 0.5,
        "activations": np.arange(12.0).reshape(3, 2, 2),
        "spatial": (-2, -1),
        "gradient": np.zeros((3, 2, 2)),
    }
    return Evidence(**(usual | other))


ZERO = np.zeros((2, 2))
ONES = np.ones((2, 2))


@pytest.mark.parametrize(
    ("raw", "seen", "words"),
    [
        (ZERO, {"gradient": None}, "nothing that the method does"),
        (-ONES, {"gradient": None}, "weighted sum is negative"),
        (ONES, {"gradient": None}, "tells no place from another"),
        (ONES, {"x": np.ones((1, 3, 4, 4)), "gradient": None}, "it has one colour"),
        (ONES, {"x": np.ones((1, 4, 4, 3)), "gradient": None}, "it has one colour"),
        (ONES, {"activations": np.ones((3, 2, 2)), "gradient": None}, "activations are"),
        (np.ones((1, 1)), {"gradient": None}, "one position only"),
        (ZERO, {"activations": np.zeros((3, 2, 2)), "gradient": None}, "are zero"),
        (ZERO, {"remark": "the moon is down"}, "the moon is down"),
        (ZERO * np.nan, {"gradient": None}, "the method's own arithmetic"),
        (ZERO * np.nan, {"x": np.full((1, 3, 4, 4), np.nan)}, "the model's input is not"),
        (ZERO * np.nan, {"score": np.inf}, "behind the target layer"),
        (ZERO, {"gradient": np.full((3, 2, 2), np.inf)}, "gradient overflows"),
    ],
)
def test_every_cause_has_words(raw: np.ndarray, seen: dict[str, Any], words: str) -> None:
    with np.errstate(all="raise"):
        assert words in diagnose(raw, evidence(**seen))


@pytest.mark.parametrize(("score", "words"), [("probability", "saturated"), ("logit", "zero")])
def test_saturation_is_named_for_the_probability_only(score: str, words: str) -> None:
    assert words in diagnose(np.zeros((2, 2)), evidence(probability=1.0, differentiated=score))

"""The self-check finds right gradients right and wrong ones wrong."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from builders import (
    as_float16,
    channels_last,
    classifier,
    concat_end,
    ended_with,
    head,
    paddle_like,
    se_like,
    torch_like,
    two_inputs,
    vgg_like,
    vit_like,
    with_operator,
)
from graphs import CLASSES, SIDE, Build, weights
from onnx import TensorProto, helper, numpy_helper

from onnxcam.autodiff import registry
from onnxcam.autodiff.registry import Rule
from onnxcam.check import check
from onnxcam.errors import ExecutionError, LayerError, OnnxCamError
from onnxcam.graph.emitter import Emitter

GOOD = {
    "torch": torch_like,
    "keras": channels_last,
    "paddle": paddle_like,
    "vgg": vgg_like,
    "se": se_like,
    "concat": concat_end,
    "vit": vit_like,
    "batch of 4": lambda: classifier((4, 3, 16, 16)),
    "log softmax": lambda: ended_with("LogSoftmax"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_model_passes(name: str) -> None:
    report = check(GOOD[name](), preprocess="0-1")
    assert report.passed, report.verdict
    assert report.tolerance is not None
    assert max(report.errors) < report.tolerance
    assert report.precision == "float64"
    assert report.missing == {}
    assert report.agreement is None


def test_half_precision_passes_as_well_as_it_can_be_measured() -> None:
    report = check(as_float16(classifier()), preprocess="0-1")
    assert report.passed, report.verdict
    assert max(report.errors) < 0.2


@pytest.mark.parametrize("name", ["torch", "keras", "se", "concat"])
def test_the_first_convolution_passes_too(name: str) -> None:
    model = GOOD[name]()
    report = check(model, layer="conv1", preprocess="0-1")
    assert report.passed, report.verdict
    assert report.operators["Relu"] >= 1


@pytest.mark.parametrize("opset", [11, 12, 13, 18])
@pytest.mark.parametrize("pool", ["AveragePool", "MaxPool"])
def test_pooling_differentiates_at_every_opset(pool: str, opset: int) -> None:
    """Blocks side by side, where the gradient of the mean is a `Resize`."""
    b = Build(opset=opset)
    b.conv("image", "conv1", (6, 3, 3, 3))
    b.op(pool, ["conv1"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    b.op("Tanh", ["pool"], "features")
    head(b, channels=6)
    report = check(b.model(), layer="conv1", preprocess="tf")
    assert report.passed, report.verdict


@pytest.mark.parametrize("op", ["Conv", "Relu", "GlobalAveragePool", "Gemm"])
@pytest.mark.parametrize("factor", [2.0, -1.0, 0.9])
def test_a_wrong_rule_is_found(op: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    right = registry._DERIVATIVES[("", op)]

    def wrong(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor) -> gs.Tensor:
        return e.mul(right.vjp(e, node, i, *dys), factor)

    monkeypatch.setitem(
        registry._DERIVATIVES, ("", op), Rule(wrong, right.wrt, right.takes_one_hot)
    )
    report = check(torch_like(), layer="relu1", preprocess="0-1")
    assert not report.passed
    assert "disagrees with float64 finite differences" in report.verdict
    assert max(report.errors) > 0.05


def test_missing_operators_are_named_with_what_works_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(registry._DERIVATIVES, ("", "Elu"))
    monkeypatch.delitem(registry._DERIVATIVES, ("", "Relu"))
    report = check(with_operator("Elu"), layer="conv1")
    assert not report.passed
    assert report.missing == {"Elu": 1, "Relu": 2}
    assert "the_odd_one" in report.verdict or "Relu" in report.verdict
    assert "--layer 'features' works" in report.verdict
    assert report.errors == ()


def test_the_report_is_plain_json() -> None:
    report = json.loads(json.dumps(check(torch_like()).as_dict()))
    assert report["opset"] == 18
    assert report["layer"] == "features"
    assert report["classes"] == 5
    assert report["head"] == "logits"
    assert report["operators"] == {"GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1}


def test_other_inputs_are_made_up() -> None:
    report = check(two_inputs())
    assert report.passed, report.verdict


def test_what_cannot_be_read_is_an_error() -> None:
    model = classifier()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(OnnxCamError) as raised:
        check(model)
    assert "\n" not in str(raised.value)


def test_what_cannot_be_run_is_an_error() -> None:
    model = classifier()
    model.graph.node.append(helper.make_node("NoSuchThing", ["logits"], ["odd"], domain="nowhere"))
    model.opset_import.append(helper.make_opsetid("nowhere", 1))
    model.graph.output.append(helper.make_tensor_value_info("odd", 1, [1, CLASSES]))
    with pytest.raises(ExecutionError) as raised:
        check(model)
    assert "\n" not in str(raised.value)


def test_an_unknown_layer_is_named_with_the_nearest() -> None:
    with pytest.raises(LayerError, match="'features'"):
        check(classifier(), layer="featurse")


def segmenter(side: object = SIDE) -> onnx.ModelProto:
    """A score for every pixel: no classes of the whole picture."""
    b = Build((1, 3, side, side))
    b.conv("image", "conv1", (6, 3, 3, 3))
    b.op("Relu", ["conv1"], "relu1")
    b.conv("relu1", "masks", (4, 6, 3, 3))
    b.output("masks", [1, 4, side, side])
    return b.model()


def test_a_model_without_classes_is_checked_the_whole_way_back() -> None:
    report = check(segmenter())
    assert report.passed, report.verdict
    assert (report.head, report.classes, report.score, report.layer) == (
        "none",
        0,
        "masks",
        "image",
    )
    assert report.operators == {"Conv": 2, "Relu": 1}


def test_a_model_without_a_picture_is_checked_too() -> None:
    b = Build((1, 10, 4), name="signal")
    b.weight("w", weights(4, 6))
    b.op("MatMul", ["signal", "w"], "rows")
    b.op("Tanh", ["rows"], "active")
    b.op("ReduceSum", ["active"], "sums", keepdims=0)
    b.output("sums", [])
    report = check(b.model())
    assert report.passed, report.verdict
    assert report.layer == "signal"
    assert report.precision == "float64"


def test_text_is_checked_from_its_first_real_tensor_on() -> None:
    b = Build((1, 7), name="words", dtype=TensorProto.INT64)
    b.weight("table", weights(2, 4))
    b.op("Gather", ["table", "words"], "embedded")
    b.op("Tanh", ["embedded"], "active")
    b.op("ReduceMean", ["active"], "pooled", axes=[1], keepdims=0)
    b.output("pooled", [1, 4])
    b.opset = 17
    report = check(b.model())
    assert report.passed, report.verdict
    assert report.layer == "embedded"


def test_what_the_reference_is_slow_at_is_measured_in_float32() -> None:
    report = check(with_operator("LpPool", kernel_shape=[1, 1], p=2), layer="conv1")
    assert report.passed, report.verdict
    assert report.precision == "float32"


def test_operators_of_other_domains_are_measured_in_float32() -> None:
    model = with_operator("QuickGelu", domain="com.microsoft")
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    report = check(model, layer="conv1")
    assert report.passed, report.verdict
    assert report.precision == "float32"


def quantised(bits_lost: int = 0) -> onnx.ModelProto:
    """`classifier` with integers between its layers; `bits_lost` makes their grid coarser."""
    model = classifier()
    stored = {
        "fine": np.float32(2.0**bits_lost / 64),
        "zero": np.uint8(0),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), k) for k, v in stored.items()
    )
    nodes = list(model.graph.node)
    at = next(i for i, node in enumerate(nodes) if "features" in node.output)
    nodes[at].output[0] = "exact"
    between = [
        helper.make_node("QuantizeLinear", ["exact", "fine", "zero"], ["stored"]),
        helper.make_node("DequantizeLinear", ["stored", "fine", "zero"], ["features"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*nodes[: at + 1], *between, *nodes[at + 1 :]])
    return model


def test_a_quantised_model_reports_how_far_it_agrees_with_the_real_one() -> None:
    report = check(quantised(), layer="conv1", preprocess="0-1")
    assert report.passed, report.verdict
    assert report.agreement == pytest.approx(1, abs=0.02)
    assert "cosine" in report.verdict
    assert report.operators["QuantizeLinear"] == 1


def test_a_quantised_model_that_is_far_from_the_real_one_is_not_vouched_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("onnxcam.check.report.LEAST_AGREEMENT", 1.01)
    report = check(quantised(), layer="conv1", preprocess="0-1")
    assert not report.passed
    assert "quantisation distorts it" in report.verdict


def test_a_wrong_rule_is_found_in_a_quantised_model(monkeypatch: pytest.MonkeyPatch) -> None:
    right = registry._DERIVATIVES[("", "Conv")]

    def wrong(e: Emitter, node: gs.Node, i: int, *dys: gs.Tensor) -> gs.Tensor:
        return e.mul(right.vjp(e, node, i, *dys), 0.9)

    monkeypatch.setitem(
        registry._DERIVATIVES, ("", "Conv"), Rule(wrong, right.wrt, right.takes_one_hot)
    )
    report = check(quantised(), layer="conv1", preprocess="0-1")
    assert not report.passed
    assert "disagrees" in report.verdict


def test_a_layer_that_a_branch_reads_from_outside() -> None:
    b = Build(opset=17)
    b.conv("image", "conv1", (6, 3, 3, 3))
    b.op("Tanh", ["conv1"], "features")
    b.weight("zero", np.float32(0))
    b.op("ReduceMean", ["image"], "mean", keepdims=0)
    b.op("Greater", ["mean", "zero"], "bright")
    kind = helper.make_tensor_value_info("chosen", TensorProto.FLOAT, [1, 6, SIDE, SIDE])
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(op, ["features"], ["chosen"])], name, [], [kind]
        )
        for name, op in (("then", "Exp"), ("else", "Sin"))
    }
    b.op("If", ["bright"], "either", **branches)
    head(b, "either", channels=6)
    report = check(b.model(), layer="features", preprocess="0-1")
    assert report.passed, report.verdict
    assert report.operators["If"] == 1

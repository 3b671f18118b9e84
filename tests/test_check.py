"""The self-check finds right gradients right and wrong ones wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

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
from graphs import Build

from onnxcam.autodiff import registry
from onnxcam.autodiff.registry import Rule
from onnxcam.check import check
from onnxcam.errors import ExecutionError, ModelError
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
    assert max(report.errors) < TOLERANCE
    assert report.missing == {}


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
    assert "disagrees with finite differences" in report.verdict


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


@pytest.mark.parametrize(
    ("model", "error"), [(two_inputs, ExecutionError), (lambda: classifier(dtype=2), ModelError)]
)
def test_what_cannot_be_run_is_an_error(
    model: Callable[[], onnx.ModelProto], error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        check(model())
    assert "\n" not in str(raised.value)

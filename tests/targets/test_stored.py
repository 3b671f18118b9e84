"""Heads as deployed models store them: rounded, in half precision, of old opsets."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from builders import as_float16
from graphs import SIDE, Build, pictures
from targets.networks import classifier, segmentation, trunk
from targets.numbers import Numbers

from onnxcam.targets import REST, Classes, Contrast, Region, Side, Target, Value, Wanted

X = pictures(2)
MASK = np.zeros((SIDE, SIDE), bool)
MASK[4:10, 2:14] = True


def rounded(units: int, ending: str | None) -> onnx.ModelProto:
    """`classifier` with its logits stored as integers on the way."""
    b = Build(("n", 3, SIDE, SIDE))
    trunk(b)
    b.op("GlobalAveragePool", ["features"], "pooled")
    b.op("Flatten", ["pooled"], "flat")
    b.linear("flat", "logits", 8, units)
    scale, zero = b.weight("s", np.float32(0.01)), b.weight("z", np.uint8(128))
    b.op("QuantizeLinear", ["logits", scale, zero], "stored")
    last = b.op("DequantizeLinear", ["stored", scale, zero], "restored")
    if ending:
        last = b.op(ending, [last], "scores", **({} if ending == "Sigmoid" else {"axis": 1}))
    b.output(last, ["n", units])
    return b.model()


@pytest.mark.parametrize(
    ("units", "ending", "target"),
    [
        (1, "Sigmoid", Classes((0, 1))),
        (1, None, Side("no")),
        (5, "Softmax", Contrast(3, 1)),
        (5, None, Contrast(2, REST)),
        (5, "Sigmoid", Classes((1, 4))),
    ],
)
def test_a_rounded_head_is_explained_before_rounding(
    units: int, ending: str | None, target: Wanted
) -> None:
    exact = Numbers(classifier(units, ending), target, X)
    found = Numbers(rounded(units, ending), target, X)
    scale = np.abs(exact.gradient).max()
    np.testing.assert_allclose(found.gradient, exact.gradient, atol=0.02 * scale)
    np.testing.assert_allclose(found.score, exact.score, atol=0.05)


@pytest.mark.parametrize("target", [Classes((0, 1)), Contrast(1, 0), Contrast(1, REST)])
@pytest.mark.parametrize("ending", ["Sigmoid", "Softmax", None])
def test_half_precision_classes(target: Target, ending: str | None) -> None:
    model = classifier(1 if ending == "Sigmoid" else 5, ending)
    single = Numbers(model, target, X)
    half = Numbers(as_float16(model), target, X.astype(np.float16))
    assert half.score.dtype == np.float32
    np.testing.assert_allclose(half.score, single.score, atol=0.01)
    scale = np.abs(single.gradient).max()
    np.testing.assert_allclose(half.gradient, single.gradient, atol=0.03 * scale)


@pytest.mark.parametrize("ending", [(), ("Softmax",), ("Sigmoid",), ("ArgMax",)])
def test_half_precision_regions(ending: tuple[str, ...]) -> None:
    model = segmentation(ending)
    target = Region(2, mask=MASK)
    single = Numbers(model, target, X)
    half = Numbers(as_float16(model), target, X.astype(np.float16))
    np.testing.assert_allclose(half.score, single.score, atol=0.01)
    scale = np.abs(single.gradient).max()
    np.testing.assert_allclose(half.gradient, single.gradient, atol=0.03 * scale)


@pytest.mark.parametrize("opset", [11, 12, 13, 17, 22, 24])
@pytest.mark.parametrize("target", [Classes((0, 1)), Classes((1,)), Side("no"), Value()])
def test_one_unit_of_every_opset(target: Wanted, opset: int) -> None:
    Numbers(classifier(1, "Sigmoid", opset=opset), target, X).require_gradient()


@pytest.mark.parametrize("opset", [11, 12, 13, 17, 22, 24])
def test_regions_of_every_opset(opset: int) -> None:
    model = segmentation(("Softmax",), opset=opset)
    Numbers(model, Region(1, mask=MASK), X).require_gradient()
    assert Numbers(model, Region(), X).index.min() > 0

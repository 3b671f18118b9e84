"""Shapes worked out from stored numbers, and what can go wrong there."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from builders import conv_trunk, head
from graphs import Build
from malformed.making import HUGE, Make, answered, refused
from onnx import numpy_helper


def sized(op: str, *given: Any, opset: int = 18, **attrs: Any) -> Make:
    """A classifier whose features are reshaped to a shape that is worked out from stored numbers.

    What the node makes of them is large or impossible; times 0, it is added to the shape.
    """

    def make() -> onnx.ModelProto:
        b = Build(opset=opset)
        conv_trunk(b)
        named = [b.weight(f"given{k}", v) for k, v in enumerate(given)]
        if op == "ConstantOfShape":
            attrs["value"] = numpy_helper.from_array(np.array([1]))
        b.op(op, named, "large", **attrs)
        b.op("ReduceMax", ["large"], "most", keepdims=0)
        b.weight("none", np.array(0))
        b.op("Mul", ["most", "none"], "zero")
        b.weight("same", np.array([0, 0, 0, 0]))
        b.op("Add", ["same", "zero"], "shape")
        b.op("Reshape", ["features", "shape"], "reshaped")
        head(b, "reshaped")
        return b.model()

    return make


refused(
    r"'large' would have the shape \[-?\d+(, \d+)*\], which no tensor can have",
    constant_of_shape_2_40=sized("ConstantOfShape", np.array([2**40])),
    constant_of_shape_10_6_squared=sized("ConstantOfShape", np.array([10**6, 10**6])),
    constant_of_shape_that_wraps=sized("ConstantOfShape", np.array([2**32, 2**32])),
    constant_of_shape_that_wraps_below=sized("ConstantOfShape", np.array([2**31, 2**32])),
    range_10_12=sized("Range", np.array(0), np.array(10**12), np.array(1)),
    expanded_10_12=sized("Expand", np.array([1]), np.array([10**12])),
    expanded_wraps=sized("Expand", np.array([1]), np.array([2**32, 2**32])),
    expanded_negative=sized("Expand", np.array([1]), np.array([-5])),
    tiled_10_12=sized("Tile", np.array([1, 2]), np.array([10**12])),
)
refused(
    r"the shape of 'reshaped' at node 'Reshape:reshaped' \(Reshape\) cannot be inferred \(",
    constant_of_negative_shape=sized("ConstantOfShape", np.array([-4])),
    concatenated_of_ranks=sized("Concat", np.array([1]), np.array([[1]]), axis=0),
    cut_by_0=sized("Slice", np.arange(4), *(np.array([k]) for k in (0, 4, 0, 0))),
    reshaped_wrong=sized("Reshape", np.arange(4), np.array([3, -1])),
    reduced_axis=sized("ReduceSum", np.arange(4), np.array([9])),
)
refused(
    r"ONNX Runtime refuses the model: \S",
    divided_by_0=sized("Div", np.array([7]), np.array([0])),
    modulo_0=sized("Mod", np.array([7]), np.array([0])),
)
refused(
    r"the model does not run: .*'\w+:large'",
    range_of_step_0=sized("Range", np.array(0), np.array(10), np.array(0)),
    range_2_63=sized("Range", np.array(-(2**63)), np.array(2**63 - 1), np.array(1)),
    gathered_out_of_range=sized("Gather", np.array([1, 2]), np.array([9])),
)
refused(
    r"node 'Div:large' \(Div\) divides the smallest integer by -1",
    least_by_minus_1=sized("Div", np.array([-(2**63)]), np.array([-1])),
)
answered(
    constant_of_shape_and_0=sized("ConstantOfShape", np.array([2**62, 0])),
    range_backwards=sized("Range", np.array(0), np.array(-(10**12)), np.array(1)),
    power_of_2_62=sized("Pow", np.array([HUGE]), np.array([HUGE])),
    product_that_overflows=sized("Mul", np.array([HUGE]), np.array([HUGE])),
    gathered_huge=sized("Gather", np.array([1, 2]), np.zeros((1000, 1000), np.int64)),
    outer_sum=sized("Add", np.arange(4000)[:, None], np.arange(4000)[None]),
)


def _growing() -> onnx.ModelProto:
    """Each node four times as large as the one before."""
    b = Build()
    conv_trunk(b)
    last = b.weight("one", np.array([1]))
    for k in range(30):
        last = b.op("Concat", [last] * 4, f"more{k}", axis=0)
    b.op("ReduceMin", [last], "least", keepdims=1)
    b.weight("rest", np.array([8, 8, 8]))
    b.op("Concat", ["least", "rest"], "shape", axis=0)
    b.op("Reshape", ["features", "shape"], "reshaped")
    head(b, "reshaped")
    return b.model()


def _squared() -> onnx.ModelProto:
    """Integers that square until they overflow; at last they are multiplied by 0."""
    b = Build()
    conv_trunk(b)
    last = b.weight("three", np.array([3]))
    for k in range(80):
        last = b.op("Mul", [last, last], f"more{k}")
    b.weight("none", np.array([0, 0, 0, 0]))
    b.op("Mul", [last, "none"], "shape")
    b.op("Reshape", ["features", "shape"], "reshaped")
    head(b, "reshaped")
    return b.model()


refused(r"node 'Concat:more\d+' \(Concat\) puts \d+ stored numbers together", growing=_growing)
answered(squared=_squared)

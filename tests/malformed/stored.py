"""Weights that are not what they are said to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from builders import broad
from malformed.making import HUGE, Make, answered, changed, refused, weight_of
from onnx import TensorProto, numpy_helper


def stored(change: Callable[[onnx.TensorProto], Any], name: str = "conv1.weight") -> Make:
    """A classifier in which a weight is changed in place."""
    return changed(lambda model: change(weight_of(model, name)))


def raw(change: Callable[[bytes], bytes], name: str = "conv1.weight") -> Make:
    return stored(lambda tensor: setattr(tensor, "raw_data", change(tensor.raw_data)), name)


def sized(*dims: int, name: str = "conv1.weight") -> Make:
    def change(tensor: onnx.TensorProto) -> None:
        tensor.dims[:] = dims

    return stored(change, name)


def typed(data_type: int) -> Make:
    return stored(lambda tensor: setattr(tensor, "data_type", data_type))


def filled(value: float, name: str = "conv1.weight") -> Make:
    def change(tensor: onnx.TensorProto) -> None:
        array = np.full(tensor.dims, value, np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return stored(change, name)


def _as_floats(tensor: onnx.TensorProto) -> None:
    tensor.float_data.extend([1.0, 2.0])
    tensor.ClearField("raw_data")


def _segment(tensor: onnx.TensorProto) -> None:
    tensor.segment.begin, tensor.segment.end = 0, 1


refused(
    r"the weights 'conv1\.weight' have the shape \[6, 3, 3, 3\], which take 648 bytes, but \d+ are",
    truncated_weights=raw(lambda data: data[:10]),
    one_byte_short=raw(lambda data: data[:-1]),
    too_long_weights=raw(lambda data: data * 2),
)
refused(
    r"'logits\.bias' .* take 20 bytes, but 3 are", short_bias=raw(lambda d: d[:3], "logits.bias")
)
refused(
    r"the weights 'conv1\.weight' .* one value field",
    empty_weights=raw(lambda data: b""),
    no_weight_data=stored(lambda tensor: tensor.ClearField("raw_data")),
)
refused(
    r"conv1\.weight.* one value field",
    raw_and_float_data=stored(lambda tensor: tensor.float_data.extend([1.0, 2.0])),
)
refused(r"'conv1\.weight' .* float_data size \(2\) is too small", too_few_floats=stored(_as_floats))
refused(
    r"the weights 'conv1\.weight' have the shape \[\d+(, \d+)*\], which take \d+ bytes",
    weights_of_2_40=sized(2**40),
    weights_of_2_62=sized(HUGE),
    weights_that_overflow=sized(HUGE, HUGE, HUGE),
    weights_that_wrap_to_0=sized(2**32, 2**32),
    weights_of_no_size=sized(0, 3, 3, 3),
)
refused(
    r"the weights 'conv1\.weight' have the shape \[\], which take 4", weights_of_no_rank=sized()
)
refused(
    r"the weights '[a-z1.]+' have the shape \[-[-0-9, ]+\], which no tensor can have",
    weights_of_negative_size=sized(-6, 3, 3, 3),
    weights_of_two_negative_sizes=sized(-6, -3, 3, 3),
    bias_of_negative_size=sized(-1, name="logits.bias"),
)
refused(
    r"'conv1\.weight' .* which no tensor can have",
    weights_of_rank_500=sized(*[1] * 496, 6, 3, 3, 3),
)
refused(
    r"node 'Conv:conv1' \(Conv\): Number of spatial dimensions in the weight tensor",
    weights_of_rank_5=sized(6, 3, 3, 3, 1),
)
refused(
    r"'conv1\.weight' have the element type \d+, which onnx .* does not know",
    weights_of_type_0=typed(0),
    weights_of_type_999=typed(999),
)
refused(r"Type 'tensor\(int32\)' .*\(conv1\.weight\)", weights_of_integers=typed(TensorProto.INT32))
refused(r"STRING data \(tensor name: conv1\.weight\)", weights_of_strings=typed(TensorProto.STRING))
refused(
    r"'conv1\.weight' .* which take (81|1296) bytes, but 648",
    weights_of_int4=typed(TensorProto.INT4),
    weights_of_complex=typed(TensorProto.COMPLEX64),
)
refused(r"'conv1\.weight' .* only a segment is stored", a_segment_of_weights=stored(_segment))


def _left_out(*shape: int) -> Make:
    """A convolution of many weights that are not there."""

    def make() -> onnx.ModelProto:
        model = broad()
        weight_of(model).ClearField("raw_data")
        weight_of(model).dims[:] = shape
        return model

    return make


refused(r"ONNX Runtime refuses the model: .*conv1\.weight", weights_left_out=_left_out(64, 3, 3, 3))
answered(
    weights_of_other_kernels=sized(6, 3, 9, 1),
    weights_of_nan=filled(np.nan),
    weights_of_inf=filled(np.inf),
    head_of_nan=filled(np.nan, "logits.weight"),
    head_of_zeros=filled(0, "logits.weight"),
)

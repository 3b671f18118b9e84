"""Shapes and types that are declared, and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from malformed.making import HUGE, Make, answered, changed, refused
from onnx import TensorProto, helper, parser


def declared(dims: Sequence[int | str | None], what: str = "input") -> Make:
    """A classifier whose input or output claims other dimensions."""

    def change(model: onnx.ModelProto) -> None:
        value = getattr(model.graph, what)[0]
        value.CopyFrom(helper.make_tensor_value_info(value.name, 1, dims))

    return changed(change)


def with_value_info(dims: Sequence[int] | None, elem_type: int = 1, name: str = "features") -> Make:
    value = helper.make_tensor_value_info(name, elem_type, dims)
    return changed(lambda model: model.graph.value_info.append(value))


def typed(elem_type: int, what: str = "input") -> Make:
    def change(model: onnx.ModelProto) -> Any:
        getattr(model.graph, what)[0].type.tensor_type.elem_type = elem_type

    return changed(change)


def untyped(what: str) -> Make:
    return changed(lambda model: getattr(model.graph, what)[0].ClearField("type"))


refused(
    r"'image' would have the shape \[.*\d{10}.*\], which no tensor can have",
    input_of_2_31=declared([1, 3, 2**31, 2**31]),
    input_of_2_62=declared([1, 3, HUGE, 1]),
    input_that_overflows=declared([1, 3, HUGE, HUGE]),
    input_just_below_overflow=declared([1, 3, 2**63 - 1, 2**63 - 1]),
    batch_of_2_62=declared([HUGE, 3, 16, 16]),
)
refused(
    r"input 'image' takes \d+ pictures of \d+ x \d+, more than \d+ pixels",
    picture_of_16_gigapixels=declared([1, 3, 2**17, 2**17]),
    picture_of_one_line=declared([1, 3, 1, 2**30]),
    batch_of_16_million=declared([2**24, 3, 16, 16]),
)
refused(  # a signal or a volume, as far as the input goes
    "Attribute strides has incorrect size",
    input_of_rank_3=declared([3, 16, 16]),
    input_of_rank_5=declared([1, 3, 16, 16, 16]),
)
refused("takes no picture .* of 5 channels", other_channels=declared([1, 5, 16, 16]))
refused("'image' would have 2000 dimensions", input_of_rank_2000=declared([1] * 2000))
refused(
    r"no input takes pictures .*image float32 \[",
    input_of_rank_0=declared([]),
    input_of_rank_1=declared([3]),
    input_of_rank_2=declared([1, 3]),
)
refused("no layer between picture and score is spatial", too_small=declared([1, 3, 1, 1]))
refused(
    "invalid dimensions for input: image",
    zero_batch=declared([0, 3, 16, 16]),
    zero_channels=declared([1, 0, 16, 16]),
)
refused("'image' has the element type 999", input_of_an_unknown_type=typed(999))
refused(
    "'features' has the element type 999",
    value_info_of_an_unknown_type=with_value_info([1, 8, 8, 8], 999),
)
refused(
    "Field 'type' of 'value_info'",
    input_of_no_type=untyped("input"),
    output_of_no_type=untyped("output"),
)
refused(
    r"the shape of 'logits' cannot be inferred \(node 'Conv:conv1' \(Conv\): Element type of input",
    input_of_type_0=typed(TensorProto.UNDEFINED),
)
refused(
    r"the model's inputs: image (object|complex64|bool)",
    input_of_strings=typed(TensorProto.STRING),
    input_of_complex=typed(TensorProto.COMPLEX64),
    input_of_booleans=typed(TensorProto.BOOL),
)
refused(r"Type \(tensor\(int64\)\) of output arg \(logits\)", output_of_integers=typed(7, "output"))
refused(
    r"Type \(tensor\(int64\)\) of output arg \(features\)",
    value_info_of_another_type=with_value_info([1, 8, 8, 8], TensorProto.INT64),
)
answered(
    # What is not positive is left open, as exporters write it.
    negative_input=declared([1, 3, -16, -16]),
    negative_batch=declared([-(2**63), 3, 16, 16]),
    zero_input=declared([1, 3, 0, 0]),
    same_symbol_everywhere=declared(["n", "n", "n", "n"]),
    odd_symbols=declared(["", "?", "-1", "a b\nc"]),
    # Nothing is believed of what can be inferred.
    output_of_another_shape=declared([7, 7, 7], "output"),
    output_of_rank_0=declared([], "output"),
    negative_output=declared([-1, -5], "output"),
    huge_output=declared([HUGE, HUGE], "output"),
    stale_value_info=with_value_info([1, 8, 99, 99]),
    value_info_of_another_rank=with_value_info([8]),
    value_info_of_a_huge_shape=with_value_info([HUGE, HUGE]),
    value_info_of_nothing=with_value_info([1], name="nowhere"),
)


def nested_types(levels: int) -> Make:
    """An input that is a sequence of sequences of sequences."""

    def change(model: onnx.ModelProto) -> None:
        kind = helper.make_tensor_type_proto(1, [3])
        for _ in range(levels):
            kind = helper.make_sequence_type_proto(kind)
        model.graph.input.append(helper.make_value_info("deep", kind))

    return changed(change)


refused("the shape of input 'deep' is not declared; declare it", nested_types=nested_types(15))


def _cast_vector() -> onnx.ModelProto:
    """A vector of 2^31 integers, and a shape behind it that is not known at once."""
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 18]> g (int64[{2**31}] x, int64[1] k) => (float[n] y) '
        "{ real = Cast<to=1>(x) some = Gather(real, k) y = Expand(some, k) }"
    )


refused("input 'x', .* is too large to try the model with", vector_of_2_31=_cast_vector)

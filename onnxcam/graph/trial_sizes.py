"""The sizes under which a model of open sizes is inferred."""

from __future__ import annotations

import onnx

BATCH_SIZES = (7, 11)
_OTHER_SIZES = ((224, 288), (256, 352), (320, 416), (192, 384), (160, 448))
"""Multiples of 32, as many models demand."""

_CHANNELS = 3


def dim_key(value: onnx.ValueInfoProto, axis: int) -> str | None:
    """A name for a dimension that varies, or None for a static one."""
    dim = value.type.tensor_type.shape.dim[axis]
    if dim.HasField("dim_value") and dim.dim_value > 0:
        return None
    anonymous = dim.dim_param in ("", "?", "-1", "None")
    return f"{value.name}.{axis}" if anonymous else dim.dim_param


def free_dims(skeleton: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The sizes to try for each input dimension that varies."""
    free: dict[str, tuple[int, ...]] = {}
    for value in skeleton.graph.input:
        if not value.type.tensor_type.HasField("shape"):
            continue
        dims = value.type.tensor_type.shape.dim
        for axis in range(len(dims)):
            key = dim_key(value, axis)
            if key is None or key in free:
                continue
            if axis == 0:
                free[key] = BATCH_SIZES
            elif len(dims) == 4 and axis == (3 if _looks_channels_last(skeleton, value) else 1):
                free[key] = (_CHANNELS,)
            else:
                taken = sum(1 for sizes in free.values() if len(sizes) > len(BATCH_SIZES))
                free[key] = (*_OTHER_SIZES[taken % len(_OTHER_SIZES)], *_odd_sizes(taken))
    return free


def _odd_sizes(taken: int) -> tuple[int, ...]:
    """Sizes that stay odd while they are halved, four times.

    An even size hides what is rounded on the way, such as the crop after a stride. These are
    rounded up each time, down each time, and up and down in turns.
    """
    odd = 13 + 2 * taken
    return 16 * odd + 1, 16 * odd - 1, 16 * odd + 5, 16 * odd - 5


def _looks_channels_last(skeleton: onnx.ModelProto, value: onnx.ValueInfoProto) -> bool:
    dims = value.type.tensor_type.shape.dim
    if dims[1].dim_value or dims[3].dim_value:
        return dims[3].dim_value in (1, 3, 4)
    turned = [node for node in skeleton.graph.node if value.name in node.input]
    return any(
        node.op_type == "Transpose" and list(a.ints) == [0, 3, 1, 2]
        for node in turned
        for a in node.attribute
    )

"""What a Slice takes along one axis."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.graph.network import Network


def bounds_along(network: Network, node: gs.Node, axis: int, rank: int) -> slice:
    """Its start, stop and step there, as far as they are known: all None where it takes all."""

    def given(position: int, key: str) -> list[int] | None:
        if key in node.attrs:
            return [int(value) for value in node.attrs[key]]
        value = network.value(node.inputs[position]) if len(node.inputs) > position else None
        return None if value is None else [int(one) for one in value]

    starts = given(1, "starts")
    axes = [one % rank for one in given(3, "axes") or range(len(starts or ()))]
    if axis not in axes:
        return slice(None)
    at = axes.index(axis)
    found = (starts, given(2, "ends"), given(4, "steps"))
    return slice(*(None if values is None else values[at] for values in found))

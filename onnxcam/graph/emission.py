"""Emitting nodes behind an existing graph, one by one.

What is emitted has the shape that it is given, as far as it can be known, so that what is emitted
later can stay static.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import Shape
from onnxcam.graph.network import Network


class Emission:
    """Collects the nodes that are appended to a network.

    `nodes` are in topological order; their names and those of their outputs start with
    `onnxcam/` (`onnxcam/2/` in a model that carries such names already, and so on), so that they
    cannot meet a name of the model.
    """

    def __init__(self, network: Network, outer: Emission | None = None) -> None:
        """`outer` emits the graph that this one's nodes are nested in, and sees before them."""
        self.network = network
        self.opset = network.opset
        self.nodes: list[gs.Node] = []
        self.prefix: str = outer.prefix if outer else _free_prefix(network)
        self._numbers: Iterator[int] = outer._numbers if outer else count(1)
        self._constants: dict[tuple[Any, ...], gs.Constant] = outer._constants if outer else {}
        self._casts: dict[tuple[str, np.dtype], gs.Variable] = dict(outer._casts) if outer else {}

    def op(
        self,
        op: str,
        *inputs: gs.Tensor,
        shape: Shape | None,
        dtype: Any = None,
        **attrs: Any,
    ) -> gs.Variable:
        """Emit one node with one output of the given shape; `dtype` defaults to input 0's."""
        name = self.name(op)
        output = gs.Variable(name, dtype=dtype or inputs[0].dtype, shape=shape)
        kept = {key: value for key, value in attrs.items() if not _is_empty(value)}
        self.nodes.append(
            gs.Node(op=op, name=name, attrs=kept, inputs=list(inputs), outputs=[output])
        )
        return output

    def several(
        self,
        op: str,
        inputs: Sequence[gs.Tensor],
        shapes: Sequence[Shape],
        dtypes: Sequence[Any],
        **attrs: Any,
    ) -> list[gs.Variable]:
        """Emit one node with several outputs of the given shapes and types."""
        name = self.name(op)
        outputs = [
            gs.Variable(f"{name}_{k}", dtype=np.dtype(dtype), shape=list(shape))
            for k, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
        ]
        kept = {key: value for key, value in attrs.items() if not _is_empty(value)}
        self.nodes.append(
            gs.Node(op=op, name=name, attrs=kept, inputs=list(inputs), outputs=outputs)
        )
        return outputs

    def name(self, what: str) -> str:
        """A name that nothing else has."""
        return f"{self.prefix}/{what}_{next(self._numbers)}"

    def constant(self, value: Any, dtype: Any = None) -> gs.Constant:
        """A stored value; equal ones are stored once."""
        array = np.array(value, dtype=dtype)  # 0-d stays 0-d
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"{self.prefix}/constant_{len(self._constants) + 1}"
            self._constants[key] = gs.Constant(name, array)
        return self._constants[key]

    def ints(self, *values: int) -> gs.Constant:
        """A 1-D int64 constant: axes, shapes, pads."""
        return self.constant(list(values), np.int64)

    def cast(self, x: gs.Tensor, dtype: Any) -> gs.Tensor:
        """`x` as another element type; itself when it is one already."""
        if x.dtype == np.dtype(dtype):
            return x
        key = (x.name, np.dtype(dtype))
        if key not in self._casts:
            to = _elem_type(np.dtype(dtype))
            shape = None if x.shape is None else list(x.shape)
            self._casts[key] = self.op("Cast", x, shape=shape, dtype=key[1], to=to)
        return self._casts[key]


def _is_empty(attribute: Any) -> bool:
    """Whether an attribute says nothing: None, or a list without a type to be written with."""
    return attribute is None or (isinstance(attribute, list) and not attribute)


def _free_prefix(network: Network) -> str:
    taken = [*network.tensors, *(node.name for node in network.graph.nodes)]
    prefix, number = "onnxcam", 1
    while any(name.startswith(f"{prefix}/") for name in taken):
        number += 1
        prefix = f"onnxcam/{number}"
    return prefix


def _elem_type(dtype: np.dtype) -> int:
    return int(onnx.helper.np_dtype_to_tensor_dtype(dtype))

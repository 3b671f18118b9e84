"""Modified backpropagation: what passes a ReLU on the way back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff import differentiate
from onnxcam.autodiff.registry import OWN, Derivative, Key, Rule, derivative_of
from onnxcam.errors import ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network, constant, subgraphs
from onnxcam.methods.scene import Scene

Backward = Callable[[Emitter, gs.Tensor, gs.Tensor], gs.Tensor]
"""What comes out of a ReLU backwards, from what goes in and what the derivative makes of it."""

_RECTIFIERS: tuple[Key, ...] = (("", "Relu"), ("", "Clip"), (OWN, "FusedActivation"))


def gradient_with(scene: Scene, name: str, backward: Backward) -> gs.Tensor:
    """The cotangent of a tensor, every ReLU and ReLU6 passed as `backward` says.

    Raises `ModelError` where the target does not depend on it.
    """
    instead = {key: _modified(key, backward) for key in _RECTIFIERS}
    found = differentiate(scene.e, scene.explained.seeds, [name], instead)
    if name not in found:
        raise ModelError(f"the target does not depend on the picture '{name}' (disconnected)")
    return found[name]


def guided(e: Emitter, dy: gs.Tensor, dx: gs.Tensor) -> gs.Tensor:
    """What passes the ReLU and is positive."""
    return e.unary("Relu", dx)


def deconvolved(e: Emitter, dy: gs.Tensor, dx: gs.Tensor) -> gs.Tensor:
    """What is positive, wherever the ReLU's input was."""
    return e.unary("Relu", dy)


def _modified(key: Key, backward: Backward) -> Derivative:
    plain = derivative_of(gs.Node(op=key[1], domain=key[0] or None))
    assert plain is not None

    def rule(e: Emitter, node: gs.Node, i: int, dy: gs.Tensor) -> gs.Tensor:
        (dx,) = plain.pull_back(e, node, [i], [dy])
        assert isinstance(dx, gs.Tensor)
        return backward(e, dy, dx) if i == 0 and is_rectifier(e.network, node) else dx

    return Rule(rule, None, takes_one_hot=False)


def is_rectifier(network: Network, node: gs.Node) -> bool:
    """Whether a node is a ReLU, or one with a ceiling, such as ReLU6.

    One of a shifted value, or one that is only scaled, is none: exporters put hard sigmoids
    together that way, ReLU6(x + 3) / 6.
    """
    if node.op == "Relu":
        return True
    if node.op == "Clip":
        low = _number(network, node.inputs[1] if len(node.inputs) > 1 else None)
        return low == 0 and not _is_hard_sigmoid(network, node)
    fused, parameters = _fused_activation(node)
    return fused == "Relu" or (fused == "Clip" and next(iter(parameters), None) == 0)


def has_rectifiers(network: Network) -> bool:
    """Whether there is a ReLU anywhere in a model."""
    return any(is_rectifier(network, node) for node in _all_nodes(network.graph.nodes))


def _all_nodes(nodes: list[gs.Node]) -> list[gs.Node]:
    inner = [each for node in nodes for graph in subgraphs(node) for each in graph.nodes]
    return [*nodes, *(_all_nodes(inner) if inner else [])]


def _fused_activation(node: gs.Node) -> tuple[str, list[float]]:
    given = node.attrs.get("parameters", node.attrs.get("activation_params", ()))
    return str(node.attrs.get("activation", "")), list(given)


def _is_hard_sigmoid(network: Network, clip: gs.Node) -> bool:
    x, y = clip.inputs[0], clip.outputs[0]
    if any(_has_number(network, node, ("Add",)) for node in x.inputs):
        return True
    return bool(y.outputs) and all(_has_number(network, n, ("Mul", "Div")) for n in y.outputs)


def _has_number(network: Network, node: gs.Node, ops: tuple[str, ...]) -> bool:
    """Whether a node is one of those operators, with a stored number as an operand."""
    return node.op in ops and any(_number(network, t) is not None for t in node.inputs)


def _number(network: Network, tensor: gs.Tensor | None) -> float | None:
    if tensor is None or not tensor.name:
        return None
    value = constant(tensor)
    value = network.value(tensor) if value is None else value
    return float(np.ravel(value)[0]) if value is not None and np.size(value) == 1 else None

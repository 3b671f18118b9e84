"""The blocks of a transformer: what each puts out, and what makes a score of the last one's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.autodiff.lowering import Lowering
from onnxcam.autodiff.registry import derivative_of
from onnxcam.autodiff.walk import find_path
from onnxcam.errors import ModelError
from onnxcam.graph.attentions import Attentions
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.layers import picture_to_score, trunk_of
from onnxcam.graph.network import describe, with_tensors
from onnxcam.graph.plain import plain_inputs, plain_op

_SUMMING = {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization"}
"""Normalisations that hold the residual sum in front of them."""

_PASSED = {"Identity", "Cast", "QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class Blocks:
    """`outputs` (N, tokens, channels) of each block; `behind` makes the scores of the last one."""

    outputs: Sequence[gs.Tensor]
    behind: Sequence[gs.Node]

    def seeds(self, e: Emitter, block: int, seeds: dict[str, Cotangent]) -> dict[str, Cotangent]:
        """Where the gradient of one block's own score starts: what is behind the last block, put
        behind this one."""
        tokens, last = self.outputs[block], self.outputs[-1]
        return seeds if tokens is last else _applied(e, self.behind, last, tokens, seeds)


def blocks_of(e: Emitter, found: Attentions, seeds: dict[str, Cotangent]) -> Blocks:
    """A block ends in the last residual sum before the next attention begins.

    Raises `ModelError` where there is none that everything goes through.
    """
    target = list(e.nodes)
    path = _with_sums_apart(e, picture_to_score(e.network))
    trunk = trunk_of(path)
    sums = _residual_sums(e, path, trunk)
    order = {node.outputs[0].name: k for k, node in enumerate(path)}
    starts = [order[one.tensor.name] for one in found.all]
    ends = [*starts[1:], len(path)]
    outputs = []
    for one, start, end in zip(found.layers, starts, ends, strict=False):
        made = [t for node in path[start:end] for t in node.outputs if t.name in sums & trunk]
        whole = [t for t in made if found.tokens.length in (t.shape or [])]
        if not whole:
            raise ModelError(
                f"no residual sum behind {describe(one.node)} holds all that goes on, so its "
                f"tokens have no score of their own; choose another method, chefer say"
            )
        outputs.append(whole[-1])
    return Blocks(outputs, find_path([*path, *target], [outputs[-1].name], seeds).nodes)


def _with_sums_apart(e: Emitter, path: Iterable[gs.Node]) -> list[gs.Node]:
    """The nodes, those that hold a residual sum taken apart."""
    nodes: list[gs.Node] = []
    for node in path:
        derivative = derivative_of(node)
        if node.op in _SUMMING and isinstance(derivative, Lowering):
            nodes += derivative.body(e, node)
        else:
            nodes.append(node)
    return nodes


def _residual_sums(e: Emitter, path: Iterable[gs.Node], trunk: set[str]) -> set[str]:
    """Names of the sums of what everything goes through and something made of it.

    Those inside a normalisation are none: what they add has been scaled.
    """
    stream = set(trunk)
    sums: set[str] = set()
    stored = {name for name in e.network.tensors if name not in e.network.varying}
    for node in path:
        read = plain_inputs(node)
        if node.op in _PASSED and any(t.name in stream for t in read):
            stream.update(t.name for t in node.outputs)
        if plain_op(node) != "Add" or not any(t.name in stream for t in read):
            continue
        constant = any(isinstance(t, gs.Constant) or t.name in stored for t in read)
        if not constant or any(t.name in sums for t in read):  # or the bias of a fused sum
            sums.add(node.outputs[0].name)
            stream.add(node.outputs[0].name)
    return sums


def _applied(
    e: Emitter,
    nodes: Iterable[gs.Node],
    old: gs.Tensor,
    new: gs.Tensor,
    seeds: dict[str, Cotangent],
) -> dict[str, Cotangent]:
    """Emit nodes again with `new` in place of `old`: the seeds, at what they make now."""
    made = {old.name: new}
    for node in nodes:
        name = e.name(node.op)
        outputs = [
            gs.Variable(f"{name}_{k}" if t.name else "", t.dtype, t.shape)
            for k, t in enumerate(node.outputs)
        ]
        copy = with_tensors(node, [made.get(t.name, t) for t in node.inputs], outputs)
        copy.name = name
        pairs = zip(node.outputs, outputs, strict=True)
        made.update({t.name: output for t, output in pairs if t.name})
        e.nodes.append(copy)
    return {made[name].name: seed for name, seed in seeds.items() if name in made}

"""Where the gradient of a score starts in a detector whose table is quantised.

The best score is the one that is cut off first at the end of the integers' range, and then nothing
would flow. Between the score and the layers that make it, every rounding counts as the identity,
cut off or not: as for the logits of a quantised classifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import onnx_graphsurgeon as gs

from onnxcam.autodiff import differentiate
from onnxcam.autodiff.cotangent import Cotangent
from onnxcam.autodiff.lowering import Lowering
from onnxcam.autodiff.registry import Key, operators
from onnxcam.autodiff.walk import pull_back
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.network import Network, is_float, producer
from onnxcam.graph.plain import plain_inputs, plain_op
from onnxcam.graph.quantized import ROUNDINGS, is_real
from onnxcam.targets.base import seeds_of

_PASSED = ROUNDINGS | {
    "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat",
    "Identity", "Cast", "Sigmoid", "QLinearSigmoid", "HardSigmoid", "Softmax", "Mul",
}  # fmt: skip
"""What lies between the layers that make scores and the table of them."""


class _NeverCutOff(Lowering):
    """The derivative of something that quantises, without what saturation takes from it."""

    def pull_back(
        self, e: Emitter, node: gs.Node, wanted: Sequence[int], dys: Sequence[Cotangent | None]
    ) -> list[Cotangent | None]:
        body, sources = self.body(e, node), [node.inputs[i].name for i in wanted]
        y, dy = node.outputs[0].name, dys[0]
        if dy is None:
            return [None for _ in wanted]
        last = next(one for one in body if any(t.name == y for t in one.outputs))
        found = pull_back(e, body, {last.inputs[0].name: dy}, dict.fromkeys(sources))
        return [found.pop(name, None) for name in sources]


def seeds_before_saturation(
    e: Emitter, score: gs.Tensor, tables: Iterable[gs.Tensor]
) -> dict[str, Cotangent]:
    """Where the gradients of emitted scores (N, K) start that were read from those tables."""
    sources = _sources(e.network, tables)
    if sources is None:
        return seeds_of(e, score)
    return dict(differentiate(e, seeds_of(e, score), sources, _never_cut_off()))


def _sources(network: Network, tables: Iterable[gs.Tensor]) -> list[str] | None:
    """Names of the tensors that the layers put out, or read where they round what they put out;
    None where nothing is rounded."""
    waiting = list(tables)
    found: list[str] = []
    rounded = False
    for tensor in waiting:
        rounded |= not is_float(tensor)
        node = producer(tensor)
        if node is None:
            continue
        varying = [t for t in plain_inputs(node) if t.name in network.varying and is_real(t)]
        if plain_op(node) in _PASSED:
            waiting.extend(t for t in varying if all(t is not other for other in waiting))
        else:
            found += [tensor.name] if is_float(tensor) else [t.name for t in varying]
    return list(dict.fromkeys(found)) if rounded else None


@cache
def _never_cut_off() -> dict[Key, Lowering]:
    return {
        key: _NeverCutOff(one.lower, one.wrt, one.outputs, one.ignored, one.quantizing)
        for key, one in operators().items()
        if isinstance(one, Lowering) and one.quantizing
    }

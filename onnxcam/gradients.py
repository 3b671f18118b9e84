"""The rewriting step on its own: any tensor's gradient with respect to any others, as outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.autodiff import cotangent_dtype, differentiate
from onnxcam.errors import LayerError, ModelError, nearest
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.external import completed
from onnxcam.graph.load import ModelSource
from onnxcam.graph.merge import merge
from onnxcam.graph.network import Network
from onnxcam.graph.quantized import is_real


def append_gradients(
    model: ModelSource, of: str, wrt: Sequence[str], seed: bool = False
) -> onnx.ModelProto:
    """The model with one output `<wrt>_grad` for every tensor in `wrt`.

    Each is d sum(of) / d wrt, of wrt's shape, float32 (float64 where wrt is): float16 would lose
    what is small. With `seed` the sum is weighted by a new input `<of>_seed` of of's shape and of
    those types: the vector-Jacobian product. A quantised tensor counts as the real numbers that
    its integers were before they were rounded. Original inputs and outputs stay; weights of a
    model over 2 GB stay in their files (`save_model` writes the result).
    Raises `LayerError` for an unknown tensor, `ModelError` where no derivative can flow, and
    `UnsupportedOperatorError` for an operator without a derivative.
    """
    if isinstance(wrt, str):
        raise LayerError(f"wrt is a sequence of names, not one; give ['{wrt}']")
    network = Network(model)
    e = Emitter(network)
    target = _real_tensor(network, of)
    sources = [_real_tensor(network, name) for name in wrt]
    inputs: list[gs.Variable] = []
    if seed:
        inputs.append(gs.Variable(f"{of}_seed", cotangent_dtype(target), list(target.shape)))
        cotangent: gs.Tensor = inputs[0]
    else:
        cotangent = e.constant(np.ones([1] * len(target.shape)), cotangent_dtype(target))
    found = differentiate(e, {of: cotangent}, wrt)
    outputs: dict[str, gs.Tensor] = {}
    for source in sources:
        if source.name not in found:
            raise ModelError(f"'{of}' does not depend differentiably on '{source.name}'")
        outputs[f"{source.name}_grad"] = e.expand(found[source.name], source)
    return completed(merge(e, outputs, inputs))


def _real_tensor(network: Network, name: str) -> gs.Tensor:
    tensor = network.tensors.get(name)
    if tensor is None:
        raise LayerError(f"no tensor '{name}'{nearest(str(name), network.tensors)}")
    if not is_real(tensor):
        raise ModelError(f"'{name}' holds {tensor.dtype} values, which have no derivative")
    if tensor.shape is None:
        raise ModelError(
            f"the shape of '{name}' cannot be inferred{network.because}; fix the model's input size"
        )
    return tensor

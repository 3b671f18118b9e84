"""What of a model is checked: the gradient of which score, at which tensor, for which input.

A classifier is checked as it is explained: the best class's logit at the target layer. Of any
other model, a random weighting of its first float output is taken, at the layer that a heatmap
would be drawn of, or at its first real tensor where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.walk import find_path
from onnxcam.card import LabelSpec, PreprocessSpec
from onnxcam.errors import ModelError
from onnxcam.explainer import understand
from onnxcam.graph.head import Head, explained_tensors, find_head
from onnxcam.graph.layers import LayerSpec, resolve_layer
from onnxcam.graph.load import ModelSource
from onnxcam.graph.network import Network, is_float, operands

_OPEN_SIZE = 64
"""Length of what an input leaves open, a batch aside, where it is no picture."""


@dataclass(frozen=True)
class Subject:
    """`head` is None where the model gives no class scores; then `score` is some output."""

    network: Network
    feeds: dict[str, np.ndarray]
    input: str
    head: Head | None
    score: gs.Tensor
    start: gs.Tensor


def subject_of(
    model: ModelSource, layer: LayerSpec, preprocess: PreprocessSpec, labels: LabelSpec
) -> Subject:
    """Raises the errors of reading a model, and `ModelError` where nothing in it is real."""
    rng = np.random.default_rng(0)
    try:
        network, image, card = understand(model, preprocess, labels)
    except ModelError:
        network = Network(model)
        feeds = {}
        described = ", ".join(f"{t.name} {t.dtype} {t.shape}" for t in network.inputs)
    else:
        rows, columns = card.preprocess.input_size(image)
        noise = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        picture = card.preprocess.tensor(noise, image)
        feeds = {image.name: np.repeat(picture, image.batch or 1, axis=0)}
        described = f"{image.name} {image.layout} {network.tensors[image.name].shape}"
    for tensor in network.inputs:
        feeds.setdefault(tensor.name, _made_up(tensor, rng))
    head = _head(network)
    score = head.logits if head else explained_tensors(network)[0]
    return Subject(network, feeds, described, head, score, _start(network, layer, score))


def _head(network: Network) -> Head | None:
    try:
        return find_head(network)
    except ModelError:
        return None


def _made_up(tensor: gs.Tensor, rng: np.random.Generator) -> np.ndarray:
    if tensor.shape is None or tensor.dtype is None:
        raise ModelError(f"the shape of input '{tensor.name}' is not declared; declare it")
    open_sizes = [1, *[_OPEN_SIZE] * len(tensor.shape)]
    pairs = zip(tensor.shape, open_sizes, strict=False)
    shape = [dim if isinstance(dim, int) else size for dim, size in pairs]
    if is_float(tensor):
        return rng.uniform(0, 1, shape).astype(tensor.dtype)
    return rng.integers(0, 2, shape).astype(tensor.dtype)


def _start(network: Network, layer: LayerSpec, score: gs.Tensor) -> gs.Tensor:
    try:
        return network.tensors[resolve_layer(network, layer).name]
    except ModelError:
        if layer is not None:
            raise
    for node in network.graph.nodes:
        tensors = [t for t in (*operands(node), *node.outputs) if t.name in network.varying]
        for tensor in tensors:
            if is_float(tensor) and find_path(network.graph.nodes, [tensor.name], [score.name]).nodes:
                return tensor
    raise ModelError(f"'{score.name}' depends on no real tensor; there is nothing to differentiate")

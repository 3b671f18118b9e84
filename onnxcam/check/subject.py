"""What of a model is checked: the gradient of which score, at which tensor, for which input.

A classifier is checked as it is explained: the best class's logit at the target layer. Of any
other model, a random weighting of its first float output is taken, and the whole way back to its
first real tensor, unless a layer is named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.autodiff.walk import find_path
from onnxcam.cards import LabelSpec, PreprocessSpec
from onnxcam.errors import ModelError
from onnxcam.graph.explained import explained_tensors
from onnxcam.graph.head import Head, find_head
from onnxcam.graph.load import ModelSource
from onnxcam.graph.named_layers import resolve_layer
from onnxcam.graph.network import Network, is_float, operands
from onnxcam.graph.picture import find_image_input
from onnxcam.understanding import understand

_OPEN_SIZE = 64
"""Length of what an input leaves open, a batch aside, where it is no picture."""

_LARGEST_INPUT = 2**28
"""Elements of an input that is made up: 2 GB of float64."""


@dataclass(frozen=True)
class Subject:
    """`head` is None where the model gives no class scores; then `score` is some output.

    `open_size` is the picture size that was chosen for a model which leaves it open.
    """

    network: Network
    feeds: dict[str, np.ndarray]
    input: str
    open_size: tuple[int, ...] | None
    head: Head | None
    score: gs.Tensor
    start: gs.Tensor


def subject_of(
    model: ModelSource, layer: str | int | None, preprocess: PreprocessSpec, labels: LabelSpec
) -> Subject:
    """Raises the errors of reading a model, and `ModelError` where nothing in it is real."""
    rng = np.random.default_rng(0)
    try:
        picture, network = _fed_with_noise(model, preprocess, labels, rng)
    except ModelError:
        picture, network = None, Network(model)
    feeds = {} if picture is None else dict(picture.feeds)
    for tensor in network.inputs:
        if tensor.name not in feeds:
            feeds[tensor.name] = _made_up(tensor, rng)
    described = ", ".join(f"{t.name} {t.dtype} {t.shape}" for t in network.inputs)
    head = _head(network)
    score = head.logits if head else explained_tensors(network)[0]
    if layer is None and (head is None or picture is None):
        start = _first_real(network, score)
    else:
        start = network.tensors[resolve_layer(network, layer).name]
    if picture is None:
        return Subject(network, feeds, described, None, head, score, start)
    return Subject(network, feeds, picture.described, picture.open_size, head, score, start)


@dataclass(frozen=True)
class _Picture:
    feeds: dict[str, np.ndarray]
    described: str
    open_size: tuple[int, ...] | None


def _fed_with_noise(
    model: ModelSource, preprocess: PreprocessSpec, labels: LabelSpec, rng: np.random.Generator
) -> tuple[_Picture, Network]:
    declared = find_image_input(Network(model))
    if not declared.is_picture:
        raise ModelError(f"input '{declared.name}' takes no pictures")
    network, image, card = understand(model, preprocess, labels)
    size = card.preprocess.input_size(image)
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    tensor = np.repeat(card.preprocess.tensor(noise, image), image.batch or 1, axis=0)
    shape = f"{image.name} {image.layout} {network.tensors[image.name].shape}"
    left_open = None in declared.size
    return _Picture({image.name: tensor}, shape, size if left_open else None), network


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
    if math.prod(shape) > _LARGEST_INPUT:
        raise ModelError(f"input '{tensor.name}', {shape}, is too large to try the model with")
    if is_float(tensor):
        return rng.uniform(0, 1, shape).astype(tensor.dtype)
    return rng.integers(0, 2, shape).astype(tensor.dtype)


def _first_real(network: Network, score: gs.Tensor) -> gs.Tensor:
    """The first real tensor that the score depends on: an input, or what is made of integers."""
    behind = {score.name}
    for node in reversed(network.graph.nodes):
        if any(t.name in behind for t in node.outputs):
            behind.update(t.name for t in operands(node) if t.name in network.varying)
    made = (t for node in network.graph.nodes for t in node.outputs)
    for tensor in (*network.inputs, *made):
        if tensor.name in behind and is_float(tensor):
            path = find_path(network.graph.nodes, [tensor.name], [score.name])
            if path.nodes:
                return tensor
    raise ModelError(f"'{score.name}' depends on no real tensor; there is nothing to differentiate")

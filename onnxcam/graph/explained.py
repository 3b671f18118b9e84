"""What a model offers to be explained: where the way from its picture ends."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.errors import ModelError
from onnxcam.graph.dense_head import find_dense_head
from onnxcam.graph.detections import find_detections
from onnxcam.graph.head import before_decision, find_head
from onnxcam.graph.network import Network, is_float


def explained_tensors(network: Network) -> list[gs.Tensor]:
    """What a heatmap can be about: the logits, of a picture or at every position; of a detector
    the scores and boxes; all float outputs where there is none of that.

    Raises `ModelError` when there is no float output.
    """
    detected = find_detections(network)
    if detected is not None:
        return detected.tensors
    try:
        return [find_head(network).logits]
    except ModelError:
        outputs = [before_decision(tensor) for tensor in network.graph.outputs]
        floats = [tensor for tensor in outputs if is_float(tensor)]
        if not floats:
            raise
        try:
            return [find_dense_head(network).logits]
        except ModelError:
            return floats

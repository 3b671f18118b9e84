"""What a model offers to be explained, in words, for somebody who asked for something else."""

from __future__ import annotations

from onnxcam.errors import ModelError, TargetError
from onnxcam.graph.dense_head import DenseHead, find_dense_head
from onnxcam.graph.detections import find_detections
from onnxcam.graph.head import Head, find_head
from onnxcam.graph.network import Network


def require_head(network: Network, output: str | None = None) -> Head:
    """The scores that the model gives its classes.

    Raises `TargetError` where it gives the classes of boxes or positions instead, and `ModelError`
    where it gives none.
    """
    try:
        return find_head(network, output)
    except ModelError:
        if output is None and offers_regions(network):
            raise TargetError(f"the picture has no class; {offer(network)}") from None
        raise


def require_dense_head(network: Network, output: str | None = None) -> DenseHead:
    """The scores that the model gives its classes at every position.

    Raises `TargetError` where it gives none.
    """
    try:
        return find_dense_head(network, output)
    except ModelError as error:
        raise TargetError(f"{error}; {offer(network)}") from None


def offers_regions(network: Network) -> bool:
    """Whether the model tells classes apart at every position."""
    try:
        find_dense_head(network)
    except ModelError:
        return False
    return find_detections(network) is None


def offer(network: Network) -> str:
    """What there is to explain, and how to ask for it."""
    detected = find_detections(network)
    if detected is not None:
        return f"the model detects boxes of {detected.classes} classes (target 'box')"
    try:
        return f"the model has classes 0 to {find_head(network).classes - 1}"
    except ModelError:
        pass
    if offers_regions(network):
        last = find_dense_head(network).classes - 1
        return (
            f"the model tells classes 0 to {last} apart at every position (target 'region:{last}')"
        )
    outputs = [tensor.name for tensor in network.graph.outputs]
    return f"the model has numbers (target 'output:{outputs[0] if outputs else 'NAME'}[0]')"

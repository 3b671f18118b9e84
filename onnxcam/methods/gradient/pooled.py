"""What pooling the gradient over the picture costs a detector."""

from __future__ import annotations

from onnxcam.graph.detections import find_detections
from onnxcam.graph.network import Network


def warnings_for_boxes(name: str, network: Network) -> tuple[str, ...]:
    """That weights which hold everywhere cannot tell one box from another."""
    if find_detections(network) is None:
        return ()
    return (
        f"the model detects: {name} averages the gradient over the whole picture and so can "
        f"hardly tell one box from another; hirescam and layercam keep to the box",
    )

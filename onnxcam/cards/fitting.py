"""Whether names are those of a model's classes, as far as their number tells."""

from __future__ import annotations

from onnxcam.errors import ModelError
from onnxcam.graph.detections import find_detections
from onnxcam.graph.network import Network
from onnxcam.targets.usual import class_count

NO_OBJECT = "no object"


def known_count(network: Network) -> int | None:
    """How many classes a model tells apart, if it gives class scores and says of how many."""
    try:
        return class_count(network)
    except ModelError:
        return None


def fitted(names: list[str], network: Network) -> list[str] | None:
    """A name for each of the model's classes; None where there are too many or too few.

    The class by which a detector says "no object" is named in hardly any list.
    """
    count = known_count(network)
    if count is None or count == len(names):
        return names
    found = find_detections(network)
    background = found.background if found is not None else None
    if background is None or len(names) != count - 1:
        return None
    return [*names[:background], NO_OBJECT, *names[background:]]

"""What a model offers to be explained: its usual target, and how many names its classes need."""

from __future__ import annotations

from onnxcam.errors import ModelError, PreprocessError, TargetError
from onnxcam.graph.dense_head import find_dense_head
from onnxcam.graph.detections import find_detections
from onnxcam.graph.head import find_head
from onnxcam.graph.network import Network
from onnxcam.graph.pyramid import Pyramid
from onnxcam.targets.base import Target, Wanted
from onnxcam.targets.boxes import Box
from onnxcam.targets.classes import Classes, require_top
from onnxcam.targets.offer import offers_regions, require_head
from onnxcam.targets.region import Region


def usual_target(network: Network, top: int, score: str) -> Wanted:
    """What is explained where nobody says: the best classes, of a detector the best
    boxes, of a segmentation its main region.

    Raises `ModelError` for a model that gives none of these, and `TargetError` for too many
    classes, or for `top` where the picture has no class of its own.
    """
    if find_detections(network) is not None:
        return Box.best(top)
    try:
        head = require_head(network)
    except TargetError:
        if top != 1:
            raise
        return Region()
    require_top(head, top)  # before arrays of that size are made
    return Classes.best(top, score)


def class_count(network: Network) -> int | None:
    """How many classes the model tells apart; None where it gives no class scores."""
    found = find_detections(network)
    if found is not None:
        return found.classes
    try:
        return find_head(network).classes
    except ModelError:
        return find_dense_head(network).classes if offers_regions(network) else None


def fitting_names(names: tuple[str, ...], network: Network) -> tuple[str, ...]:
    """Names for all classes of a model; of two, one name will do for both.

    Raises `PreprocessError` where there are too many or too few.
    """
    classes = class_count(network)
    if classes == 2 and len(names) == 1:
        return f"not {names[0]}", names[0]
    if classes is not None and len(names) != classes:
        raise PreprocessError(
            f"there are {len(names)} labels for the model's {classes} classes; "
            f"give a list that fits with --labels"
        )
    return names


def to_know(target: Target, network: Network) -> tuple[str, ...]:
    """What somebody should know of a target of this model, whatever the picture."""
    found = find_detections(network)
    if isinstance(target, Box) and isinstance(found, Pyramid) and found.decoding is None:
        return (
            "the sizes of the model's anchors are not in the file, so the box is unknown: given is "
            "the detection's cell with those around it",
        )
    return ()


def why_nothing(target: Target, score: float) -> str | None:
    """What a target itself has to say where its map is empty."""
    if isinstance(target, Region) and target.mask is None and score == 0:
        return (
            "its class is predicted nowhere in the picture; name another class, or a region with "
            "a box or mask"
        )
    return None

"""Smoother maps: by the first principal component of what is summed up, or over augmentations."""

from __future__ import annotations

from collections.abc import Callable

import onnx_graphsurgeon as gs

from onnxcam.errors import MethodError, nearest
from onnxcam.methods.base import Baked, Method
from onnxcam.methods.channels import ChannelSum
from onnxcam.methods.projection.components import first_component
from onnxcam.methods.scene import Scene

AUGMENT, EIGEN = "augment", "eigen"
SMOOTHINGS = (AUGMENT, EIGEN)
"""pytorch-grad-cam's `aug_smooth`, around any method, and its `eigen_smooth`, inside of it."""


def require_smoothing(method: Method, smooth: str | None) -> None:
    """Raise `MethodError` for a smoothing that does not exist, or not for the method."""
    if smooth is not None and smooth not in SMOOTHINGS:
        near = nearest(smooth, SMOOTHINGS) or f"; there is {', '.join(SMOOTHINGS)}"
        raise MethodError(f"no smoothing '{smooth}'{near}")
    if smooth == EIGEN and not isinstance(method, ChannelSum):
        raise MethodError(
            f"method '{method.name}' sums no weighted activations up, so there is nothing to take "
            f"the first component of; smooth with '{AUGMENT}', or choose gradcam"
        )


def emission(method: Baked, smooth: str | None) -> Callable[[Scene], gs.Tensor]:
    """What emits a method's raw map, smoothed within the graph.

    "eigen" puts the first principal component of the weighted activations w_k A_k in the place
    of their sum, with the sign that the sum has; pytorch-grad-cam leaves the sign open.
    """
    require_smoothing(method, smooth)
    if smooth == EIGEN and isinstance(method, ChannelSum):
        weights = method.weights
        return lambda scene: first_component(scene, weights(scene))
    return method.emit

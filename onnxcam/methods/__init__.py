"""How activations and gradient become a map: one small file per method."""

from onnxcam.methods import gradcam
from onnxcam.methods.registry import Method, find_method, methods

__all__ = ["Method", "find_method", "gradcam", "methods"]

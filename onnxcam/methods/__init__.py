"""How activations and gradient become a map: one small class per method."""

from onnxcam.methods.base import Baked, Method, Searched
from onnxcam.methods.registry import find_method, methods

__all__ = ["Baked", "Method", "Searched", "find_method", "methods"]

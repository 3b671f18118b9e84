"""Reverse-mode differentiation of ONNX graphs, emitted as ONNX nodes."""

from onnxcam.autodiff.cotangent import OneHot
from onnxcam.autodiff.engine import differentiate, path_between

__all__ = ["OneHot", "differentiate", "path_between"]

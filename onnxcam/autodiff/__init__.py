"""Reverse-mode differentiation of ONNX graphs, emitted as ONNX nodes."""

from onnxcam.autodiff.cotangent import OneHot
from onnxcam.autodiff.engine import differentiate, is_straight_through
from onnxcam.autodiff.precision import cotangent_dtype

__all__ = ["OneHot", "cotangent_dtype", "differentiate", "is_straight_through"]

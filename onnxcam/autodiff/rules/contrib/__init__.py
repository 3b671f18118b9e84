"""Operators that ONNX Runtime's optimisers write in place of several standard ones."""

from onnxcam.autodiff.rules.contrib import (
    attention,
    convolution,
    crop,
    fused_activation,
    gelu,
    matmul,
    normalization,
    rotary,
    structure,
)

__all__ = [
    "attention",
    "convolution",
    "crop",
    "fused_activation",
    "gelu",
    "matmul",
    "normalization",
    "rotary",
    "structure",
]

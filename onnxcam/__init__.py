"""Explain any exported vision model from its ONNX file alone."""

from onnxcam import targets
from onnxcam.card import Card
from onnxcam.errors import (
    AbsentError,
    ExecutionError,
    ImageError,
    LayerError,
    MethodError,
    ModelError,
    OnnxCamError,
    PreprocessError,
    TargetError,
    UnsupportedOperatorError,
)
from onnxcam.explainer import Explainer, explain, find_layers
from onnxcam.explanation import Explanation, Target
from onnxcam.gradients import append_gradients
from onnxcam.graph.layers import TargetLayer
from onnxcam.graph.save import save_model
from onnxcam.preprocess import Preprocess
from onnxcam.rewriting import rewrite
from onnxcam.version import __version__

__all__ = [
    "AbsentError",
    "Card",
    "ExecutionError",
    "Explainer",
    "Explanation",
    "ImageError",
    "LayerError",
    "MethodError",
    "ModelError",
    "OnnxCamError",
    "Preprocess",
    "PreprocessError",
    "Target",
    "TargetError",
    "TargetLayer",
    "UnsupportedOperatorError",
    "__version__",
    "append_gradients",
    "explain",
    "find_layers",
    "rewrite",
    "save_model",
    "targets",
]

"""Explain any exported vision model from its ONNX file alone."""

from onnxcam import targets
from onnxcam.cards import Card
from onnxcam.errors import (
    AbsentError,
    ExecutionError,
    FallbackWarning,
    ImageError,
    LayerError,
    MethodError,
    ModelError,
    OnnxCamError,
    PreprocessError,
    TargetError,
    UnsupportedOperatorError,
    VolumeError,
)
from onnxcam.explainer import Explainer, explain, find_layers
from onnxcam.explanation import Explanation, Explanations, Target, side_by_side
from onnxcam.finish import Finish
from onnxcam.gradients import append_gradients
from onnxcam.graph.layers import TargetLayer
from onnxcam.graph.save import save_model
from onnxcam.overlay import Look, View
from onnxcam.preprocess import Preprocess
from onnxcam.rewriting import rewrite
from onnxcam.signals import Signal
from onnxcam.version import __version__
from onnxcam.volumes import Volume

__all__ = [
    "AbsentError",
    "Card",
    "ExecutionError",
    "Explainer",
    "Explanation",
    "Explanations",
    "FallbackWarning",
    "Finish",
    "ImageError",
    "LayerError",
    "Look",
    "MethodError",
    "ModelError",
    "OnnxCamError",
    "Preprocess",
    "PreprocessError",
    "Signal",
    "Target",
    "TargetError",
    "TargetLayer",
    "UnsupportedOperatorError",
    "View",
    "Volume",
    "VolumeError",
    "__version__",
    "append_gradients",
    "explain",
    "find_layers",
    "rewrite",
    "save_model",
    "side_by_side",
    "targets",
]

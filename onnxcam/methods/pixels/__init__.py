"""Methods that explain the picture itself, pixel by pixel."""

from onnxcam.methods.pixels import (
    guided,
    guided_gradcam,
    integrated,
    lrp,
    noise,
    saliency,
)

__all__ = ["guided", "guided_gradcam", "integrated", "lrp", "noise", "saliency"]

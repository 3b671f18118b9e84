"""Class activation maps weighted by the gradient of the score."""

from onnxcam.methods.gradient import (
    cam,
    elementwise,
    gradcam,
    gradcam_minmax,
    gradcam_plus_plus,
    xgradcam,
)

__all__ = ["cam", "elementwise", "gradcam", "gradcam_minmax", "gradcam_plus_plus", "xgradcam"]

"""Maps of several layers, of derivatives of second order, of several classes or samples."""

from onnxcam.methods.layered import finercam, fullgrad, refinecam, shapleycam, smoothgradcam

__all__ = ["finercam", "fullgrad", "refinecam", "shapleycam", "smoothgradcam"]

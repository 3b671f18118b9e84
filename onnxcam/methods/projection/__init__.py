"""Maps from the activations alone: principal components, unusual activity, baselines."""

from onnxcam.methods.projection import baselines, eigencam, fem, kpcacam

__all__ = ["baselines", "eigencam", "fem", "kpcacam"]

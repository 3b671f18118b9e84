"""Methods that run the model many times, on changed activations or pictures."""

from onnxcam.methods.search import ablationcam, iscam, occlusion, reciprocam, rise, scorecam, sscam

__all__ = ["ablationcam", "iscam", "occlusion", "reciprocam", "rise", "scorecam", "sscam"]

"""Maps made of a transformer's attentions."""

from onnxcam.methods.attention import chefer, legrad, rollout

__all__ = ["chefer", "legrad", "rollout"]

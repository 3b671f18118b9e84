"""What is being explained: the scalar whose gradient is taken."""

from onnxcam.targets.base import Case, Choice, Explained, Target, joined, seeds_of
from onnxcam.targets.classes import (
    BEST,
    CLASS_INPUT,
    SCORES,
    Classes,
    require_class,
    require_top,
)

__all__ = [
    "BEST",
    "CLASS_INPUT",
    "SCORES",
    "Case",
    "Choice",
    "Classes",
    "Explained",
    "Target",
    "joined",
    "require_class",
    "require_top",
    "seeds_of",
]

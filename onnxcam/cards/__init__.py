"""What travels with a model: how it is fed, and what its classes are called.

Each program that writes such things down has a reader here (`document.Format`); `find` asks them
in turn.
"""

from onnxcam.cards.card import Card
from onnxcam.cards.find import PreprocessSpec, find_card
from onnxcam.cards.labels import LabelSpec

__all__ = ["Card", "LabelSpec", "PreprocessSpec", "find_card"]

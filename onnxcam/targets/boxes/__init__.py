"""Detected boxes as targets: one candidate of a detector, its score or its place."""

from onnxcam.targets.boxes.box import PLACE_INPUT, ROW_INPUT, Box
from onnxcam.targets.boxes.words import parse_box

__all__ = ["PLACE_INPUT", "ROW_INPUT", "Box", "parse_box"]

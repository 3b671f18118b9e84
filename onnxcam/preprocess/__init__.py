"""From what was read to what the model was trained on: settings, presets, geometry."""

from onnxcam.preprocess.presets import PRESETS, find_preprocess, from_mapping, read_json
from onnxcam.preprocess.settings import DEFAULT_SIZE, Preprocess

__all__ = ["DEFAULT_SIZE", "PRESETS", "Preprocess", "find_preprocess", "from_mapping", "read_json"]

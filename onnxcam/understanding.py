"""A model as it was found: its graph, its picture input, and what travels with it."""

from __future__ import annotations

import os
from dataclasses import replace

import onnx

from onnxcam.cards import Card, LabelSpec, PreprocessSpec, find_card
from onnxcam.graph.load import ModelSource, with_picture_size
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput, find_image_input
from onnxcam.targets.usual import fitting_names


def understand(
    model: ModelSource, preprocess: PreprocessSpec = None, labels: LabelSpec = None
) -> tuple[Network, ImageInput, Card]:
    """A model, its picture input and its card.

    A model that leaves the picture's size open is fixed to the size of its card, because that
    settles the shapes of everything behind it.
    """
    network = Network(model)
    image = find_image_input(network)
    source = model if isinstance(model, onnx.ModelProto) else os.fspath(model)
    card = find_card(source, network, image, preprocess, labels)
    settled = image.is_picture or card.preprocess.size is not None
    if settled and None in image.size:
        size = card.preprocess.input_size(image)
        network = Network(with_picture_size(network.proto, image.name, image.layout, size))
        image = find_image_input(network)
    return network, image, with_fitting_labels(card, network)


def with_fitting_labels(card: Card, network: Network) -> Card:
    """A list of the wrong length names classes wrongly: ImageNet has 1000 and 1001 of them."""
    if card.labels is None:
        return card
    return replace(card, labels=fitting_names(card.labels, network))

"""Where preprocessing and labels are looked for, and in which order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnxcam.cards import (
    hugging_face,
    openvino,
    own,
    paddle,
    timm,
    torchvision,
    ultralytics,
)
from onnxcam.cards.card import Card
from onnxcam.cards.document import Document, Format, Settings
from onnxcam.cards.fitting import fitted, known_count
from onnxcam.cards.guess import guess
from onnxcam.cards.imagenet import imagenet_names
from onnxcam.cards.labels import LabelSpec, given_names
from onnxcam.cards.shipped import Shipped, read_document
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput
from onnxcam.preprocess import PRESETS, Preprocess, find_preprocess

PreprocessSpec = str | os.PathLike[str] | Mapping[str, Any] | Preprocess | None

FORMATS: tuple[Format, ...] = (
    own,
    ultralytics,
    openvino,
    hugging_face,
    timm,
    paddle,
    torchvision,
)
"""Who may have written down how a model is fed; the first that did is believed."""

_IN_METADATA: tuple[Format, ...] = (own, ultralytics, openvino)


def find_card(
    model: str | os.PathLike[str] | onnx.ModelProto,
    network: Network,
    image: ImageInput,
    preprocess: PreprocessSpec = None,
    labels: LabelSpec = None,
) -> Card:
    """What was given wins, then what is in the file, then what lies beside it, then a guess.

    Raises `PreprocessError` for what is given or found and cannot be used.
    """
    shipped = Shipped(model, network.proto)
    if preprocess is not None:
        found: Settings | None = _given_settings(preprocess)
    else:
        found = _found_settings(shipped, image)
    settings = found or _guessed_settings(network, image)
    assumed = settings.assumed
    if image.is_picture and None in image.size and settings.preprocess.size is None:
        size = settings.preprocess.input_size(image)
        assumed += (f"input size {size[0]}x{size[1]} (the model leaves it open)",)
    names, told = _found_names(shipped, network, labels)
    guessed = set() if found else {"preprocess"}
    if not names and image.is_picture and image.channels == 3:
        names = imagenet_names(known_count(network))
        guessed |= {"labels"} if names else set()
        told += _of_imagenet(len(names)) if names else ()
    return Card(settings.preprocess, tuple(names) or None, assumed + told, frozenset(guessed))


def _given_settings(spec: Any) -> Settings:
    """A preset, a `Preprocess`, or settings in the words of any of the formats."""
    if isinstance(spec, Preprocess):
        return Settings(spec)
    if isinstance(spec, Mapping):
        document = Document("the preprocessing given", spec)
    elif os.fspath(spec) not in PRESETS and os.path.isfile(spec):
        document = read_document(Path(spec))
    else:
        return Settings(find_preprocess(spec))
    for form in FORMATS:
        found = form.settings(document)
        if found is not None:
            return found
    return own.fields(document.content, document.name)


def _found_settings(shipped: Shipped, image: ImageInput) -> Settings | None:
    """The first there are; those of other programs only where they are for such an input."""
    for form, document in _candidates(shipped):
        found = form.settings(document) if form is own or len(image.size) == 2 else None
        if found is not None and (form is own or _suits(found.preprocess, image)):
            return found
    return None


def _suits(preprocess: Preprocess, image: ImageInput) -> bool:
    """Whether mean and deviation are for so many channels: it may lie there for another model."""
    return all(np.size(v) in (1, image.channels) for v in (preprocess.mean, preprocess.std))


def _guessed_settings(network: Network, image: ImageInput) -> Settings:
    preset, why = guess(network, image)
    told = f"preprocessing '{preset}' ({why}; --preprocess says otherwise)"
    return Settings(PRESETS[preset], (told,))


def _found_names(
    shipped: Shipped, network: Network, given: LabelSpec
) -> tuple[list[str], tuple[str, ...]]:
    """Names of the classes, and what was left out or assumed on the way.

    Those of another program's file must be as many as the model's classes: it may lie there for
    another model.
    """
    classes = known_count(network)
    if given is not None:
        return given_names(given, classes), ()
    told: tuple[str, ...] = ()
    for form, document in _candidates(shipped):
        names = form.names(document)
        fitting = names if form is own or not names else fitted(names, network)
        if fitting:
            return fitting, told
        if names:
            told += (
                f"no class names from {document.name} (it has {len(names)}, the model {classes} "
                f"classes; --labels gives others)",
            )
    return [], told


def _of_imagenet(classes: int) -> tuple[str, ...]:
    return (
        f"class names of ImageNet ({classes} classes, none in the file; --labels says otherwise)",
    )


def _candidates(shipped: Shipped) -> Iterator[tuple[Format, Document]]:
    for form in FORMATS:
        if form in _IN_METADATA:
            yield form, shipped.metadata
        for document in chain(shipped.sidecar, shipped.beside(form.FILES)):
            yield form, document

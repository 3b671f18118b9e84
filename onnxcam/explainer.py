"""Puts the pieces together: a model once, pictures again and again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from onnxcam.card import Card, LabelSpec, PreprocessSpec, find_card
from onnxcam.compose import Composition, compose
from onnxcam.diagnosis import STRAIGHT_THROUGH, diagnose, is_empty
from onnxcam.errors import ExecutionError, PreprocessError, TargetError
from onnxcam.explanation import Explanation, Target
from onnxcam.graph.head import Head, find_head
from onnxcam.graph.layers import LayerSpec, TargetLayer, as_number, rank_layers
from onnxcam.graph.load import ModelSource, with_picture_size
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput, find_image_input
from onnxcam.images import Picture, as_picture, read_image
from onnxcam.runtime import Runner
from onnxcam.targets import BEST, CLASS_INPUT, require_classes, require_top

ImageSource = str | os.PathLike[str] | np.ndarray
TargetSpec = int | str | Sequence[int | str] | None

_SCORE, _PROBABILITY = "cam_score", "cam_probability"


@dataclass(frozen=True)
class _Program:
    """A rewritten model for a fixed number of classes, loaded."""

    composition: Composition
    runner: Runner


class Explainer:
    """Explains one model.

    `model` is a path or `ModelProto`. `method` is a name from `onnxcam methods`; `layer` a tensor,
    node or framework scope name, an index into `find_layers`, or None for the automatic choice.
    `preprocess` is a preset, a JSON file, a mapping or a `Preprocess`, `labels` a file or a list;
    what is left out is looked for in the model and beside it, then guessed (`card.assumed`).
    `providers` are ONNX Runtime's, full ("CUDAExecutionProvider") or short ("cuda"). `score` is
    what is differentiated, "logit" or "probability".

    Raises subclasses of `OnnxCamError`.
    """

    def __init__(
        self,
        model: ModelSource,
        method: str = "gradcam",
        layer: LayerSpec = None,
        preprocess: PreprocessSpec = None,
        labels: LabelSpec = None,
        providers: Sequence[str] | None = None,
        score: str = "logit",
    ) -> None:
        network, image, card = understand(model, preprocess, labels)
        self.network: Network = network
        self.image: ImageInput = image
        self.card: Card = card
        self.head: Head = find_head(network)
        self._require_fitting_labels()
        self.method = method
        self.score = score
        self._layer = layer
        self._providers = providers
        self._programs: dict[int, _Program] = {}

    @property
    def layer(self) -> TargetLayer:
        """The target layer."""
        return self._program(1).composition.layer

    @property
    def provider(self) -> str:
        """The execution provider in use."""
        return self._program(1).runner.provider

    def explain(
        self,
        images: ImageSource | Sequence[ImageSource],
        target: TargetSpec = None,
        top: int = 1,
    ) -> Explanation | list[Explanation]:
        """Explain pictures: paths, or arrays (H, W, 3) uint8 RGB (see `images.as_picture`).

        `target` is a class number or label, a sequence with one a picture, or None for the `top`
        best classes of each. One picture and one class give an `Explanation`, all else a list,
        picture by picture.
        """
        if isinstance(images, str | os.PathLike | np.ndarray):
            found = self.explain([images], target, top)
            assert isinstance(found, list)
            return found[0] if top == 1 else found
        sources = list(images)
        wanted = self._wanted(target, top, len(sources))
        pairs = zip(sources, wanted, strict=True)
        return [one for source, classes in pairs for one in self._explain_one(source, classes)]

    def run(
        self,
        x: np.ndarray | dict[str, np.ndarray],
        target: TargetSpec = None,
        top: int = 1,
    ) -> dict[str, np.ndarray]:
        """Explain a model-ready tensor (N, ...), or all the model's inputs by name.

        Returns "raw" float32 (N, K, h, w), "target" int64 (N, K), and every model output by name.
        """
        feeds = x if isinstance(x, dict) else {self.image.name: np.asarray(x)}
        if self.image.name not in feeds:
            raise ExecutionError(f"the feeds lack the model's input '{self.image.name}'")
        wanted = self._wanted(target, top, len(feeds[self.image.name]))
        outputs = self._run(feeds, wanted)
        own = {name: outputs[name] for name in (t.name for t in self.network.graph.outputs)}
        return {"raw": outputs["cam"], "target": outputs["cam_target"], **own}

    def _require_fitting_labels(self) -> None:
        """A list of the wrong length names classes wrongly: ImageNet has 1000 and 1001 of them."""
        labels = self.card.labels
        if labels is not None and len(labels) != self.head.classes:
            raise PreprocessError(
                f"there are {len(labels)} labels for the model's {self.head.classes} classes; "
                f"give a list that fits with --labels"
            )

    # -- the parts ----------------------------------------------------------------------------

    def _program(self, top: int) -> _Program:
        if top not in self._programs:
            made = compose(self.network, self.method, self._layer, top, self.score)
            targets = made.targets
            model = made.serialized(
                {
                    "cam": made.raw,
                    "cam_target": targets.index,
                    _SCORE: targets.score,
                    _PROBABILITY: targets.probability,
                }
            )
            runner = Runner(model, self._providers, self.network.folder)
            self._programs[top] = _Program(made, runner)
        return self._programs[top]

    def _wanted(self, target: TargetSpec, top: int, count: int) -> np.ndarray:
        """Class numbers (count, K); BEST where the model's own ranking decides."""
        require_top(self.head, top)  # before arrays of that size are made
        if target is None:
            return np.full((count, top), BEST, np.int64)
        if top != 1:
            raise TargetError("give either a target or top, not both")
        given = [target] * count if isinstance(target, int | str | np.integer) else list(target)
        if len(given) != count:
            raise TargetError(f"{len(given)} targets for {count} pictures; give one, or one each")
        classes = np.array([self._class(one) for one in given], np.int64).reshape(count, 1)
        require_classes(self.head, classes)
        return classes

    def _class(self, target: int | str) -> int:
        number = as_number(target)
        if isinstance(target, str) and (number is None or target in (self.card.labels or ())):
            return self.card.index(target)
        return int(target)

    def _run(self, feeds: dict[str, np.ndarray], wanted: np.ndarray) -> dict[str, np.ndarray]:
        self._require_inputs(feeds)
        runner = self._program(wanted.shape[1]).runner
        return runner.run({**feeds, CLASS_INPUT: wanted})

    def _require_inputs(self, feeds: dict[str, np.ndarray]) -> None:
        missing = [t.name for t in self.network.inputs if t.name not in feeds]
        if missing:
            raise ExecutionError(
                f"the model needs more inputs than the picture: {', '.join(missing)}; "
                f"use Explainer.run with all of them"
            )

    def _explain_one(self, source: ImageSource, wanted: np.ndarray) -> Iterator[Explanation]:
        picture = as_picture(source) if isinstance(source, np.ndarray) else read_image(source)
        x = self.card.preprocess.tensor(picture, self.image)
        copies = self.image.batch or 1  # a model of fixed batch size gets the picture that often
        feeds = {self.image.name: np.repeat(x, copies, axis=0)}
        classes = np.repeat(wanted[None], copies, axis=0)
        outputs = self._run(feeds, classes)
        for k in range(wanted.shape[0]):
            yield self._explanation(source, picture, feeds, outputs, k)

    def _explanation(
        self,
        source: ImageSource,
        picture: Picture,
        feeds: dict[str, np.ndarray],
        outputs: dict[str, np.ndarray],
        k: int,
    ) -> Explanation:
        index = int(outputs["cam_target"][0, k])
        target = Target(
            index,
            self.card.label(index),
            float(outputs[_SCORE][0, k]),
            float(outputs[_PROBABILITY][0, k]),
        )
        raw = outputs["cam"][0, k]
        program = self._program(outputs["cam"].shape[1])
        warnings = [STRAIGHT_THROUGH] if program.composition.straight_through else []
        if is_empty(raw):
            warnings.append(self._why_empty(raw, feeds, target))
        return Explanation(
            raw=raw,
            target=target,
            method=self.method,
            layer=program.composition.layer.name,
            provider=program.runner.provider,
            input_size=self.card.preprocess.input_size(self.image),
            preprocess=self.card.preprocess,
            picture=picture,
            image=None if isinstance(source, np.ndarray) else os.fspath(source),
            warnings=warnings,
        )

    def _why_empty(self, raw: np.ndarray, feeds: dict[str, np.ndarray], target: Target) -> str:
        """Run once more with activations and gradient as outputs, and look at them."""
        made = compose(self.network, self.method, self._layer, 1, self.score)
        model = made.model(
            {"cam_activations": made.layer.features.tensor, "cam_gradient": made.gradient}
        )
        classes = np.full((len(feeds[self.image.name]), 1), target.index, np.int64)
        seen = Runner(model, self._providers).run({**feeds, CLASS_INPUT: classes})
        return diagnose(
            raw,
            seen["cam_activations"][0],
            seen["cam_gradient"][0],
            target.probability,
            self.score,
        )


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
    if image.height is None or image.width is None:
        size = card.preprocess.input_size(image)
        network = Network(with_picture_size(network.proto, image.name, image.layout, size))
        image = find_image_input(network)
    return network, image, card


def explain(
    model: ModelSource,
    images: ImageSource | Sequence[ImageSource],
    target: TargetSpec = None,
    top: int = 1,
    **options: Any,
) -> Explanation | list[Explanation]:
    """Explain pictures with a model; `options` are those of `Explainer`, which is worth keeping
    when there is more than one call to make."""
    return Explainer(model, **options).explain(images, target, top)


def find_layers(model: ModelSource) -> list[TargetLayer]:
    """Candidate target layers of a model, ranked; the first is the automatic choice."""
    network, _, _ = understand(model)
    return rank_layers(network)

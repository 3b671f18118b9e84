"""Puts the pieces together: a model once, pictures again and again."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from onnxcam.card import Card, LabelSpec, PreprocessSpec, find_card
from onnxcam.diagnosis import STRAIGHT_THROUGH, diagnose, is_empty
from onnxcam.errors import ExecutionError, PreprocessError, TargetError
from onnxcam.explanation import Explanation
from onnxcam.explanation import Target as Named
from onnxcam.graph.head import class_count, find_head
from onnxcam.graph.layers import LayerSpec, TargetLayer, as_number, rank_layers
from onnxcam.graph.load import ModelSource, with_picture_size
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput, find_image_input
from onnxcam.images import Picture, as_picture, read_image
from onnxcam.laboratory import Equipment
from onnxcam.methods import Method, find_method
from onnxcam.programs import INDEX, PROBABILITY, RAW, SCORE, Order, Program, program_for
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Case, Classes, Target, joined, require_class, require_top

ImageSource = str | os.PathLike[str] | np.ndarray
TargetSpec = int | str | Target | Sequence[int | str | Target] | None


class Explainer:
    """Explains one model.

    `model` is a path or `ModelProto`. `method` is a name from `onnxcam methods` or a `Method`;
    `layer` a tensor, node or framework scope name, an index into `find_layers`, a list of those,
    or None for the automatic choice. `preprocess` is a preset, a JSON file, a mapping or a
    `Preprocess`, `labels` a file or a list; what is left out is looked for in the model and
    beside it, then guessed (`card.assumed`). `providers` are ONNX Runtime's, full
    ("CUDAExecutionProvider") or short ("cuda"). `score` is what is differentiated of a class,
    "logit" or "probability"; `parameters` are the method's own.

    Raises subclasses of `OnnxCamError`.
    """

    def __init__(
        self,
        model: ModelSource,
        method: str | Method = "gradcam",
        layer: LayerSpec = None,
        preprocess: PreprocessSpec = None,
        labels: LabelSpec = None,
        providers: Sequence[str] | None = None,
        score: str = "logit",
        **parameters: Any,
    ) -> None:
        self.method: Method = find_method(method, **parameters)
        network, image, card = understand(model, preprocess, labels)
        self.network: Network = network
        self.image: ImageInput = image
        self.card: Card = card
        self.score = score
        self._require_fitting_labels()
        self._layer = layer
        self._providers = providers
        self._programs: dict[Hashable, Program] = {}

    @property
    def layers(self) -> tuple[TargetLayer, ...]:
        """The target layers."""
        return self.method.layers(self.network, self._layer)

    @property
    def layer(self) -> TargetLayer:
        """The first target layer."""
        return self.layers[0]

    @property
    def provider(self) -> str:
        """The execution provider in use."""
        return self._program(Classes.best(1, self.score)).provider

    def explain(
        self,
        images: ImageSource | Sequence[ImageSource],
        target: TargetSpec = None,
        top: int = 1,
    ) -> Explanation | list[Explanation]:
        """Explain pictures: paths, or arrays (H, W, 3) uint8 RGB (see `images.as_picture`).

        `target` is a class number or label, an object from `onnxcam.targets`, a sequence with one
        a picture, or None for the `top` best classes of each. One picture and one map give an
        `Explanation`, all else a list, picture by picture.
        """
        if isinstance(images, str | os.PathLike | np.ndarray):
            found = self.explain([images], target, top)
            assert isinstance(found, list)
            return found[0] if len(found) == 1 else found
        sources = list(images)
        targets = self._targets(target, top, len(sources))
        pairs = zip(sources, targets, strict=True)
        return [one for source, wanted in pairs for one in self._explain_one(source, wanted)]

    def run(
        self,
        x: np.ndarray | Arrays,
        target: TargetSpec = None,
        top: int = 1,
    ) -> Arrays:
        """Explain a model-ready tensor (N, ...), or all the model's inputs by name.

        Returns "raw" float32 (N, K, h, w), "target" int64 (N, K), and every model output by name.
        """
        feeds = x if isinstance(x, dict) else {self.image.name: np.asarray(x)}
        if self.image.name not in feeds:
            raise ExecutionError(f"the feeds lack the model's input '{self.image.name}'")
        self._require_inputs(feeds)
        targets = self._targets(target, top, len(feeds[self.image.name]))
        settled = joined(targets, self._case(feeds))
        answer = self._program(settled).run(feeds, settled)
        own = {name: answer[name] for name in (t.name for t in self.network.graph.outputs)}
        return {"raw": answer[RAW], "target": answer[INDEX], **own}

    def _require_fitting_labels(self) -> None:
        """A list of the wrong length names classes wrongly: ImageNet has 1000 and 1001 of them."""
        labels = self.card.labels
        classes = class_count(self.network)
        if labels is not None and classes is not None and len(labels) != classes:
            raise PreprocessError(
                f"there are {len(labels)} labels for the model's {classes} classes; "
                f"give a list that fits with --labels"
            )

    # -- the parts ----------------------------------------------------------------------------

    def _program(self, target: Target) -> Program:
        if target.structure not in self._programs:
            order = Order(self.network, self.method, self._layer, target, self._providers)
            self._programs[target.structure] = program_for(order)
        return self._programs[target.structure]

    def _targets(self, target: TargetSpec, top: int, count: int) -> list[Target]:
        """What is explained of each picture."""
        if target is None:
            require_top(find_head(self.network), top)  # before arrays of that size are made
            return [Classes.best(top, self.score)] * count
        if top != 1:
            raise TargetError("give either a target or top, not both")
        if isinstance(target, Sequence | np.ndarray) and not isinstance(target, str):
            if len(target) != count:
                raise TargetError(
                    f"{len(target)} targets for {count} pictures; give one, or one each"
                )
            return [self._as_target(one) for one in target]
        return [self._as_target(target)] * count

    def _as_target(self, target: int | str | Target) -> Target:
        if not isinstance(target, int | str | np.integer):
            return target
        number = as_number(target)
        if isinstance(target, str) and (number is None or target in (self.card.labels or ())):
            number = self.card.index(target)
        require_class(find_head(self.network), int(number or 0))
        return Classes((int(number or 0),), self.score)

    def _case(self, feeds: Arrays) -> Case:
        def answer(image: ImageSource | None = None) -> Arrays:
            return self._plain.run(feeds if image is None else self._fed(_picture(image)))

        return Case(self.network, answer, self.card.index)

    @cached_property
    def _plain(self) -> Runner:
        """The model as it is."""
        return Runner(self.network.serialized, self._providers, self.network.folder)

    def _require_inputs(self, feeds: Arrays) -> None:
        missing = [t.name for t in self.network.inputs if t.name not in feeds]
        if missing:
            raise ExecutionError(
                f"the model needs more inputs than the picture: {', '.join(missing)}; "
                f"use Explainer.run with all of them"
            )

    def _fed(self, picture: Picture) -> Arrays:
        """A model of fixed batch size gets the picture that often."""
        x = self.card.preprocess.tensor(picture, self.image)
        return {self.image.name: np.repeat(x, self.image.batch or 1, axis=0)}

    def _explain_one(self, source: ImageSource, wanted: Target) -> Iterator[Explanation]:
        picture = _picture(source)
        feeds = self._fed(picture)
        self._require_inputs(feeds)
        target = wanted.settled(self._case(feeds))
        program = self._program(target)
        answer = program.run(feeds, target)
        for k in range(answer[RAW].shape[1]):
            raw = answer[RAW][0, k]
            explained = self._named(target, k, answer)
            warnings = [STRAIGHT_THROUGH] if program.straight_through else []
            if is_empty(raw):
                warnings.append(self._why_empty(raw, feeds, target, k, explained))
            yield Explanation(
                raw=raw,
                target=explained,
                method=self.method.name,
                layer=", ".join(layer.name for layer in program.layers),
                provider=program.provider,
                input_size=self.card.preprocess.input_size(self.image),
                preprocess=self.card.preprocess,
                picture=picture,
                image=None if isinstance(source, np.ndarray) else os.fspath(source),
                warnings=warnings,
            )

    def _named(self, target: Target, k: int, answer: Arrays) -> Named:
        index = int(answer[INDEX][0, k])
        return Named(
            index,
            target.label(k, index, self.card.label),
            float(answer[SCORE][0, k]),
            float(answer[PROBABILITY][0, k]),
        )

    def _why_empty(
        self, raw: np.ndarray, feeds: Arrays, target: Target, k: int, explained: Named
    ) -> str:
        """Run once more with activations and gradient as outputs, and look at them."""
        equipment = Equipment(self.network, self.layers, target, self._providers)
        activations, gradient = equipment.layer_gradients(feeds, target)
        return diagnose(raw, activations[0], gradient[0, k], explained.probability, self.score)


def _picture(source: ImageSource) -> Picture:
    return as_picture(source) if isinstance(source, np.ndarray) else read_image(source)


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
    if image.is_picture and None in image.size:
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

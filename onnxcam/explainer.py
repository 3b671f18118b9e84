"""Puts the pieces together: a model once, pictures again and again."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from onnxcam.card import Card, LabelSpec, PreprocessSpec, find_card
from onnxcam.diagnosis import STRAIGHT_THROUGH, Evidence, diagnose, is_empty
from onnxcam.errors import ExecutionError, TargetError
from onnxcam.explanation import Explanation
from onnxcam.explanation import Target as Named
from onnxcam.frame import Frame
from onnxcam.graph.layers import LayerSpec, TargetLayer, rank_layers
from onnxcam.graph.load import ModelSource, with_picture_size
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput, find_image_input
from onnxcam.graph.stated_grid import placed
from onnxcam.images import Picture, as_picture, read_image
from onnxcam.laboratory import ACTIVATIONS, BOX, Equipment
from onnxcam.methods import Method, find_method
from onnxcam.methods.aggregate import require_fusion
from onnxcam.methods.smoothing import require_smoothing
from onnxcam.programs import (
    INDEX,
    PROBABILITY,
    RAW,
    SCORE,
    Order,
    Program,
    program_for,
    with_probability,
)
from onnxcam.runtime import Arrays, Runner
from onnxcam.targets import Case, Classes, Target, Wanted, in_parts, joined, require_class
from onnxcam.targets.offer import require_head
from onnxcam.targets.spec import Reader
from onnxcam.targets.usual import fitting_names, usual_target, why_nothing

ImageSource = str | os.PathLike[str] | np.ndarray
TargetSpec = int | str | Wanted | Sequence[int | str | Wanted] | None

TOGETHER = 32
"""Classes explained in one run; more of them are explained in several."""


class Explainer:
    """Explains one model.

    `model` is a path or `ModelProto`. `method` is a name from `onnxcam methods` or a `Method`;
    `layer` a tensor, node or framework scope name, an index into `find_layers`, a list of those,
    or None for the automatic choice. `preprocess` is a preset, a JSON file, a mapping or a
    `Preprocess`, `labels` a file or a list; what is left out is looked for in the model and
    beside it, then guessed (`card.assumed`). `providers` are ONNX Runtime's, full
    ("CUDAExecutionProvider") or short ("cuda"). `score` is what is differentiated of a class,
    "logit" or "probability"; `grid` is the height and width of the picture in tokens, for layers
    (N, T, C) of which the graph does not tell. `fuse` says how the maps of several layers become
    one, "mean" or "max"; `smooth` is None, "augment" (the mean over six changed pictures) or
    "eigen" (the first component of weighted activations). `parameters` are the method's own.

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
        grid: Sequence[int] | None = None,
        fuse: str = "mean",
        smooth: str | None = None,
        **parameters: Any,
    ) -> None:
        self.method: Method = find_method(method, **parameters)
        network, image, card = understand(model, preprocess, labels)
        self.network: Network = network
        self.image: ImageInput = image
        self.card: Card = _with_fitting_labels(card, network)
        self.score = score
        self._layer = placed(layer, grid)
        self._providers = providers
        self._fuse = fuse
        self._smooth = smooth
        require_fusion(fuse)
        require_smoothing(self.method, smooth)
        self._programs: dict[Hashable, Program] = {}
        self._meters: dict[Hashable, Equipment] = {}

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
        return next(iter(self._programs.values()), self._plain).provider

    def explain(
        self,
        images: ImageSource | Sequence[ImageSource],
        target: TargetSpec = None,
        top: int = 1,
    ) -> Explanation | list[Explanation]:
        """Explain pictures: paths, or arrays (H, W, 3) uint8 RGB (see `images.as_picture`).

        `target` is a class number or label, other words for a target (`onnxcam.targets.spec`), an
        object from `onnxcam.targets`, a sequence with one a picture, or None for the `top` best
        classes of each. One picture and one map give an `Explanation`, all else a list, picture by
        picture.
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
        settled = joined(targets, self.case(feeds))
        answer = self._program(settled).run(feeds, settled)
        own = {name: answer[name] for name in (t.name for t in self.network.graph.outputs)}
        return {"raw": answer[RAW], "target": answer[INDEX], **own}

    # -- the parts ----------------------------------------------------------------------------

    def _program(self, target: Target) -> Program:
        if target.structure not in self._programs:
            order = Order(
                self.network,
                self.method,
                self._layer,
                target,
                self._providers,
                self._fuse,
                self._smooth,
            )
            self._programs[target.structure] = program_for(order)
        return self._programs[target.structure]

    def _targets(self, target: TargetSpec, top: int, count: int) -> list[Wanted]:
        """What is explained of each picture."""
        if target is None:
            return [usual_target(self.network, top, self.score)] * count
        if top != 1:
            raise TargetError("give either a target or top, not both")
        if isinstance(target, Sequence | np.ndarray) and not isinstance(target, str):
            if len(target) != count:
                raise TargetError(
                    f"{len(target)} targets for {count} pictures; give one, or one each"
                )
            return [self.wanted(one) for one in target]
        return [self.wanted(target)] * count

    def wanted(self, target: int | str | Wanted) -> Wanted:
        """A target from a class number, or from words (`onnxcam.targets.spec`).

        Raises `TargetError`.
        """
        if isinstance(target, str):
            return Reader(self.network, self.card.index, self.score).read(target)
        if isinstance(target, int | np.integer):
            require_class(require_head(self.network), int(target))
            return Classes((int(target),), self.score)
        return target

    def case(self, feeds: Arrays | None = None, frame: Frame | None = None) -> Case:
        """What targets may ask about the model, and about pictures that are fed to it."""

        def answer(image: ImageSource | None = None) -> Arrays:
            fed = feeds if image is None else self._fed(_picture(image))
            if fed is None:
                raise TargetError("this target depends on the picture, and there is none yet")
            return self._plain.run(fed)

        def measure(target: Target) -> tuple[np.ndarray, ...]:
            if feeds is None:
                raise TargetError("this target depends on the picture, and there is none yet")
            if target.structure not in self._meters:
                meter = Equipment(self.network, (), target, self._providers)
                self._meters[target.structure] = meter
            found = with_probability(self._meters[target.structure].answer(feeds, target))
            return found[INDEX], found[SCORE], found[PROBABILITY]

        return Case(self.network, answer, self.card.index, measure, frame)

    @cached_property
    def _method_warnings(self) -> tuple[str, ...]:
        """What the method has to say of the model, whatever the picture."""
        return self.method.warnings(self.network)

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

    def _explain_one(self, source: ImageSource, wanted: Wanted) -> Iterator[Explanation]:
        picture = _picture(source)
        feeds = self._fed(picture)
        self._require_inputs(feeds)
        size = self.card.preprocess.input_size(self.image)
        frame = self.card.preprocess.frame((picture.shape[0], picture.shape[1]), size)
        settled = wanted.settled(self.case(feeds, frame))
        for target in in_parts(settled, TOGETHER):
            program = self._program(target)
            answer = program.run(feeds, target)
            for k in range(answer[RAW].shape[1]):
                raw = answer[RAW][0, k]
                explained = self._named(target, k, answer, frame)
                warnings = list(self._method_warnings)
                if program.straight_through:
                    warnings.append(STRAIGHT_THROUGH)
                if is_empty(raw):
                    seen = self._evidence(program, feeds, target, k, explained)
                    warnings.append(diagnose(raw, seen))
                yield Explanation(
                    raw=raw,
                    target=explained,
                    method=self.method.name,
                    layer=", ".join(layer.name for layer in program.layers),
                    provider=program.provider,
                    input_size=size,
                    preprocess=self.card.preprocess,
                    picture=picture,
                    image=None if isinstance(source, np.ndarray) else os.fspath(source),
                    warnings=warnings,
                    outliers=self.method.outliers,
                )

    def _named(self, target: Target, k: int, answer: Arrays, frame: Frame) -> Named:
        index = int(answer[INDEX][0, k])
        box = frame.to_picture(answer[BOX][0, k]).tolist() if BOX in answer else None
        return Named(
            index,
            target.label(k, index, self.card.label),
            float(answer[SCORE][0, k]),
            float(answer[PROBABILITY][0, k]),
            target.key(k, index),
            box and tuple(box),
        )

    def _evidence(
        self, program: Program, feeds: Arrays, target: Target, k: int, explained: Named
    ) -> Evidence:
        """Run once more, with what the map was made from as outputs."""
        equipment = Equipment(self.network, program.layers, target, self._providers)
        gradient = None
        if "gradient" in self.method.needs:
            activations, gradients = equipment.layer_gradients(feeds, target)
            gradient = gradients[0, k]
        else:
            activations = equipment.answer(feeds, target)[ACTIVATIONS]
        return Evidence(
            x=feeds[self.image.name][:1].astype(np.float32),
            score=explained.score,
            probability=explained.probability,
            activations=activations[0],
            spatial=program.layers[0].features.spatial,
            gradient=gradient,
            differentiated=getattr(target, "score", "logit"),
            remark=why_nothing(target, explained.score),
        )


def _picture(source: ImageSource) -> Picture:
    return as_picture(source) if isinstance(source, np.ndarray) else read_image(source)


def _with_fitting_labels(card: Card, network: Network) -> Card:
    """A list of the wrong length names classes wrongly: ImageNet has 1000 and 1001 of them."""
    if card.labels is None:
        return card
    return replace(card, labels=fitting_names(card.labels, network))


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

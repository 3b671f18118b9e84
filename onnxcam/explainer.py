"""Puts the pieces together: a model once, pictures again and again."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from onnxcam.cards import Card, LabelSpec, PreprocessSpec
from onnxcam.diagnosis import STRAIGHT_THROUGH, Evidence, diagnose, is_empty
from onnxcam.errors import ExecutionError, TargetError
from onnxcam.explanation import Explanation, Explanations
from onnxcam.explanation import Target as Named
from onnxcam.finish import Finish
from onnxcam.frame import Frame
from onnxcam.graph.layers import LayerSpec, TargetLayer, rank_layers
from onnxcam.graph.load import ModelSource
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput
from onnxcam.graph.stated_grid import placed
from onnxcam.laboratory import ACTIVATIONS, Equipment
from onnxcam.methods import Method, find_method
from onnxcam.methods.aggregate import require_fusion
from onnxcam.methods.smoothing import require_smoothing
from onnxcam.outputs import BOX, INDEX, PROBABILITY, RAW, SCORE
from onnxcam.overlay import Look, View
from onnxcam.programs import Order, Program, program_for, with_probability
from onnxcam.recipes import DEFAULT, find_recipe
from onnxcam.runtime import Arrays, Runner
from onnxcam.sources import SPECS, Source, SourceSpec, read_source, size_of, values_of
from onnxcam.targets import Case, Classes, Target, Wanted, in_parts, joined, require_class
from onnxcam.targets.offer import require_head
from onnxcam.targets.spec import Reader
from onnxcam.targets.usual import to_know, usual_target, why_nothing
from onnxcam.understanding import understand

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
    "eigen" (the first component of weighted activations). `finish` makes heatmaps of raw maps;
    `look` and `view` say how they are drawn. `parameters` are the method's own.

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
        finish: Finish | None = None,
        look: Look | None = None,
        view: View | None = None,
        **parameters: Any,
    ) -> None:
        self.method: Method = find_method(method, **parameters)
        network, image, card = understand(model, preprocess, labels)
        self.network: Network = network
        self.image: ImageInput = image
        self.card: Card = card
        self.score = score
        self._layer = placed(layer, grid)
        self._providers = providers
        self._fuse = fuse
        self._smooth = smooth
        self._drawn: dict[str, Any] = {
            "finish": finish or Finish(),
            "look": look or Look(),
            "view": view or View(),
        }
        require_fusion(fuse)
        require_smoothing(self.method, smooth)
        self._programs: dict[Hashable, Program] = {}
        self._meters: dict[Hashable, Equipment] = {}

    @classmethod
    def from_recipe(cls, model: ModelSource, recipe: str, **options: Any) -> Explainer:
        """One that does what a write-up does (`onnxcam recipes`), but for the `options` given."""
        return cls(model, **{**find_recipe(recipe).options, **options})

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
        images: SourceSpec | Sequence[SourceSpec],
        target: TargetSpec = None,
        top: int = 1,
    ) -> Explanation | Explanations:
        """Explain pictures, volumes or signals, whichever the model takes: paths, or arrays.

        Picture arrays are uint8 RGB (H, W, 3) (see `images.as_picture`), volumes (D, H, W) and
        signals (L,), with channels in front or behind where there are several.
        `target` is a class number or label, other words for a target (`onnxcam.targets.spec`), an
        object from `onnxcam.targets`, a sequence with one a picture, or None for the `top` best
        classes of each. One picture and one map give an `Explanation`, all else a list, picture by
        picture.
        """
        if isinstance(images, SPECS):
            found = self.explain([images], target, top)
            assert isinstance(found, Explanations)
            return found[0] if len(found) == 1 else found
        sources = list(images)
        targets = self._targets(target, top, len(sources))
        pairs = zip(sources, targets, strict=True)
        explained = (one for source, wanted in pairs for one in self._explain_one(source, wanted))
        return Explanations(explained)

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

        def answer(image: SourceSpec | None = None) -> Arrays:
            fed = feeds if image is None else self._fed(read_source(image, self.image))
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

    def _fed(self, source: Source) -> Arrays:
        """A model of fixed batch size gets the picture that often."""
        x = self.card.preprocess.tensor(values_of(source), self.image)
        return {self.image.name: np.repeat(x, self.image.batch or 1, axis=0)}

    def _explain_one(self, spec: SourceSpec, wanted: Wanted) -> Iterator[Explanation]:
        source = read_source(spec, self.image)
        feeds = self._fed(source)
        self._require_inputs(feeds)
        size = size_of(source)
        frame = self.card.preprocess.frame(size, self.card.preprocess.input_size(self.image, size))
        settled = wanted.settled(self.case(feeds, frame))
        for target in in_parts(settled, TOGETHER):
            program = self._program(target)
            answer = program.run(feeds, target)
            for k in range(answer[RAW].shape[1]):
                raw = answer[RAW][0, k]
                explained = self._named(target, k, answer, frame)
                yield Explanation(
                    raw=raw,
                    target=explained,
                    method=self.method.name,
                    layer=", ".join(layer.name for layer in program.layers),
                    provider=program.provider,
                    frame=frame,
                    source=source,
                    image=os.fspath(spec) if isinstance(spec, str | os.PathLike) else None,
                    warnings=self._warnings(program, feeds, target, k, raw, explained, frame),
                    outliers=self.method.outliers,
                    **self._drawn,
                )

    def _warnings(
        self,
        program: Program,
        feeds: Arrays,
        target: Target,
        k: int,
        raw: np.ndarray,
        explained: Named,
        frame: Frame,
    ) -> list[str]:
        """What to know before trusting the map."""
        own = to_know(target, self.network)
        warnings = [*self._resized(frame), *own, *self._method_warnings]
        if program.straight_through:
            warnings.append(STRAIGHT_THROUGH)
        if is_empty(raw):
            warnings.append(diagnose(raw, self._evidence(program, feeds, target, k, explained)))
        return warnings

    def _resized(self, frame: Frame) -> tuple[str, ...]:
        """Pictures come in any size; volumes and signals were measured on a grid that matters."""
        if self.image.is_picture or frame.source == frame.input:
            return ()
        given, taken = (" x ".join(map(str, size)) for size in (frame.source, frame.input))
        return (f"what was read, {given}, was resized to the model's {taken}",)

    def _named(self, target: Target, k: int, answer: Arrays, frame: Frame) -> Named:
        index = int(answer[INDEX][0, k])
        box = frame.to_source(answer[BOX][0, k]).tolist() if BOX in answer else None
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


def explain(
    model: ModelSource,
    images: SourceSpec | Sequence[SourceSpec],
    target: TargetSpec = None,
    top: int | None = None,
    recipe: str = DEFAULT.name,
    **options: Any,
) -> Explanation | Explanations:
    """Explain pictures with a model, by a recipe (`onnxcam recipes`), the recommended one unless
    another is named. `options` are those of `Explainer`, which is worth keeping when there is more
    than one call to make; they go before the recipe's. Raises `OnnxCamError`."""
    chosen = find_recipe(recipe)
    explainer = Explainer(model, **{**chosen.options, **options})
    if target is None and top is None:
        target, top = chosen.target, chosen.top
    return explainer.explain(images, target, 1 if top is None else top)


def find_layers(model: ModelSource) -> list[TargetLayer]:
    """Candidate target layers of a model, ranked; the first is the automatic choice."""
    network, _, _ = understand(model)
    return rank_layers(network)

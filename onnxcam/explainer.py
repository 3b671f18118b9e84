"""Puts the pieces together: a model once, pictures again and again."""

from __future__ import annotations

from collections.abc import Collection, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import repeat
from threading import Lock
from typing import Any

import numpy as np

from onnxcam.assembly import Assembly, Prepared
from onnxcam.cards import Card, LabelSpec, PreprocessSpec
from onnxcam.errors import ExecutionError, OnnxCamError, TargetError
from onnxcam.explanation import Explanation, Explanations
from onnxcam.finish import Finish
from onnxcam.frame import Frame
from onnxcam.graph.layers import LayerSpec, TargetLayer, rank_layers
from onnxcam.graph.load import ModelSource
from onnxcam.graph.network import Network
from onnxcam.graph.picture import ImageInput
from onnxcam.graph.stated_grid import placed
from onnxcam.inquiry import Inquiry
from onnxcam.methods import Method, find_method
from onnxcam.methods.aggregate import require_fusion
from onnxcam.methods.smoothing import AUGMENT, require_smoothing
from onnxcam.outputs import INDEX, RAW
from onnxcam.overlay import Look, View
from onnxcam.programs import Order, Program, program_for
from onnxcam.providers import Providers
from onnxcam.recipes import DEFAULT, find_recipe
from onnxcam.runtime import Arrays, require_outputs
from onnxcam.sources import SPECS, SourceSpec
from onnxcam.streaming import Outcome, Stream
from onnxcam.targets import Case, Target, Wanted, joined
from onnxcam.targets.usual import usual_target
from onnxcam.understanding import understand

TargetSpec = int | str | Wanted | Sequence[int | str | Wanted] | None


class Explainer:
    """Explains one model.

    `model` is a path or `ModelProto`. `method` is a name from `onnxcam methods` or a `Method`;
    `layer` a tensor, node or framework scope name, an index into `find_layers`, a list of those,
    or None for the automatic choice. `preprocess` is a preset, a JSON file, a mapping or a
    `Preprocess`, `labels` a file or a list; what is left out is looked for in the model and
    beside it, then guessed (`card.assumed`). `providers` are ONNX Runtime's in order of
    preference, full ("CUDAExecutionProvider") or short ("cuda"), with a device ("cuda:1") or
    options (("cuda", {"device_id": 1})), or "auto" (`onnxcam.providers`). `score` is what is
    differentiated of a class, "logit" or "probability"; `grid` is the height and width of the
    picture in tokens, for layers (N, T, C) of which the graph does not tell. `fuse` says how the
    maps of several layers become one, "mean" or "max"; `smooth` is None, "augment" (the mean over
    six changed pictures) or "eigen" (the first component of weighted activations). `finish` makes
    heatmaps of raw maps; `look` and `view` say how they are drawn. `parameters` are the method's
    own.

    Raises subclasses of `OnnxCamError`.
    """

    def __init__(
        self,
        model: ModelSource,
        method: str | Method = "gradcam",
        layer: LayerSpec = None,
        preprocess: PreprocessSpec = None,
        labels: LabelSpec = None,
        providers: Providers = None,
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
        drawn = {"finish": finish or Finish(), "look": look or Look(), "view": view or View()}
        self._assembly = Assembly(network, image, card, self.method, drawn, providers)
        require_fusion(fuse)
        require_smoothing(self.method, smooth)
        self._programs: dict[Hashable, Program] = {}
        self._inquiry = Inquiry(self._assembly)
        self._making = Lock()
        self._stream = Stream(self._assembly, self._settled, self._program)

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
        return next(iter(self._programs.values()), self._inquiry.plain).provider

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
            (wanted,) = self._targets(target, top, 1)
            found = self._stream.explained(images, wanted)
            return found[0] if len(found) == 1 else found
        requests = list(images)
        if len(requests) == 1:
            return self._stream.explained(requests[0], *self._targets(target, top, 1))
        targets = self._targets(target, top, len(requests))
        explained = Explanations()
        with closing(self._outcomes(requests, iter(targets), None)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, OnnxCamError):
                    raise outcome
                explained += outcome
        return explained

    def stream(
        self,
        images: Iterable[SourceSpec],
        target: TargetSpec = None,
        top: int = 1,
        batch: int | None = None,
    ) -> Generator[Explanation | OnnxCamError, None, None]:
        """Explain pictures as they come, however many: their explanations, in order.

        As `explain`, but what cannot be explained gives its error in its place, and the rest go
        on. Pictures are read ahead on other threads, and run `batch` at a time where the model
        leaves the batch open (None: as many as is fastest here), while the caller is at those
        before; no more than a few batches are held at any time. Ends its threads when it is
        closed, or interrupted. Raises errors that are not one picture's.
        """
        with closing(self.stream_pictures(images, target, top, batch)) as outcomes:
            for outcome in outcomes:
                yield from [outcome] if isinstance(outcome, OnnxCamError) else outcome

    def stream_pictures(
        self,
        images: Iterable[SourceSpec],
        target: TargetSpec = None,
        top: int = 1,
        batch: int | None = None,
    ) -> Generator[Outcome, None, None]:
        """The same picture by picture: what there is of each in a list, or its error."""
        if isinstance(target, Sequence | np.ndarray) and not isinstance(target, str):
            return self._outcomes(images, iter(self._targets(target, top, len(target))), batch)
        return self._outcomes(images, repeat(*self._targets(target, top, 1)), batch)

    def run(
        self,
        x: np.ndarray | Arrays,
        target: TargetSpec = None,
        top: int = 1,
        outputs: Collection[str] | None = None,
    ) -> Arrays:
        """Explain a model-ready tensor (N, ...), or all the model's inputs by name.

        Returns "raw" float32 (N, K, h, w), "target" int64 (N, K), and by name the model's own
        `outputs`, or all of them: only what is returned leaves the device that it was run on.
        """
        feeds = x if isinstance(x, dict) else {self.image.name: np.asarray(x)}
        if self.image.name not in feeds:
            raise ExecutionError(f"the feeds lack the model's input '{self.image.name}'")
        self._assembly.require_inputs(feeds)
        own = [tensor.name for tensor in self.network.graph.outputs]
        if outputs is not None:
            require_outputs(outputs, own)
            own = [name for name in own if name in outputs]
        targets = self._targets(target, top, len(feeds[self.image.name]))
        settled = joined(targets, self.case(feeds))
        answer = self._program(settled).run(feeds, settled, own)
        return {"raw": answer[RAW], "target": answer[INDEX]} | {n: answer[n] for n in own}

    # -- the parts ----------------------------------------------------------------------------

    def _outcomes(
        self, images: Iterable[SourceSpec], targets: Iterator[Wanted], batch: int | None
    ) -> Generator[Outcome, None, None]:
        batches = self.method.bakes and self._smooth != AUGMENT
        return self._stream.outcomes(_paired(images, targets), batch, batches)

    def _settled(self, picture: Prepared, wanted: Wanted) -> Target:
        return wanted.settled(self.case(self._assembly.fed(picture.x), picture.frame))

    def _program(self, target: Target) -> Program:
        with self._making:
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
        from onnxcam.targets.spec import Reader  # all kinds of targets, which few calls name

        return Reader(self.network, self.card.index, self.score).wanted(target)

    def case(self, feeds: Arrays | None = None, frame: Frame | None = None) -> Case:
        """What targets may ask about the model, and about pictures that are fed to it."""
        return self._inquiry.case(feeds, frame)


def _paired(
    images: Iterable[SourceSpec], targets: Iterator[Wanted]
) -> Iterator[tuple[SourceSpec, Wanted]]:
    """Pictures with their targets; `TargetError` where these come to an end first."""
    for n, image in enumerate(images):
        try:
            yield image, next(targets)
        except StopIteration:
            raise TargetError(f"{n} targets for more pictures; give one, or one each") from None


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

"""From a model to a model that explains itself: score, gradient and method in one graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.autodiff import is_straight_through
from onnxcam.errors import MethodError, ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.external import completed
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.load import ModelSource
from onnxcam.graph.merge import addition, merge
from onnxcam.graph.network import Network
from onnxcam.methods import Baked, Method, find_method
from onnxcam.methods.aggregate import over_layers
from onnxcam.methods.scene import Scene
from onnxcam.targets import Classes, Explained, Target
from onnxcam.version import __version__

PROFILES = ("cpu",)


@dataclass(frozen=True)
class Addition:
    """A target emitted behind a network, with what else was emitted there; not merged yet."""

    emitter: Emitter
    explained: Explained

    def model(
        self, outputs: dict[str, gs.Tensor], metadata: dict[str, str] | None = None
    ) -> onnx.ModelProto:
        """The model with some of the emitted tensors as outputs, and the target's choices."""
        return merge(self.emitter, outputs, *self._inputs(), metadata)

    def serialized(self, outputs: dict[str, gs.Tensor]) -> bytes:
        """The same as bytes, without a copy: concatenated protobuf messages are merged ones."""
        added = addition(self.emitter, outputs, *self._inputs())
        return self.emitter.network.serialized + added.SerializeToString()

    def _inputs(self) -> tuple[list[gs.Variable], dict[str, np.ndarray]]:
        choices = self.explained.choices
        defaults = {choice.variable.name: choice.default for choice in choices}
        return [choice.variable for choice in choices], defaults


@dataclass(frozen=True)
class Composition(Addition):
    """An explanation emitted behind a network.

    `raw` is the method's map (N, K, *size); `straight_through` says that rounding lies between
    layer and score, which counts as the identity there.
    """

    scene: Scene
    raw: gs.Tensor
    straight_through: bool

    @property
    def layers(self) -> tuple[TargetLayer, ...]:
        return self.scene.layers


def compose(network: Network, method: Baked, layer: LayerSpec, target: Target) -> Composition:
    """Emit the explanation of a settled target by a method at one layer or several.

    Raises the errors of the target, of `resolve_layers` and of `differentiate`, and `ModelError`
    when the target does not depend on a layer.
    """
    layers = method.layers(network, layer)
    e = Emitter(network)
    explained = target.emit(e)
    scene = Scene(e, explained, layers)
    raw = over_layers(method, scene)
    rounded = is_straight_through(network, [one.name for one in layers], explained.seeds)
    return Composition(e, explained, scene, raw, rounded and "gradient" in method.needs)


def rewrite(
    model: ModelSource,
    method: str | Method = "gradcam",
    layer: LayerSpec = None,
    top: int = 1,
    profile: str = "cpu",
    score: str = "logit",
) -> onnx.ModelProto:
    """The model with its explanation inside, still an ordinary ONNX model.

    Original inputs and outputs keep names, order, types, shapes and values. Added are the outputs
    `cam`, float32 (N, K, h, w), the method's raw map at the layer's resolution, and `cam_target`,
    int64 (N, K), the classes explained; and an input `cam_class`, int64 (N, K) or (1, K), that
    may be left out: then the K = `top` best classes are explained (an entry of -1 does the same
    for one of them). `metadata_props` records version, method, layer, score, top, profile, and
    whether the gradient is exact or, through a quantised model's rounding, straight-through.

    `layer` is a tensor, node or framework scope name, an index into `find_layers`, a list of
    those, or None for the automatic choice. Of a model over 2 GB the weights stay in their files,
    and the result refers to them (`save_model` writes it). Raises subclasses of `OnnxCamError`.
    """
    if profile not in PROFILES:
        raise ModelError(f"no profile '{profile}'; there is {', '.join(PROFILES)}")
    chosen = find_method(method)
    if not isinstance(chosen, Baked):
        raise MethodError(
            f"method '{chosen.name}' runs the model many times, so it cannot live in the file; "
            f"onnxcam methods lists those that bake"
        )
    made = compose(Network(model), chosen, layer, Classes.best(top, score))
    rewritten = made.model(
        {"cam": made.raw, "cam_target": made.explained.index},
        {
            "onnxcam.version": __version__,
            "onnxcam.method": chosen.name,
            "onnxcam.layer": ", ".join(one.name for one in made.layers),
            "onnxcam.score": score,
            "onnxcam.top": str(top),
            "onnxcam.profile": profile,
            "onnxcam.gradient": "straight-through" if made.straight_through else "exact",
        },
    )
    return completed(rewritten)

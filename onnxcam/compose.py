"""From a model to a model that explains itself: score, gradient and method in one graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.autodiff import is_straight_through
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.folding import folded
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.merge import addition, merge
from onnxcam.graph.network import Network
from onnxcam.methods import Baked
from onnxcam.methods.aggregate import over_layers
from onnxcam.methods.scene import Scene
from onnxcam.targets import Explained, Target


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

    def asking_model(
        self, outputs: dict[str, gs.Tensor], metadata: dict[str, str] | None = None
    ) -> onnx.ModelProto:
        """The same with the target's choices as inputs that must be given."""
        return merge(self.emitter, outputs, self._inputs()[0], {}, metadata)

    def settled_model(
        self, outputs: dict[str, gs.Tensor], metadata: dict[str, str] | None = None
    ) -> onnx.ModelProto:
        """The same without inputs of its own: what is chosen is the choices' default, and what
        follows from that is computed; of the nodes emitted only the others are left."""
        choices = [(choice.variable, choice.default) for choice in self.explained.choices]
        outputs = folded(self.emitter, choices, outputs)
        return merge(self.emitter, outputs, [], {}, metadata)

    def serialized(self, outputs: dict[str, gs.Tensor]) -> bytes:
        """The same as bytes, without a copy: concatenated protobuf messages are merged ones."""
        added = addition(self.emitter, outputs, *self._inputs())
        return self.emitter.network.followed_by(added.SerializeToString())

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


def compose(
    network: Network,
    method: Baked,
    layer: LayerSpec,
    target: Target,
    fuse: str = "mean",
    smooth: str | None = None,
) -> Composition:
    """Emit the explanation of a settled target by a method at one layer or several.

    `fuse` and `smooth` are as for `over_layers`. Raises the errors of the target, of
    `resolve_layers`, `differentiate` and `over_layers`, and `ModelError` when the target does not
    depend on a layer.
    """
    layers = method.layers(network, layer)
    e = Emitter(network)
    explained = target.emit(e)
    scene = Scene(e, explained, layers)
    raw = over_layers(method, scene, fuse, smooth)
    rounded = is_straight_through(e, [one.name for one in layers], explained.seeds)
    return Composition(e, explained, scene, raw, rounded and "gradient" in method.needs)

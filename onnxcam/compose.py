"""From a model to a model that explains itself: score, gradient and method in one graph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxcam.autodiff import differentiate, is_straight_through
from onnxcam.autodiff.rules.quantization import dequantized
from onnxcam.errors import ModelError
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.external import completed
from onnxcam.graph.features import FeatureMap
from onnxcam.graph.head import Head, find_head
from onnxcam.graph.layers import LayerSpec, TargetLayer, resolve_layer
from onnxcam.graph.load import ModelSource
from onnxcam.graph.merge import addition, merge
from onnxcam.graph.network import Network, is_float
from onnxcam.graph.quantized import quantization_of
from onnxcam.methods import find_method
from onnxcam.targets import ClassTargets, emit_class_targets
from onnxcam.version import __version__

PROFILES = ("cpu",)


@dataclass(frozen=True)
class Composition:
    """An explanation emitted behind a network, not merged yet.

    `gradient` is the cotangent of the layer's tensor, `raw` the method's map (N, K, *size);
    `straight_through` says that rounding lies between layer and score, which counts as the
    identity there.
    """

    emitter: Emitter
    head: Head
    layer: TargetLayer
    targets: ClassTargets
    gradient: gs.Tensor
    raw: gs.Tensor
    straight_through: bool

    def model(
        self, outputs: dict[str, gs.Tensor], metadata: dict[str, str] | None = None
    ) -> onnx.ModelProto:
        """The model with some of the emitted tensors as outputs, and the input `cam_class`."""
        request = self.targets.request
        return merge(
            self.emitter, outputs, [request], {request.name: self.targets.default}, metadata
        )

    def serialized(self, outputs: dict[str, gs.Tensor]) -> bytes:
        """The same as bytes, without a copy: concatenated protobuf messages are merged ones."""
        request = self.targets.request
        added = addition(self.emitter, outputs, [request], {request.name: self.targets.default})
        return self.emitter.network.serialized + added.SerializeToString()


def compose(network: Network, method: str, layer: LayerSpec, top: int, score: str) -> Composition:
    """Emit the explanation of `top` classes by a method at a layer.

    Raises the errors of `find_method`, `find_head`, `resolve_layer`, `emit_class_targets` and
    `differentiate`, and `ModelError` when the score does not depend on the layer.
    """
    chosen = find_method(method)
    head = find_head(network)
    target = resolve_layer(network, layer)
    e = Emitter(network)
    targets = emit_class_targets(e, head, top, score)
    found = differentiate(e, targets.seeds, [target.name])
    if target.name not in found:
        raise ModelError(
            f"the class scores do not depend on layer '{target.name}' (disconnected); "
            f"onnxcam layers lists those that they depend on"
        )
    features, gradient = in_real_numbers(e, target.features, found[target.name])
    raw = chosen.emit(e, features, gradient)
    rounded = is_straight_through(network, [target.name], targets.seeds)
    return Composition(e, head, target, targets, gradient, raw, rounded)


def in_real_numbers(
    e: Emitter, features: FeatureMap, cotangent: gs.Tensor
) -> tuple[FeatureMap, gs.Tensor]:
    """Activations and their cotangent in float32; those of a quantised layer are dequantised."""
    quantization = quantization_of(features.tensor)
    if is_float(features.tensor) or quantization is None:
        return features, cotangent
    scale, zero_point = quantization
    real = dequantized(e, features.tensor, scale, zero_point)
    return replace(features, tensor=real), e.div(cotangent, e.cast(scale, np.float32))


def rewrite(
    model: ModelSource,
    method: str = "gradcam",
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

    `layer` is a tensor, node or framework scope name, an index into `find_layers`, or None for
    the automatic choice. Of a model over 2 GB the weights stay in their files, and the result
    refers to them (`save_model` writes it). Raises subclasses of `OnnxCamError`.
    """
    if profile not in PROFILES:
        raise ModelError(f"no profile '{profile}'; there is {', '.join(PROFILES)}")
    made = compose(Network(model), method, layer, top, score)
    rewritten = made.model(
        {"cam": made.raw, "cam_target": made.targets.index},
        {
            "onnxcam.version": __version__,
            "onnxcam.method": method,
            "onnxcam.layer": made.layer.name,
            "onnxcam.score": score,
            "onnxcam.top": str(top),
            "onnxcam.profile": profile,
            "onnxcam.gradient": "straight-through" if made.straight_through else "exact",
        },
    )
    return completed(rewritten)

"""What methods over a transformer's attentions share: no target layer, and a row of tokens."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import LayerError
from onnxcam.graph.attentions import Attentions, find_attentions
from onnxcam.graph.emitter import Emitter
from onnxcam.graph.layers import LayerSpec, TargetLayer
from onnxcam.graph.network import Network
from onnxcam.graph.stated_grid import OnGrid
from onnxcam.methods.base import Baked
from onnxcam.methods.scene import Scene


class OverAttentions(Baked):
    """A method that follows all attentions between picture and score; they are its layers."""

    joins_layers = True

    def layers(self, network: Network, spec: LayerSpec) -> tuple[TargetLayer, ...]:
        spec, grid = (spec.layer, spec.grid) if isinstance(spec, OnGrid) else (spec, None)
        if spec is not None:
            raise LayerError(
                f"method '{self.name}' follows every attention of the model and takes no layer; "
                f"leave it out"
            )
        found = find_attentions(network, grid)
        return tuple(
            TargetLayer(-1, one.tensor.name, one.node.op, _scope(network, one.tensor), False, map_)
            for one, map_ in ((one, found.features(one)) for one in found.all)
        )


def _scope(network: Network, tensor: gs.Tensor) -> str:
    scopes = network.scopes.get(tensor.name, ())
    return scopes[-1] if scopes else ""


def attentions_of(scene: Scene) -> Attentions:
    """The attentions that a scene is looked at through."""
    return find_attentions(scene.network, scene.layers[0].features.grid)


def reading_row(e: Emitter, found: Attentions) -> gs.Tensor:
    """How much of each token the head reads: (1, tokens), of sum 1."""
    row = np.zeros((1, found.tokens.length))
    row[0, list(found.rows)] = 1 / len(found.rows)
    return e.constant(row, np.float32)


def heads_mean(e: Emitter, values: gs.Tensor) -> gs.Tensor:
    """(..., heads, queries, keys) averaged over the heads."""
    return e.reduce("ReduceMean", values, [-3], keepdims=False)


def on_picture(scene: Scene, found: Attentions, row: gs.Tensor) -> gs.Tensor:
    """Relevance (N, 1, tokens), or (K, N, 1, tokens), of the tokens in the picture: (N, K, *grid).

    What has no K is the same for all targets.
    """
    e, tokens = scene.e, found.tokens
    inner = e.slice(row, -1, tokens.prefix, tokens.length - tokens.suffix)
    if len(inner.shape) == 4:
        inner = e.transpose(e.squeeze(inner, [-2]), (1, 0, 2))
    n, k = inner.shape[:2]
    size = [int(one) for one in tokens.grid]
    shaped = e.op("Reshape", inner, e.ints(0, 0, *size), shape=[n, k, *size])
    if k == scene.count:
        return shaped
    target = e.ints(1, scene.count, *[1] * len(size))
    return e.op("Expand", shaped, target, shape=[n, scene.count, *size])

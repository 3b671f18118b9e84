"""Maps that explain nothing in particular, to hold others against."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.errors import MethodError
from onnxcam.methods.channels import ChannelSum, for_every_target
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


class _StoredWeights(ChannelSum):
    """A sum over channels with weights that depend neither on the picture nor on the target."""

    needs = ("forward only",)
    cost = "1"

    @abstractmethod
    def row(self, channels: int) -> np.ndarray:
        """The weights, (channels,)."""

    def weights(self, scene: Scene) -> gs.Tensor:
        features = scene.features
        rank, channels = len(features.tensor.shape), features.tensor.shape[features.channel]
        if not isinstance(channels, int):
            raise MethodError(
                f"{self.name} needs to know how many channels layer '{scene.layer.name}' has; "
                f"choose another layer"
            )
        shape = [1] * rank
        shape[features.channel] = channels
        return scene.e.constant(self.row(channels).reshape(shape), np.float32)

    def emit(self, scene: Scene) -> gs.Tensor:
        return for_every_target(scene, super().emit(scene))


@register
class Activation(_StoredWeights):
    """The mean of the activations over channels: where the layer is active, whatever for.

    Common practice (OpenVINO XAI's ActivationMap is the same); signed where the layer is.
    """

    name = "activation"
    title = "Activation map"
    formula = "mean of A_k over channels"
    paper = "common practice"

    def row(self, channels: int) -> np.ndarray:
        return np.full(channels, 1 / channels)


@register
@dataclass(frozen=True)
class RandomCAM(_StoredWeights):
    """The activations' sum over channels with random weights, uniform in [-1, 1].

    What a class activation map shows without knowing the class: a method worth its name does
    better. `seed` settles the weights, which are the same for every picture and target, alone or
    in a batch; pytorch-grad-cam draws new ones in each call.
    """

    seed: int = 0

    name = "random"
    title = "Random CAM"
    formula = "sum_k w_k A_k, w_k uniform in [-1, 1]"
    paper = "pytorch-grad-cam, github.com/jacobgil/pytorch-grad-cam"

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise MethodError(f"seed {self.seed!r} of 'random' is not a whole number from 0 on")

    def row(self, channels: int) -> np.ndarray:
        return np.random.default_rng(self.seed).uniform(-1, 1, channels)

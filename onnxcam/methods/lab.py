"""What a method that runs the model many times may ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from onnxcam.graph.features import FeatureMap
from onnxcam.graph.picture import ImageInput


class Lab(Protocol):
    """One picture, its K targets settled by the unchanged run, and ways to run variants of it.

    Variants come as arrays with the variant first, and are run in batches as large as the model
    and the memory allow. All answers are float32.
    """

    @property
    def x(self) -> np.ndarray:
        """The model-ready picture, (1, ...), as the model's input lays it out."""

    @property
    def image(self) -> ImageInput:
        """The input's layout."""

    @property
    def features(self) -> FeatureMap:
        """The target layer's layout: channel and spatial axes, token grid."""

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers, the same in every run."""

    @property
    def activations(self) -> np.ndarray:
        """The target layer's activations for the unchanged picture, (1, ...)."""

    @property
    def score(self) -> np.ndarray:
        """The targets' scalars for the unchanged picture, (K,)."""

    def scores(self, pictures: np.ndarray) -> np.ndarray:
        """The targets' scalars, (n, K), for changed pictures (n, ...)."""

    @property
    def has_probability(self) -> bool:
        """Whether the targets have probabilities."""

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """The targets' probabilities, (n, K); `TargetError` where the target has none."""

    @property
    def skips(self) -> dict[str, tuple[FeatureMap, np.ndarray]]:
        """The feature maps that reach the target around the layer, by name, and what they are for
        the unchanged picture, (1, ...)."""

    def head_scores(
        self, activations: np.ndarray, skips: Mapping[str, np.ndarray] | None = None
    ) -> np.ndarray:
        """The targets' scalars, (n, K), for changed activations of the layer, (n, ...), from which
        only what lies behind is run. All else is as for the unchanged picture, except for `skips`
        (n, ...) by name."""

    @property
    def pools(self) -> bool:
        """Whether nothing of the layer is read behind it but its mean over all places."""

    def scores_of_means(self, means: np.ndarray) -> np.ndarray:
        """The targets' scalars, (n, K), for changed means of the layer's channels, (n, C), where
        `pools` says that they are all that counts."""

    def gradients(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The target layer's activations (n, ...) and the gradient of each target with respect
        to them, (n, K, ...), for changed pictures."""

    def picture_gradients(self, pictures: np.ndarray) -> np.ndarray:
        """The gradient of each target with respect to the picture, (n, K, ...)."""

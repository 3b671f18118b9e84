"""What a method that runs the model many times may ask of it."""

from __future__ import annotations

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

    def probabilities(self, pictures: np.ndarray) -> np.ndarray:
        """The targets' probabilities, (n, K); `TargetError` where the target has none."""

    def gradients(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The target layer's activations (n, ...) and the gradient of each target with respect
        to them, (n, K, ...), for changed pictures."""

    def picture_gradients(self, pictures: np.ndarray) -> np.ndarray:
        """The gradient of each target with respect to the picture, (n, K, ...)."""

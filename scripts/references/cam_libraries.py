"""pytorch-grad-cam and torchcam, made to tell their maps before they are scaled."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from io import StringIO
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from .torchvision_import import torchvision  # noqa: F401  (prepared before others import it)

import pytorch_grad_cam as library  # isort: skip
import torchcam  # isort: skip
from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit  # isort: skip
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # isort: skip

GRAD_CAM = f"pytorch-grad-cam {version('grad-cam')}"
TORCHCAM = f"torchcam {version('torchcam')}"

Axes = str


@dataclass(frozen=True)
class Question:
    """What a library is asked: a network in some precision, pictures, and a class for each."""

    module: nn.Module
    layers: Sequence[str]
    axes: Axes
    x: torch.Tensor
    classes: Sequence[int]

    @classmethod
    def of(
        cls,
        module: nn.Module,
        layers: Sequence[str],
        axes: Axes,
        x: np.ndarray,
        classes: Sequence[int],
        dtype: str,
    ) -> "Question":
        """The question with a copy of the network in the precision `dtype`."""
        kind = getattr(torch, dtype)
        own = copy.deepcopy(module).to(kind)
        return cls(own, layers, axes, torch.from_numpy(x).to(kind), classes[: len(x)])

    @property
    def targets(self) -> list[nn.Module]:
        return [self.module.get_submodule(path) for path in self.layers]

    @property
    def transform(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        return TRANSFORMS[self.axes]

    @cached_property
    def seen(self) -> tuple[Any, Any]:
        """The layer's activations and gradients, as pytorch-grad-cam hands them to a method."""
        extractor = library.GradCAM(self.module, self.targets, self.transform)
        original = extractor.get_cam_image
        with dismissed(extractor), mock.patch.object(extractor, "get_cam_image") as watched:
            watched.side_effect = original
            extractor(self.x, wanted(self))
            return watched.call_args.args[3:5]

    def each(self) -> list["Question"]:
        """A question for every picture."""
        return [
            Question(self.module, self.layers, self.axes, self.x[n : n + 1], [one])
            for n, one in enumerate(self.classes)
        ]


def _from_tokens(tensor: torch.Tensor) -> torch.Tensor:
    side = round((tensor.shape[1] - 1) ** 0.5)
    return tensor[:, 1:].reshape(len(tensor), side, side, -1).permute(0, 3, 1, 2)


TRANSFORMS: dict[Axes, Callable[[torch.Tensor], torch.Tensor] | None] = {
    "NCHW": None,
    "NHWC": lambda tensor: tensor.permute(0, 3, 1, 2),
    "NTC": _from_tokens,
}

Ask = Callable[[Question], np.ndarray]


def raw_of(name: str, eigen_smooth: bool = False) -> Ask:
    """What `get_cam_image` of one of pytorch-grad-cam's classes makes of a backward pass."""

    def ask(question: Question) -> np.ndarray:
        extractor = getattr(library, name)(question.module, question.targets, question.transform)
        layer, targets = question.targets[0], wanted(question)
        with redirect_stderr(StringIO()), thin_decompositions(), dismissed(extractor):
            found = extractor.get_cam_image(
                question.x, layer, targets, *question.seen, eigen_smooth
            )
        return np.asarray(found, np.float32)

    return ask


def run_of(name: str) -> Ask:
    """What `get_cam_image` of a class that needs a run of its own returns."""

    def ask(question: Question) -> np.ndarray:
        extractor = getattr(library, name)(question.module, question.targets, question.transform)
        return _run(extractor, extractor, question, wanted(question))

    return ask


def wanted(question: Question) -> list[ClassifierOutputTarget]:
    """A class for each picture, as pytorch-grad-cam wants it said."""
    return [ClassifierOutputTarget(one) for one in question.classes]


def ablationcam(question: Question) -> np.ndarray:
    """Ablation-CAM, with the layer that suits the axes."""
    return _ablated(question, AblationLayer() if question.axes == "NCHW" else AblationLayerVit())


def ablated_to_zero(question: Question) -> np.ndarray:
    """Ablation-CAM with a layer that does what the paper says, whatever the activations are."""
    return _ablated(question, ToZero(1 if question.axes == "NCHW" else -1))


class ToZero(AblationLayerVit):
    """Sets one channel after the other to zero. `channel` is the axis they lie along."""

    def __init__(self, channel: int) -> None:
        super().__init__()
        self.channel = channel

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        channels_first = self.activations.movedim(self.channel, 1)
        for one, index in zip(channels_first, self.indices, strict=False):
            one[index] = 0
        return self.activations


def _ablated(question: Question, layer: AblationLayer) -> np.ndarray:
    extractor = library.AblationCAM(
        question.module, question.targets, question.transform, ablation_layer=layer
    )
    return _run(extractor, extractor, question, wanted(question))


def finercam(question: Question) -> np.ndarray:
    """Finer-CAM on Grad-CAM, with the comparison classes it finds, picture by picture."""
    found = []
    for one in question.each():
        extractor = library.FinerCAM(one.module, one.targets, one.transform)
        raw = _run(extractor, extractor.base_cam, one, None, target_idx=one.classes[0])
        found.append(raw)
    return np.concatenate(found)


def scaled_of(name: str, **options: bool) -> Ask:
    """The final map of one of pytorch-grad-cam's classes, in [0, 1]."""

    def ask(question: Question) -> np.ndarray:
        extractor = getattr(library, name)(question.module, question.targets, question.transform)
        with redirect_stderr(StringIO()):
            found = extractor(question.x, wanted(question), **options)
        return np.asarray(found, np.float32)

    return ask


def _run(
    asked: Any, told: Any, question: Question, targets: list[Any] | None, **options: Any
) -> np.ndarray:
    """Run an extractor, and return what the one that makes its maps returned for them."""
    seen: list[np.ndarray] = []
    original = told.get_cam_image

    def watching(*arguments: Any, **named: Any) -> Any:
        seen.append(original(*arguments, **named))
        return seen[-1]

    told.get_cam_image = watching
    with redirect_stderr(StringIO()), thin_decompositions(), dismissed(told):
        asked(question.x.clone(), targets, **options)
    values = seen[0]
    if isinstance(values, torch.Tensor):
        values = values.detach().numpy()
    return np.asarray(values, np.float32)


@contextmanager
def dismissed(extractor: Any) -> Iterator[Any]:
    """An extractor whose hooks are gone afterwards.

    Left alone, pytorch-grad-cam's go when Python collects them, and detach tensors in place that
    the next backward pass may need.
    """
    try:
        yield extractor
    finally:
        kept = extractor.activations_and_grads
        kept.activations, kept.gradients = [], []
        extractor.activations_and_grads.release()


@contextmanager
def thin_decompositions() -> Iterator[None]:
    """Spare NumPy the singular vectors that pytorch-grad-cam asks for and never looks at."""
    decompose = np.linalg.svd

    def thin(matrix: np.ndarray, full_matrices: bool = True) -> Any:
        return decompose(matrix, full_matrices=False)

    with mock.patch.object(np.linalg, "svd", thin):
        yield


class Silence:
    """In place of torchcam's distribution of noise."""

    def sample(self, size: Sequence[int]) -> torch.Tensor:
        return torch.zeros(tuple(size))


def torchcam_raw(name: str, **parameters: Any) -> Ask:
    """What one of torchcam's classes returns unscaled, noise left out, picture by picture."""
    kind = getattr(torchcam.methods, name)

    def ask(question: Question) -> np.ndarray:
        found = []
        for one in question.each():
            path, transform = one.layers[0], one.transform
            with kind(one.module, path, reshape_transform=transform, **parameters) as extractor:
                extractor._distrib = Silence()
                maps = extractor(one.classes[0], one.module(one.x), normalized=False)
            found.append(maps[0].detach().numpy())
        return np.concatenate(found).astype(np.float32)

    return ask

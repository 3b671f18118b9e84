"""Maps that are the first principal component of activations, weighted or not."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxcam.methods.base import Baked
from onnxcam.methods.channels import gradient_at_places, places
from onnxcam.methods.projection.components import (
    along,
    as_maps,
    by_channel,
    centred,
    first_component,
    highest_up,
    weighted_scores,
)
from onnxcam.methods.projection.singular import first_scores
from onnxcam.methods.registry import register
from onnxcam.methods.scene import Scene


@register
class EigenCAM(Baked):
    """The activations' first principal component: what varies most over the picture.

    Which class is explained does not matter. The paper takes the first right singular vector of
    the activations as they are; pytorch-grad-cam and this subtract the mean over positions first.
    Of the two signs, which the decomposition leaves open (in pytorch-grad-cam it is LAPACK's),
    it gets the one with which it varies with sum_k |A_k|: high where the layer is active.
    """

    name = "eigencam"
    title = "Eigen-CAM"
    formula = "(A - mean of A over positions) v_1, its first right singular vector"
    paper = "Muhammad & Yeasin 2020, arXiv:2008.00299"
    needs = ("forward only",)
    cost = "1"

    def emit(self, scene: Scene) -> gs.Tensor:
        e, features = scene.e, scene.features
        points = by_channel(e, features, places(scene))
        active = e.reduce("ReduceSum", e.unary("Abs", points), [-2])
        scores = along(e, first_scores(e, centred(e, points)), active)
        return as_maps(scene, scores)


@register
class EigenGradCAM(Baked):
    """Eigen-CAM of activations times gradient: with classes told apart.

    From pytorch-grad-cam, which cites no paper for it and leaves the sign open. Here it is the one
    with which the map varies with sum_k g_k A_k, HiResCAM's map: high where the score is raised.
    """

    name = "eigengradcam"
    title = "Eigen-Grad-CAM"
    formula = "(g A - mean of g A over positions) v_1, its first right singular vector"
    paper = "pytorch-grad-cam, github.com/jacobgil/pytorch-grad-cam"
    needs = ("gradient",)
    cost = "1"

    def emit(self, scene: Scene) -> gs.Tensor:
        return first_component(scene, gradient_at_places(scene))


@register
class SegEigenCAM(Baked):
    """Eigen-CAM of activations times absolute gradient, for dense outputs.

    As in the paper and pytorch-grad-cam, the map is turned over where its lowest value is larger
    than its highest, in absolute terms. Where the two are close, rounding decides.
    """

    name = "segeigencam"
    title = "Seg-Eigen-CAM"
    formula = "(|g| A - mean of |g| A over positions) v_1, its largest absolute value positive"
    paper = "Chung & Ying 2025, doi:10.3390/app15137562"
    needs = ("gradient",)
    cost = "1"

    def emit(self, scene: Scene) -> gs.Tensor:
        scores, _ = weighted_scores(scene, scene.e.unary("Abs", gradient_at_places(scene)))
        return as_maps(scene, highest_up(scene.e, scores))

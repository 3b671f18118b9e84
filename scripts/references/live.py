"""Derive a network in its framework, export it, and hold onnxcam against it on the spot."""

import onnxcam

from .derivation import Source, derive, distance
from .locate import locate
from .record import export

TOLERANCE = 1e-4


def compare(name: str, source: Source) -> None:
    """Assert that onnxcam's raw Grad-CAM is the framework's, at every layer."""
    derivation = derive(source)
    x = derivation.x
    model = export(source)
    for path, tensor in locate(model, x, derivation.activations).items():
        explainer = onnxcam.Explainer(model, method="gradcam", layer=tensor)
        answer = explainer.run(x, target=derivation.classes)
        away = distance(answer["raw"][:, 0], derivation.maps[path])
        assert away < TOLERANCE, f"{name} at {path} ({tensor}): {away:.1e}"
        output = answer[model.graph.output[0].name]
        assert distance(output, derivation.output) < TOLERANCE

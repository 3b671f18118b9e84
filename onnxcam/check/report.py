"""What `check` finds, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from onnxcam.autodiff.walk import find_path, missing_derivatives
from onnxcam.cards import LabelSpec, PreprocessSpec
from onnxcam.check.measure import Measured, measure
from onnxcam.check.subject import Subject, subject_of
from onnxcam.compose import compose
from onnxcam.errors import OnnxCamError, UnsupportedOperatorError
from onnxcam.graph.layers import rank_layers
from onnxcam.graph.load import ModelSource
from onnxcam.methods.gradient.gradcam import GradCAM
from onnxcam.providers import Providers
from onnxcam.targets import Classes

STEADIER = 3.0
"""A disagreement counts where the differences themselves are steadier by this factor."""

LEAST_AGREEMENT = 0.9
"""Cosine with the dequantised model's gradient below which a quantised one is not vouched for."""


@dataclass(frozen=True)
class Report:
    """What `check` found.

    `head` and `classes` are "none" and 0 where the model gives no class scores; then `score` is
    an output, randomly weighted. `operators` counts those between `layer` and `score`, `missing`
    those of them without a derivative. `errors` are relative differences, one a direction, and
    `roughness` how far the differences of neighbouring step sizes lie apart, which is what they
    can be trusted to; they were taken in `precision` and may be as large as `tolerance`.
    `agreement` is the cosine with the dequantised model's gradient, None for a float model.
    `provider` computed the gradient, by ONNX Runtime's name; None where there is none.
    """

    opset: int
    input: str
    head: str
    classes: int
    score: str
    layer: str
    operators: dict[str, int]
    missing: dict[str, int]
    errors: tuple[float, ...]
    roughness: tuple[float, ...]
    precision: str | None
    tolerance: float | None
    agreement: float | None
    provider: str | None
    verdict: str
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(
    model: ModelSource,
    layer: str | int | None = None,
    preprocess: PreprocessSpec = None,
    labels: LabelSpec = None,
    providers: Providers = None,
) -> Report:
    """Differentiate a model's score at a layer and compare with finite differences.

    The model runs on `providers`, as for `Explainer`; one that does not start is an
    `ExecutionError`.
    A model that cannot be differentiated gets a report that says so; one that cannot be read or
    run raises an `OnnxCamError`.
    """
    subject = subject_of(model, layer, preprocess, labels)
    path = find_path(subject.network.graph.nodes, [subject.start.name], [subject.score.name])
    measured: Measured | None = None
    try:
        measured = measure(subject, providers)
        passed, verdict = _verdict(measured)
    except UnsupportedOperatorError as error:
        passed, verdict = False, f"{error}{_instead(subject)}"
    head = subject.head
    return Report(
        opset=subject.network.opset,
        input=subject.input,
        head=head.kind if head else "none",
        classes=head.classes if head else 0,
        score=subject.score.name,
        layer=subject.start.name,
        operators=dict(Counter(node.op for node in path.nodes)),
        missing=dict(Counter(node.op for node in missing_derivatives(path))),
        errors=tuple(each.error for each in measured.directions) if measured else (),
        roughness=tuple(each.roughness for each in measured.directions) if measured else (),
        precision=measured.precision if measured else None,
        tolerance=measured.tolerance if measured else None,
        agreement=measured.agreement if measured else None,
        provider=measured.provider if measured else None,
        verdict=verdict,
        passed=passed,
    )


def _verdict(measured: Measured) -> tuple[bool, str]:
    worst = max(each.error for each in measured.directions)
    wrong = [
        each.error
        for each in measured.directions
        if not each.error <= max(measured.tolerance, STEADIER * each.roughness)
    ]
    if wrong:
        return False, (
            f"differentiates, but disagrees with {measured.precision} finite differences by "
            f"{max(wrong):.1e}; do not trust its maps"
        )
    if worst > measured.tolerance:
        said = (
            f"differentiates; {measured.precision} differences confirm it only within "
            f"{worst:.1e}, they are that rough themselves here"
        )
    else:
        said = f"differentiates; agrees with {measured.precision} differences within {worst:.1e}"
    if measured.agreement is None:
        return True, said
    angle = f"its straight-through gradient has cosine {measured.agreement:.3f} with that"
    if measured.agreement < LEAST_AGREEMENT:
        return False, f"dequantised, it {said}; but {angle}: quantisation distorts it"
    return True, f"dequantised, it {said}; {angle}"


def _instead(subject: Subject) -> str:
    """The best layer that does work, in words."""
    try:
        ranked = rank_layers(subject.network)
    except OnnxCamError:
        return ""
    for layer in ranked:
        try:
            compose(subject.network, GradCAM(), layer.name, Classes())
        except OnnxCamError:
            continue
        return f"; --layer '{layer.name}' works"
    return ""

"""`onnxcam check`."""

from __future__ import annotations

import json
import sys

import click

from onnxcam.cli.options import (
    JSON,
    LAYER,
    MODEL,
    PREPROCESS,
    PROVIDER,
    PROVIDER_OPTIONS,
    provider_specs,
)


@click.command()
@MODEL
@LAYER
@PREPROCESS
@PROVIDER
@PROVIDER_OPTIONS
@JSON
def check(
    model: str,
    layer: str | None,
    preprocess: str | None,
    providers: tuple[str, ...],
    provider_options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Does the model differentiate, and is its gradient right? Exit status 0 when both hold.

    The gradient of the score at the layer is compared with finite differences, in float64 where
    that is possible. A model without classes is checked with a random weighting of its output.

    Example: onnxcam check models/efficientnet_lite0.onnx
    """
    from onnxcam.check import check as run_check

    given = provider_specs(providers, provider_options)
    report = run_check(model, layer, preprocess, providers=given)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        met = ", ".join(f"{op} x{count}" for op, count in sorted(report.operators.items()))
        rows = [
            ("opset", str(report.opset)),
            ("input", report.input),
            ("classes", f"{report.classes} ({report.head})"),
            ("score", report.score),
            ("layer", report.layer),
            ("path", met or "empty"),
            ("without one", ", ".join(report.missing) or "none"),
            ("provider", report.provider or "none"),
            ("difference", ", ".join(f"{error:.1e}" for error in report.errors) or "not measured"),
            ("verdict", report.verdict),
        ]
        for name, value in rows:
            click.echo(f"{name:<15} {value}")
    if not report.passed:
        sys.exit(1)

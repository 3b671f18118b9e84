"""`onnxcam rewrite`."""

from __future__ import annotations

import click

import onnxcam
from onnxcam.cli.options import (
    FUSE,
    GRID,
    LABELS,
    LAYERS,
    MODEL,
    PARAMETERS,
    PREPROCESS,
    layer_spec,
)
from onnxcam.methods.registry import read_parameters
from onnxcam.methods.smoothing import EIGEN
from onnxcam.presenting import FORMS, RESOLUTIONS
from onnxcam.profiles import PROFILES
from onnxcam.rewriting import CHOICES


@click.command()
@MODEL
@click.option("-o", "--output", required=True, type=click.Path(), help="The new model.")
@click.option("--method", default="gradcam", show_default=True, help="See `methods`.")
@PARAMETERS
@LAYERS
@FUSE
@click.option("--smooth", type=click.Choice([EIGEN]), help="Smoother maps, as for `explain`.")
@GRID
@click.option("--top", default=1, show_default=True, help="Explain K classes in each run.")
@click.option("--target", metavar="SPEC", help="What to explain by default, as for `explain`.")
@PREPROCESS
@LABELS
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="cpu",
    show_default=True,
    help="Which runtimes it is for; portable: all of them.",
)
@click.option(
    "--form",
    type=click.Choice(FORMS),
    default="raw",
    show_default=True,
    help="What `cam` holds; overlay adds the picture `cam_overlay`.",
)
@click.option(
    "--resolution",
    type=click.Choice(RESOLUTIONS),
    default="layer",
    show_default=True,
    help="Whose size `cam` has.",
)
@click.option(
    "--choice",
    type=click.Choice(CHOICES),
    help="Whether the class is an input that may be left out, one that may not, or settled in the "
    "file.  [default: run-time; of the profile portable: required]",
)
def rewrite(
    model: str,
    output: str,
    method: str,
    parameters: tuple[str, ...],
    layers: tuple[str, ...],
    fuse: str,
    smooth: str | None,
    grid: tuple[int, ...] | None,
    top: int,
    target: str | None,
    preprocess: str | None,
    labels: str | None,
    profile: str,
    form: str,
    resolution: str,
    choice: str | None,
) -> None:
    """Write a model that explains itself: outputs `cam` and `cam_target` beside its own.

    Example: onnxcam rewrite models/efficientnet_lite0.onnx -o explained.onnx
    """
    made = onnxcam.rewrite(
        model,
        method,
        layer_spec(layers),
        top,
        profile,
        target=target,
        preprocess=preprocess,
        labels=labels,
        grid=grid,
        fuse=fuse,
        smooth=smooth,
        form=form,
        resolution=resolution,
        choice=choice,
        **read_parameters(parameters),
    )
    _, *beside = onnxcam.save_model(made, output)
    inside = {entry.key: entry.value for entry in made.metadata_props}
    weights = f", its weights in {', '.join(map(str, beside))}" if beside else ""
    what = f"target {inside['onnxcam.target']}" if target else f"top {top}"
    click.echo(f"{output}: {method} at '{inside['onnxcam.layer']}', {what}{weights}")

"""`onnxcam explain`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

import onnxcam
from onnxcam.cli.drawing import drawing_options, drawn
from onnxcam.cli.job import Job, Saved, each, saved
from onnxcam.cli.options import (
    FUSE,
    GRID,
    JSON,
    LABELS,
    LAYERS,
    MODEL,
    PARAMETERS,
    PREPROCESS,
    PROVIDER,
    PROVIDER_OPTIONS,
    layer_spec,
    provider_specs,
)
from onnxcam.files import FORMATS, KINDS, Saver
from onnxcam.files import GRID as SIDE_BY_SIDE
from onnxcam.images import pictures_in
from onnxcam.methods.registry import parameters_of, read_parameters
from onnxcam.methods.smoothing import SMOOTHINGS
from onnxcam.recipes import DEFAULT, find_recipe


@click.command()
@MODEL
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", default="explanations", show_default=True, help="Folder.")
@click.option(
    "--recipe",
    default=DEFAULT.name,
    show_default=True,
    help="A published way of making heatmaps (see `recipes`); other options go before it.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="See `methods`. May be repeated.  [default: gradcam]",
)
@PARAMETERS
@LAYERS
@FUSE
@click.option(
    "--smooth",
    type=click.Choice(SMOOTHINGS),
    help="Smoother maps: the mean over six changed pictures, or the first component of what is "
    "summed over channels.",
)
@GRID
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="SPEC",
    help="What to explain instead of the best class: a class number or label, 285-281 (one class "
    "against another), all, present, value, region, ... (see docs/using.md). May be repeated.",
)
@click.option("--top", type=int, help="Explain the K best classes.  [default: 1]")
@click.option(
    "--score",
    type=click.Choice(onnxcam.targets.SCORES),
    help="What is differentiated.  [default: logit]",
)
@PREPROCESS
@LABELS
@PROVIDER
@PROVIDER_OPTIONS
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    help="Pictures that are run together where the model leaves that open.  [default: as many as "
    "is fastest]",
)
@drawing_options
@click.option(
    "--save",
    default="overlay,heatmap",
    show_default=True,
    help=f"What to write: {', '.join(KINDS)}; comma-separated.",
)
@click.option(
    "--format",
    "picture",
    default=FORMATS[0],
    show_default=True,
    help=f"What overlays are written as: {', '.join(FORMATS)}; jpg is by far the fastest.",
)
@JSON
def explain(
    model: str,
    images: tuple[str, ...],
    output: str,
    recipe: str,
    methods: tuple[str, ...],
    parameters: tuple[str, ...],
    layers: tuple[str, ...],
    fuse: str,
    smooth: str | None,
    grid: tuple[int, ...] | None,
    targets: tuple[str, ...],
    top: int | None,
    score: str | None,
    preprocess: str | None,
    labels: str | None,
    providers: tuple[str, ...],
    provider_options: tuple[str, ...],
    batch: int | None,
    save: str,
    picture: str,
    as_json: bool,
    style: str | None,
    **drawing: Any,
) -> None:
    """Explain pictures, volumes or signals: what did the model look at?

    Example: onnxcam explain models/efficientnet_lite0.onnx models/images/chelsea.png --top 3
    """
    chosen = find_recipe(recipe)
    side_by_side, drawing["style"] = _split(style)
    saver = Saver(Path(output), [kind.strip() for kind in save.split(",")], picture)
    options: dict[str, Any] = {
        **chosen.options,
        **drawn(chosen.options, drawing),
        "layer": layer_spec(layers),
        "preprocess": preprocess,
        "labels": labels,
        "providers": provider_specs(providers, provider_options),
        "grid": grid,
        "fuse": fuse,
        "smooth": smooth,
    }
    if score is not None:
        options["score"] = score
    usual = options.pop("method", "gradcam")
    given = parameters_of(methods or (usual,), read_parameters(parameters))
    explainers = [
        onnxcam.Explainer(model, method, **options, **own) for method, own in given.items()
    ]
    for assumption in explainers[0].card.assumed:
        click.echo(f"assumed: {assumption}", err=True)
    if not targets and top is None:
        targets, top = ((chosen.target,) if chosen.target else ()), chosen.top
    if explainers[0].image.is_picture:  # of a model of volumes a folder is a DICOM series
        images = tuple(path for image in images for path in _pictures(image))
    job = Job(explainers, targets, 1 if top is None else top, batch)
    if side_by_side:
        done = saved(job.explained_together(images), saver.named_grid)
    else:
        done = saved(job.explained(images), each(saver))
    count = len(images) * (1 if side_by_side else job.questions)
    written: list[dict[str, Any]] = []
    failed = 0
    with closing(done):
        for one in _progress(done, count, explainers):
            written += one.entries
            for entry, explanation in zip(one.entries, one.explanations, strict=True):
                _announce(entry, explanation.target, as_json)
            if one.error is not None:
                failed += 1
                click.echo(f"error: {one.error}", err=True)
    if as_json:
        _echo(json.dumps(written, indent=2, ensure_ascii=False))
    if failed:
        sys.exit(1)


def _pictures(image: str) -> list[str]:
    """Those of a folder; one without any stays, to be reported like a broken picture."""
    return (os.path.isdir(image) and pictures_in(image)) or [image]


def _split(style: str | None) -> tuple[bool, str | None]:
    """Whether all maps of a picture go into one, and the style of each."""
    if style is None:
        return False, None
    name, _, inner = style.partition(":")
    return (True, inner or None) if name == SIDE_BY_SIDE else (False, style)


def _announce(entry: Mapping[str, Any], target: onnxcam.Target, as_json: bool) -> None:
    for warning in entry["warnings"]:
        click.echo(f"warning: {entry['image']}: {warning}", err=True)
    if not as_json:
        files = ", ".join(entry[kind] for kind in KINDS if entry.get(kind))
        number = f"{target.index} " if target.label is None else ""
        _echo(f"{entry['image']}: {number}{target} -> {files}")


def _echo(text: str) -> None:
    r"""Print what may hold a file's name: bytes in it that are no UTF-8 come out as \udcxx."""
    click.echo(text.encode("utf-8", "backslashreplace").decode())


def _progress(
    done: Iterable[Saved], count: int, explainers: Sequence[onnxcam.Explainer]
) -> Iterable[Saved]:
    """A progress bar on stderr where it may take long and there is somebody to see it."""
    slow = [one.method.name for one in explainers if not one.method.bakes]
    if not sys.stderr.isatty() or (count == 1 and not slow):
        return done
    from rich.console import Console  # slow to import, and a single picture needs none of it
    from rich.progress import track

    said = f"explaining ({', '.join(slow)}: many runs each)" if slow else "explaining"
    return track(done, said, total=count, console=Console(stderr=True))

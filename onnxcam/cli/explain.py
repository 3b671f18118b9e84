"""`onnxcam explain`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

import onnxcam
from onnxcam.cli.drawing import drawing_options, drawn
from onnxcam.cli.options import (
    FUSE,
    GRID,
    JSON,
    LABELS,
    LAYERS,
    MODEL,
    PARAMETERS,
    PREPROCESS,
    layer_spec,
)
from onnxcam.explanation import Explanation
from onnxcam.files import GRID as SIDE_BY_SIDE
from onnxcam.files import KINDS, Saver
from onnxcam.methods.registry import parameters_of, read_parameters
from onnxcam.methods.smoothing import SMOOTHINGS
from onnxcam.recipes import DEFAULT, find_recipe
from onnxcam.targets.classes import together

_OF_ONE_PICTURE = (
    onnxcam.ImageError,
    onnxcam.VolumeError,
    onnxcam.PreprocessError,
    onnxcam.ExecutionError,
    onnxcam.AbsentError,
)
"""What another picture may not meet."""


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
@click.option("--provider", multiple=True, help="ONNX Runtime provider, e.g. cpu or cuda.")
@drawing_options
@click.option(
    "--save",
    default="overlay,heatmap",
    show_default=True,
    help=f"What to write: {', '.join(KINDS)}; comma-separated.",
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
    provider: tuple[str, ...],
    save: str,
    as_json: bool,
    style: str | None,
    **drawing: Any,
) -> None:
    """Explain pictures, volumes or signals: what did the model look at?

    Example: onnxcam explain models/efficientnet_lite0.onnx models/images/chelsea.png --top 3
    """
    chosen = find_recipe(recipe)
    side_by_side, drawing["style"] = _split(style)
    saver = Saver(Path(output), [kind.strip() for kind in save.split(",")])
    options: dict[str, Any] = {
        **chosen.options,
        **drawn(chosen.options, drawing),
        "layer": layer_spec(layers),
        "preprocess": preprocess,
        "labels": labels,
        "providers": provider or None,
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
    job = _Job(explainers, targets, 1 if top is None else top)
    written: list[dict[str, Any]] = []
    failed = 0
    for image in _progress(images, explainers):
        try:
            for part in job.explained(image, together=side_by_side):
                entries = saver.save_grid(part) if side_by_side else [saver.save(part[0])]
                written += entries
                for entry, one in zip(entries, part, strict=True):
                    _announce(entry, one.target, as_json)
        except _OF_ONE_PICTURE as error:
            failed += 1
            click.echo(f"error: {error}", err=True)
    if as_json:
        _echo(json.dumps(written, indent=2, ensure_ascii=False))
    if failed:
        sys.exit(1)


class _Job:
    """All that is asked of every picture."""

    def __init__(
        self, explainers: Sequence[onnxcam.Explainer], targets: Sequence[str], top: int
    ) -> None:
        wanted = together([explainers[0].wanted(spec) for spec in targets])
        self._asked: list[tuple[onnxcam.Explainer, Any]] = [
            (explainer, target) for explainer in explainers for target in wanted or (None,)
        ]
        self._top = top

    def explained(self, image: str, together: bool) -> Iterator[list[Explanation]]:
        """Its explanations one by one, or all of them together."""
        found = (one for pair in self._asked for one in self._each(image, *pair))
        if together:
            yield list(found)
        else:
            yield from ([one] for one in found)

    def _each(self, image: str, explainer: onnxcam.Explainer, target: Any) -> list[Explanation]:
        found = explainer.explain(image, target, self._top)
        return found if isinstance(found, list) else [found]


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


def _progress(images: tuple[str, ...], explainers: Sequence[onnxcam.Explainer]) -> Iterable[str]:
    """A progress bar on stderr where it may take long and there is somebody to see it."""
    slow = [one.method.name for one in explainers if not one.method.bakes]
    if not sys.stderr.isatty() or (len(images) == 1 and not slow):
        return images
    from rich.console import Console  # slow to import, and a single picture needs none of it
    from rich.progress import track

    said = f"explaining ({', '.join(slow)}: many runs each)" if slow else "explaining"
    return track(images, said, console=Console(stderr=True))

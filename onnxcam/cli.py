"""The command line: argument parsing only."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

import onnxcam
from onnxcam.errors import OnnxCamError
from onnxcam.files import KINDS, Saver
from onnxcam.methods.aggregate import FUSIONS
from onnxcam.methods.registry import read_parameters
from onnxcam.methods.smoothing import EIGEN, SMOOTHINGS
from onnxcam.overlay import DEFAULT_ALPHA, DEFAULT_COLORMAP
from onnxcam.targets.classes import together

MODEL = click.argument("model", type=click.Path())
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
PREPROCESS = click.option(
    "--preprocess", help="Preset (imagenet, caffe, tf, 0-1, raw) or a JSON file."
)
LABELS = click.option("--labels", type=click.Path(), help="Class names: text or JSON file.")
LAYER = click.option(
    "--layer", help="Target layer: tensor, node or scope name, or its rank in `onnxcam layers`."
)


def _as_grid(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """14x14 as (14, 14)."""
    if value is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,5}(x[1-9][0-9]{0,5}){0,2}", value):
        raise click.BadParameter(f"'{value}' is no height and width in tokens, such as 14x14")
    return tuple(int(size) for size in value.split("x"))


GRID = click.option(
    "--grid",
    metavar="HxW",
    callback=_as_grid,
    help="Height and width of the picture in tokens, for a layer (N, T, C) that does not tell.",
)
TARGET = click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="SPEC",
    help="What to explain instead of the best class: a class number or label, 285-281 (one class "
    "against another), all, present, value, region, ... (see docs/using.md). May be repeated.",
)
LAYERS = click.option(
    "--layer",
    "layers",
    multiple=True,
    help="Target layer: tensor, node or scope name, or its rank in `onnxcam layers`. Several "
    "layers, whose maps are put together, by repeating it.",
)
FUSE = click.option(
    "--fuse",
    type=click.Choice(FUSIONS),
    default="mean",
    show_default=True,
    help="How the maps of several layers become one.",
)
METHOD = click.option("--method", default="gradcam", show_default=True, help="See `methods`.")
PARAMETERS = click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the method, such as samples=20 (see `methods`). May be repeated.",
)


class Group(click.Group):
    """Turns every error that onnxcam raises on purpose into one line and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OnnxCamError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(1)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(onnxcam.__version__)
def main() -> None:
    """Explain any exported vision model from its ONNX file alone."""


@main.command()
@MODEL
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", default="explanations", show_default=True, help="Folder.")
@METHOD
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
@TARGET
@click.option("--top", default=1, show_default=True, help="Explain the K best classes.")
@click.option(
    "--score",
    type=click.Choice(onnxcam.targets.SCORES),
    default="logit",
    show_default=True,
    help="What is differentiated.",
)
@PREPROCESS
@LABELS
@click.option("--provider", multiple=True, help="ONNX Runtime provider, e.g. cpu or cuda.")
@click.option("--style", default="blend", show_default=True, help="blend or add.")
@click.option("--colormap", default=DEFAULT_COLORMAP, show_default=True, help="OpenCV's name.")
@click.option("--alpha", default=DEFAULT_ALPHA, show_default=True, help="Weight of the heat.")
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
    method: str,
    parameters: tuple[str, ...],
    layers: tuple[str, ...],
    fuse: str,
    smooth: str | None,
    grid: tuple[int, ...] | None,
    targets: tuple[str, ...],
    top: int,
    score: str,
    preprocess: str | None,
    labels: str | None,
    provider: tuple[str, ...],
    style: str,
    colormap: str,
    alpha: float,
    save: str,
    as_json: bool,
) -> None:
    """Explain pictures: what did the model look at?

    Example: onnxcam explain models/efficientnet_lite0.onnx models/images/chelsea.png --top 3
    """
    kinds = [kind.strip() for kind in save.split(",")]
    saver = Saver(Path(output), kinds, style, colormap, alpha)
    explainer = onnxcam.Explainer(
        model,
        method,
        _spec(layers),
        preprocess,
        labels,
        provider or None,
        score,
        grid,
        fuse,
        smooth,
        **read_parameters(parameters),
    )
    for assumption in explainer.card.assumed:
        click.echo(f"assumed: {assumption}", err=True)
    wanted: list[Any] = [*together([explainer.wanted(spec) for spec in targets])] or [None]
    written: list[dict[str, Any]] = []
    failed = 0
    for image in _progress(images):
        try:
            for target in wanted:
                found = explainer.explain(image, target, top)
                for one in found if isinstance(found, list) else [found]:
                    written.append(saver.save(one))
                    _announce(written[-1], one.target, as_json)
        except (onnxcam.ImageError, onnxcam.ExecutionError, onnxcam.AbsentError) as error:
            failed += 1
            click.echo(f"error: {error}", err=True)
    if as_json:
        _echo(json.dumps(written, indent=2, ensure_ascii=False))
    if failed:
        sys.exit(1)


def _spec(layers: tuple[str, ...]) -> str | list[str] | None:
    """None, one layer or a list of them."""
    return list(layers) if len(layers) > 1 else next(iter(layers), None)


def _announce(entry: dict[str, Any], target: onnxcam.Target, as_json: bool) -> None:
    for warning in entry["warnings"]:
        click.echo(f"warning: {entry['image']}: {warning}", err=True)
    if not as_json:
        files = ", ".join(entry[kind] for kind in KINDS if entry.get(kind))
        number = f"{target.index} " if target.label is None else ""
        _echo(f"{entry['image']}: {number}{target} -> {files}")


def _echo(text: str) -> None:
    r"""Print what may hold a file's name: bytes in it that are no UTF-8 come out as \udcxx."""
    click.echo(text.encode("utf-8", "backslashreplace").decode())


def _progress(images: tuple[str, ...]) -> Iterable[str]:
    """A progress bar on stderr when there is more than one picture and somebody to see it."""
    if len(images) == 1 or not sys.stderr.isatty():
        return images
    from rich.console import Console  # slow to import, and a single picture needs none of it
    from rich.progress import track

    return track(images, "explaining", console=Console(stderr=True))


@main.command()
@MODEL
@JSON
def layers(model: str, as_json: bool) -> None:
    """List candidate target layers, best first; the automatic choice is marked *.

    Example: onnxcam layers models/efficientnet_lite0.onnx
    """
    found = [layer.as_dict() for layer in onnxcam.find_layers(model)]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [
        (
            f"{layer['index']}{' *' if layer['automatic'] else ''}",
            layer["name"],
            layer["op"],
            layer["scope"],
            "x".join(str(size) for size in layer["grid"]),
            layer["layout"],
            "trunk" if layer["trunk"] else "branch",
        )
        for layer in found
    ]
    _table(("rank", "tensor", "op", "scope", "grid", "layout", "on"), rows)


@main.command()
@JSON
def methods(as_json: bool) -> None:
    """List the methods: formula, what each needs of the model, its cost in forward passes.

    Example: onnxcam methods
    """
    from onnxcam.methods import methods as all_methods

    found = [method.as_dict() for method in all_methods()]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    rows = [
        (
            m["name"],
            m["formula"],
            ", ".join(m["needs"]),
            m["cost"],
            "yes" if m["bakes"] else "no",
            ", ".join(f"{name}={value}" for name, value in m["parameters"].items()),
            m["paper"],
        )
        for m in found
    ]
    _table(("name", "formula", "needs", "forwards", "bakes", "parameters", "paper"), rows)


@main.command()
@MODEL
@click.option("-o", "--output", required=True, type=click.Path(), help="The new model.")
@METHOD
@PARAMETERS
@LAYERS
@FUSE
@click.option("--smooth", type=click.Choice([EIGEN]), help="Smoother maps, as for `explain`.")
@GRID
@click.option("--top", default=1, show_default=True, help="Explain K classes in each run.")
@click.option("--target", metavar="SPEC", help="What to explain by default, as for `explain`.")
@PREPROCESS
@LABELS
@click.option("--profile", default="cpu", show_default=True, help="Which operators are emitted.")
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
) -> None:
    """Write a model that explains itself: outputs `cam` and `cam_target` beside its own.

    Example: onnxcam rewrite models/efficientnet_lite0.onnx -o explained.onnx
    """
    made = onnxcam.rewrite(
        model,
        method,
        _spec(layers),
        top,
        profile,
        target=target,
        preprocess=preprocess,
        labels=labels,
        grid=grid,
        fuse=fuse,
        smooth=smooth,
        **read_parameters(parameters),
    )
    _, *beside = onnxcam.save_model(made, output)
    inside = {entry.key: entry.value for entry in made.metadata_props}
    weights = f", its weights in {', '.join(map(str, beside))}" if beside else ""
    what = f"target {inside['onnxcam.target']}" if target else f"top {top}"
    click.echo(f"{output}: {method} at '{inside['onnxcam.layer']}', {what}{weights}")


@main.command()
@click.option("--missing", is_flag=True, help="Only those without a derivative, with the reason.")
@JSON
def ops(missing: bool, as_json: bool) -> None:
    """Every operator that onnxcam knows, and how its derivative is made.

    Example: onnxcam ops --missing
    """
    from onnxcam.autodiff.table import operator_table

    table = [row for row in operator_table() if not missing or row.how in ("zero", "refused")]
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in table], indent=2))
        return
    rows = [(row.name, row.how, ", ".join(row.wrt), row.note) for row in table]
    _table(("operator", "how", "with respect to", "note"), rows)


@main.command()
@MODEL
@LAYER
@PREPROCESS
@JSON
def check(model: str, layer: str | None, preprocess: str | None, as_json: bool) -> None:
    """Does the model differentiate, and is its gradient right? Exit status 0 when both hold.

    The gradient of the score at the layer is compared with finite differences, in float64 where
    that is possible. A model without classes is checked with a random weighting of its output.

    Example: onnxcam check models/efficientnet_lite0.onnx
    """
    from onnxcam.check import check as run_check

    report = run_check(model, layer, preprocess)
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
            ("difference", ", ".join(f"{error:.1e}" for error in report.errors) or "not measured"),
            ("verdict", report.verdict),
        ]
        for name, value in rows:
            click.echo(f"{name:<15} {value}")
    if not report.passed:
        sys.exit(1)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal, or unwrapped when it is piped."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)

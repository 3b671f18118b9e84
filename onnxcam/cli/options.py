"""Options that several commands share."""

from __future__ import annotations

import re

import click

from onnxcam.methods.aggregate import FUSIONS
from onnxcam.providers import Providers

MODEL = click.argument("model", type=click.Path())
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
PREPROCESS = click.option(
    "--preprocess", help="Preset (imagenet, caffe, tf, 0-1, raw, min-max, ...) or a file."
)
LABELS = click.option("--labels", type=click.Path(), help="Class names: text or JSON file.")
PROVIDER = click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME[:DEVICE]",
    help="ONNX Runtime provider: cpu, cuda, cuda:1, tensorrt, openvino:GPU, ...; several, by "
    "repeating it, in order of preference.  [default: auto]",
)
PROVIDER_OPTIONS = click.option(
    "--provider-option",
    "provider_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="ONNX Runtime's option of the first --provider, such as trt_fp16_enable=True. May be "
    "repeated.",
)
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
PARAMETERS = click.option(
    "--set",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the method, such as samples=20 (see `methods`). May be repeated.",
)


def provider_specs(providers: tuple[str, ...], options: tuple[str, ...]) -> Providers:
    """The providers, the first of them with its options; None where there are none.

    Raises `click.UsageError` for options that are none, or of no provider.
    """
    given = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--provider-option {option}: write it as NAME=VALUE")
        given[name] = value
    if not providers:
        if given:
            raise click.UsageError("--provider-option needs the --provider that it is for")
        return None
    return [(providers[0], given), *providers[1:]] if given else list(providers)


def layer_spec(layers: tuple[str, ...]) -> str | list[str] | None:
    """None, one layer or a list of them."""
    return list(layers) if len(layers) > 1 else next(iter(layers), None)

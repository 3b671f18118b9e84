"""The command line: argument parsing only, a file a command."""

from __future__ import annotations

from typing import Any

import click

import onnxcam
from onnxcam.cli.check import check
from onnxcam.cli.explain import explain
from onnxcam.cli.listings import layers, methods, ops, recipes
from onnxcam.cli.rewrite import rewrite
from onnxcam.errors import OnnxCamError


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


for command in (explain, layers, methods, recipes, rewrite, check, ops):
    main.add_command(command)

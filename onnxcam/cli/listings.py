"""What there is: layers of a model, methods, recipes, operators."""

from __future__ import annotations

import json

import click

import onnxcam
from onnxcam.cli.options import JSON, MODEL
from onnxcam.cli.tables import print_table


@click.command()
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
    print_table(("rank", "tensor", "op", "scope", "grid", "layout", "on"), rows)


@click.command()
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
    print_table(("name", "formula", "needs", "forwards", "bakes", "parameters", "paper"), rows)


@click.command()
@JSON
def recipes(as_json: bool) -> None:
    """List the recipes: published ways of making heatmaps, and what each comes to.

    Example: onnxcam recipes
    """
    from onnxcam.recipes import RECIPES

    if as_json:
        click.echo(json.dumps([recipe.as_dict() for recipe in RECIPES.values()], indent=2))
        return
    rows = [(one.name, one.title, one.steps) for one in RECIPES.values()]
    print_table(("name", "what it is", "what it does"), rows)


@click.command()
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
    print_table(("operator", "how", "with respect to", "note"), rows)

"""Which node first differs: every tensor of a file made an output, in two runtimes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import onnx

from conformance.cases import PROFILES, cases
from conformance.comparison import difference
from conformance.exchange import Answer, Job
from conformance.files import prepared
from conformance.options import EXTRA, place_options, places
from conformance.processes import run
from conformance.runtimes import Runtime, cpu, find

MOST = 5
"""Nodes that are printed: the first is the cause, as a rule, and the rest follow from it."""

NOTICEABLE = 1e-4


def watched(job: Job, to: Path) -> Job:
    """The job with all tensors as outputs."""
    model = onnx.shape_inference.infer_shapes(onnx.load(job.model))
    known = {entry.name: entry for entry in model.graph.value_info}
    present = {entry.name for entry in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in present:
                entry = known.get(name, onnx.ValueInfoProto(name=name))
                model.graph.output.append(entry)
    onnx.save(model, to)
    return Job(job.name, to, job.feeds)


def differing(model: onnx.ModelProto, right: Answer, got: Answer) -> Iterator[str]:
    """The nodes whose results differ, in order, in words."""
    for node in model.graph.node:
        for name in node.output:
            if name not in right.outputs or name not in got.outputs:
                continue
            off = difference(right.outputs[name], got.outputs[name])
            if off > NOTICEABLE:
                yield f"{off:.1e}  {node.op_type} {node.name}: {_described(node, right)}"


def _described(node: onnx.NodeProto, answer: Answer) -> str:
    nothing = np.empty(0)
    inputs = [f"{name}{list(answer.outputs.get(name, nothing).shape)}" for name in node.input]
    settings = [
        f"{each.name}={onnx.helper.get_attribute_value(each)}"
        for each in node.attribute
        if each.type in (onnx.AttributeProto.FLOAT, onnx.AttributeProto.INT,
                         onnx.AttributeProto.INTS)
    ]  # fmt: skip
    return ", ".join(inputs + settings)


def _runtime(name: str, found: Iterator[Runtime | tuple[str, str]]) -> Runtime:
    for each in found:
        if isinstance(each, Runtime) and name in each.name:
            return each
        if not isinstance(each, Runtime) and name in each[0]:
            raise click.UsageError(f"{each[0]}: {each[1]}")
    raise click.UsageError(f"no runtime '{name}'")


@click.command()
@click.argument("case")
@click.argument("runtime")
@EXTRA
@place_options
def main(case: str, runtime: str, extra: tuple[Path, ...], **given: str | None) -> None:
    """Print the first nodes of CASE that RUNTIME computes differently."""
    wanted = next((each for each in cases(PROFILES, extra) if each.name == case), None)
    if wanted is None:
        raise click.UsageError(f"no case '{case}'")
    with tempfile.TemporaryDirectory() as passing:
        folder = Path(passing)
        job = watched(prepared(wanted, folder), folder / "watched.onnx")
        right = run(cpu(), [job], folder / "right").answers[case]
        chosen = _runtime(runtime, find(places(given), folder))
        got = run(chosen, [job], folder / "got").answers[case]
        if right.error or got.error:
            raise click.ClickException(right.error or got.error)
        lines = differing(onnx.load(job.model), right, got)
        shown = [line for line, _ in zip(lines, range(MOST), strict=False)]
        click.echo("\n".join(shown) or "nothing differs when every tensor is watched")


if __name__ == "__main__":
    main()

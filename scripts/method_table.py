"""Write docs/methods.md from the registry of methods.

Environment: pip install -e '.[cpu]'
Run from the repository root: python scripts/method_table.py
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path

from references.deviations import ANY, DEVIATIONS

from onnxcam.methods import Method, methods

PAGE = Path(__file__).resolve().parents[1] / "docs" / "methods.md"

FAMILIES = {
    "gradient": (
        "Class activation maps weighted by the gradient",
        "A is the activation of the target layer, k its channels, g the gradient of the score with "
        "respect to A. Sums and means without an index are over positions. Behind an average pool "
        "and a linear layer CAM is the number of positions times Grad-CAM (but for the ReLU), and "
        "HiResCAM and XGrad-CAM are Grad-CAM.",
    ),
    "layered": (
        "Several layers, second order, other scores, noise",
        "Built on the maps above.",
    ),
    "projection": (
        "Projections and baselines",
        "No score is explained but where g appears: what the layer is active for is not asked.",
    ),
    "attention": (
        "Attention",
        "For transformers; A_l are the attention probabilities of block l, found in the graph. "
        "There is no target layer to choose.",
    ),
    "pixels": (
        "Input space",
        "Maps of the picture's own size; x is the picture as the model is fed it.",
    ),
    "search": (
        "Search and black box",
        "The model, or what is behind the layer, is run many times; nothing is baked into a file.",
    ),
}
"""The folders of `onnxcam/methods`: what is said about each."""


def page() -> str:
    """The whole page, as Markdown."""
    table = methods()
    text = (
        "# Methods\n\n"
        "Written by `python scripts/method_table.py` from the registry; `onnxcam methods` prints "
        "the same.\n\n"
        f"{len(table)} methods. *Cost* is in forward passes of the model, for one picture and any "
        "number of targets unless the method says otherwise. A method marked *bakes* is emitted "
        "as nodes, so that `onnxcam rewrite` can put it into the file; the others run the model "
        "many times. `raw` is the formula at the layer's resolution, signed where the formula is; "
        "the heatmap shows what is above zero, scaled to [0, 1]. Parameters are passed to "
        "`Explainer(..., method=name, parameter=value)`. What each does in detail, and where it "
        "departs from its paper, is in its class's description.\n"
    )
    for family, (title, note) in FAMILIES.items():
        found = [one for one in table if _family(one) == family]
        text += f"\n## {title}\n\n{note}\n\n"
        text += "| method | formula of `raw` | needs | cost | bakes | parameters | paper |\n"
        text += "|---|---|---|---|---|---|---|\n"
        text += "".join(_row(one) for one in found)
    return text + _differences()


def _family(method: type[Method]) -> str:
    return method.__module__.split(".")[2]


def _row(method: type[Method]) -> str:
    cells = [
        f"`{method.name}` {method.title}",
        f"`{method.formula}`",
        ", ".join(method.needs),
        method.cost,
        "yes" if method.bakes else "",
        ", ".join(_parameters(method)),
        method.paper,
    ]
    return _line(cells)


def _parameters(method: type[Method]) -> list[str]:
    if not is_dataclass(method):
        return []
    return [f"`{field.name}={field.default!r}`" for field in fields(method)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _differences() -> str:
    text = (
        "\n## Where others differ\n\n"
        "What pytorch-grad-cam 1.5.7 and torchcam 0.5 say about five networks is recorded in "
        "`tests/references/*/methods.npz` and compared with onnxcam's maps in every test run, to "
        "1e-4 of the largest value; `python scripts/parity.py` prints how far they are apart. "
        "These differences are meant:\n\n"
        "| method | of | what it does | what onnxcam does | why |\n|---|---|---|---|---|\n"
    )
    lines = sorted(DEVIATIONS, key=lambda one: (one.method != ANY, one.method))
    return text + "".join(
        _line([_method(one.method), one.source, one.theirs, one.ours, one.why]) for one in lines
    )


def _method(name: str) -> str:
    return name if name == ANY else f"`{name}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

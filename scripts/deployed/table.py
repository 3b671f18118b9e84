"""What `onnxcam check` says of every model in a folder, as a Markdown table.

Environment: pip install -e '.[cpu]'
Run from the folder scripts/: python -m deployed.table FOLDER > ../docs/deployed.md
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from onnxcam.check import check
from onnxcam.errors import OnnxCamError

ORDINARY = set(
    """Add Cast Clip Concat Constant Conv Div Expand Flatten Gather Gemm GlobalAveragePool
    Identity MatMul MaxPool Mul Pad Pow ReduceMean Relu Reshape Shape Sigmoid Slice Softmax Split
    Sqrt Squeeze Sub Tanh Transpose Unsqueeze""".split()  # noqa: SIM905
)
"""Operators that say nothing of where a file comes from."""

HEAD = """# Files as they are deployed

`onnxcam check` over {count} files. {passed} pass: the gradient at the automatically chosen layer
agrees with finite differences of the model itself (of the dequantised model where it is quantised);
{rough} of them only as closely as differences in float32 can tell.

* `exported`: this repository's models, and networks with random weights: torchvision's, timm's, and
  a small transformer with its attention written out (`plain_vit`);
* `variants`: what ONNX Runtime's optimisers and quantisers, and the float16 converter, make of
  them (`scripts/deployed/variants.py`);
* `pypi`: what the packages rapidocr, rapidocr-onnxruntime, ddddocr, nudenet and magika ship, as it
  is, and `pypi-ort` optimised; PP-OCRv4's recogniser leaves its height open but works at 48 only,
  so a card beside it says `{{"preprocess": {{"size": [48, 320]}}}}`;
* `light`: the networks inside the onnx package, their weights reduced to a constant.

A detector or recogniser has no class scores: there a random weighting of its first output is
differentiated. Seconds are those of the whole check, on one busy core. Written by
`scripts/deployed/table.py`.

| file | opset | on the path | seconds | verdict |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    file: str
    opset: int
    operators: str
    seconds: float
    verdict: str
    passed: bool

    def __str__(self) -> str:
        mark = "yes" if self.passed else "**no**"
        said = self.verdict.replace("|", "\\|")
        return (
            f"| `{self.file}` | {self.opset} | {self.operators} | {self.seconds:.1f} "
            f"| {mark}: {said} |"
        )


def row(path: Path, name: str) -> Row:
    """Check one file."""
    start = time.perf_counter()
    opsets = onnx.load(path, load_external_data=False).opset_import
    opset = next(entry.version for entry in opsets if entry.domain in ("", "ai.onnx"))
    found: list[str] = []
    try:
        report = check(path)
        found = sorted(set(report.operators) - ORDINARY)
        verdict, passed = report.verdict, report.passed
    except OnnxCamError as error:
        verdict, passed = f"refused: {error}", False
    except Exception as error:  # a bug: the table says so and goes on
        verdict, passed = f"crashed: {type(error).__name__}: {error}", False
    return Row(name, opset, ", ".join(found), time.perf_counter() - start, verdict, passed)


def rows(folder: Path) -> Iterator[Row]:
    for path in sorted(folder.rglob("*.onnx")):
        name = str(path.relative_to(folder))
        print(name, file=sys.stderr, end=" ", flush=True)
        made = row(path, name)
        print(f"{made.seconds:.1f}", file=sys.stderr, flush=True)
        yield made


def main(folder: Path) -> None:
    made = list(rows(folder))
    passed = sum(each.passed for each in made)
    rough = sum("only within" in each.verdict for each in made)
    print(HEAD.format(count=len(made), passed=passed, rough=rough) + "\n".join(map(str, made)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What starting costs: nothing is imported that a command does not use."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import onnxcam
import onnxcam.execution
import onnxcam.targets

HEAVY = ("numpy", "onnx", "onnx_graphsurgeon", "onnxruntime", "cv2")

UNUSED = (
    # what only other commands, formats and terminals need
    "rich", "yaml", "PIL", "nibabel", "pydicom", "onnx.reference", "html.entities",
    "onnxcam.check", "onnxcam.rewriting", "onnxcam.presenting", "onnxcam.profiles",
    "onnxcam.cli.check", "onnxcam.cli.rewrite", "onnxcam.cli.listings", "onnxcam.autodiff.table",
    "onnxcam.execution.placing", "onnxcam.overlay.slices", "onnxcam.overlay.plot",
    # other targets, methods and operators than those in use
    "onnxcam.targets.spec", "onnxcam.targets.similarity", "onnxcam.targets.value",
    "onnxcam.laboratory", "onnxcam.behind", "onnxcam.methods.search.scorecam",
    "onnxcam.methods.attention.chefer", "onnxcam.methods.pixels.lrp",
    "onnxcam.autodiff.rules.recurrent", "onnxcam.autodiff.rules.loops",
    "onnxcam.autodiff.rules.attention", "onnxcam.autodiff.rules.contrib.attention",
)  # fmt: skip

EXPLAIN = """
import gc, json, sys
from onnxcam.cli import main
main(sys.argv[1:], standalone_mode=False)
print(json.dumps([gc.isenabled(), sorted(sys.modules)]))
"""

PACKAGES = (onnxcam, onnxcam.targets, onnxcam.execution)
"""Those whose names are imported on demand."""


def output(code: str, *words: object) -> str:
    """What a Python of its own prints last."""
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], check=True, capture_output=True, text=True
    )
    return run.stdout.splitlines()[-1]


@pytest.mark.parametrize("module", ["onnxcam", "onnxcam.errors", "onnxcam.cli"])
def test_the_package_itself_imports_none_of_its_dependencies(module: str) -> None:
    loaded = json.loads(output(f"import json, sys, {module}; print(json.dumps([*sys.modules]))"))
    assert module in loaded
    assert not {*HEAVY} & {*loaded}


def test_explaining_a_picture_imports_only_what_it_uses(
    model_file: Path, picture_file: Path, tmp_path: Path
) -> None:
    said = output(EXPLAIN, "explain", model_file, picture_file, "-o", tmp_path / "out")
    collecting, loaded = json.loads(said)
    assert {*HEAVY, "onnxcam.methods.gradient.gradcam"} <= {*loaded}
    assert not {*UNUSED} & {*loaded}
    assert collecting  # it was off while modules were imported
    for name in UNUSED:
        if name.startswith("onnxcam."):
            import_module(name)  # there is such a module


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_see_the_names_that_are_there(package: ModuleType) -> None:
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: getattr(import_module(node.module), alias.name)
        for node in ast.walk(checked)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    assert {*seen} == {*package.__all__} - {"__version__"}
    assert all(getattr(package, name) is value for name, value in seen.items())


def test_the_names_are_listed_before_they_are_imported() -> None:
    listed = json.loads(output("import json, onnxcam; print(json.dumps(dir(onnxcam)))"))
    assert {*onnxcam.__all__} <= {*listed}
    everything = "from onnxcam import *; import json; print(json.dumps([*globals()]))"
    assert {*onnxcam.__all__} <= {*json.loads(output(everything))}


def test_modules_are_there_without_being_imported() -> None:
    assert output("import onnxcam; print(onnxcam.frame.Frame.__name__)") == "Frame"


@pytest.mark.parametrize("name", ["explian", "_graph", "__wrapped__"])
def test_other_names_are_not_there(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'onnxcam' has no attribute '{name}'"):
        getattr(onnxcam, name)

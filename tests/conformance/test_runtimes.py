"""What is not here is named, and the rest goes on."""

from __future__ import annotations

from pathlib import Path

from conformance.cases import cases
from conformance.runtimes import Places, Runtime, find


def test_what_is_missing_says_the_way_out(tmp_path: Path) -> None:
    places = Places(node=None, chromium=None, openvino_python=None, node_modules=tmp_path)

    found = list(find(places, tmp_path))

    missing = dict(each for each in found if isinstance(each, tuple))
    assert missing["OpenVINO"] == "no --openvino-python with openvino in it"
    assert missing["ONNX Runtime, Node.js"] == "no --node"
    assert missing["ONNX Runtime Web, wasm"] == "no --chromium"
    assert "onnx reference" in [each.name for each in found if isinstance(each, Runtime)]


def test_slow_runtimes_get_few_cases(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime-web").mkdir()
    places = Places(chromium="chromium", node_modules=tmp_path)
    found = {each.name: each for each in find(places, tmp_path) if isinstance(each, Runtime)}

    everything = cases(("cpu", "portable"), ())
    taken = {
        name: sum(runtime.takes(case) for case in everything) for name, runtime in found.items()
    }

    assert taken["ONNX Runtime Web, wasm"] == len(everything)
    assert 0 < taken["ONNX Runtime Web, WebGPU"] < taken["onnx reference"] < len(everything)


def test_packages_are_looked_for(tmp_path: Path) -> None:
    places = Places(node="node", chromium="chromium", node_modules=tmp_path)
    missing = dict(each for each in find(places, tmp_path) if isinstance(each, tuple))
    assert missing["ONNX Runtime, Node.js"] == "no --node-modules with onnxruntime-node in it"

    (tmp_path / "onnxruntime-node").mkdir()
    (tmp_path / "onnxruntime-web").mkdir()
    found = {each.name: each for each in find(places, tmp_path) if isinstance(each, Runtime)}

    assert found["ONNX Runtime, Node.js"].environment == {"NODE_PATH": str(tmp_path)}
    assert found["ONNX Runtime Web, wasm"].command[-3:] == (
        "chromium",
        str(tmp_path / "onnxruntime-web" / "dist"),
        "wasm",
    )

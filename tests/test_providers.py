"""Execution providers: names, devices, options, and the order to try them in."""

from __future__ import annotations

from typing import Any

import pytest

from onnxcam.errors import ExecutionError
from onnxcam.providers import CPU, CUDA, TENSORRT, Plan, Provider, plan, short_name

OPENVINO = "OpenVINOExecutionProvider"


class Fake:
    """A stand-in for the onnxruntime module."""

    def __init__(self, *available: str) -> None:
        self.available = list(available)

    def get_available_providers(self) -> list[str]:
        return self.available

    def get_all_providers(self) -> list[str]:
        return [TENSORRT, CUDA, OPENVINO, "AzureExecutionProvider", CPU]


GPU = Fake(TENSORRT, CUDA, CPU)


def names_of(found: Plan) -> list[str]:
    return [one.name for one in found.providers]


@pytest.mark.parametrize(
    ("runtime", "wanted", "chosen", "accepted"),
    [
        (Fake(CPU), None, [CPU], 1),
        (Fake("AzureExecutionProvider", CPU), None, [CPU], 1),
        (GPU, None, [CUDA, CPU], 2),
        (GPU, [], [CUDA, CPU], 2),
        (GPU, "auto", [CUDA, CPU], 2),
        (GPU, ["auto"], [CUDA, CPU], 2),
        (GPU, "cuda", [CUDA, CPU], 1),
        (GPU, ["cuda"], [CUDA, CPU], 1),
        (GPU, ["CUDA"], [CUDA, CPU], 1),
        (GPU, ["CUDAExecutionProvider"], [CUDA, CPU], 1),
        (GPU, ["cudaexecutionprovider"], [CUDA, CPU], 1),
        (GPU, ["cpu"], [CPU], 1),
        (GPU, ["cuda", "cpu"], [CUDA, CPU], 2),
        (GPU, ["tensorrt", "cuda"], [TENSORRT, CUDA, CPU], 2),
        (GPU, ["tensorrt", "auto"], [TENSORRT, CUDA, CPU], 3),
    ],
)
def test_providers_are_chosen(runtime: Fake, wanted: Any, chosen: list[str], accepted: int) -> None:
    found = plan(runtime, wanted)
    assert names_of(found) == chosen
    assert found.accepted == accepted
    assert found.missing == ()


@pytest.mark.parametrize(
    ("spec", "name", "options"),
    [
        ("cuda:1", CUDA, {"device_id": "1"}),
        ("CUDAExecutionProvider:1", CUDA, {"device_id": "1"}),
        (("cuda", {"device_id": 1}), CUDA, {"device_id": 1}),
        (
            ("cuda:2", {"enable_cuda_graph": True}),
            CUDA,
            {"device_id": "2", "enable_cuda_graph": True},
        ),
        ("tensorrt:0", TENSORRT, {"device_id": "0"}),
        ("openvino:GPU", OPENVINO, {"device_type": "GPU"}),
    ],
)
def test_devices_and_options(spec: Any, name: str, options: dict[str, Any]) -> None:
    found = plan(Fake(TENSORRT, CUDA, OPENVINO, CPU), [spec])
    assert found.providers[0] == Provider(name, options)


@pytest.mark.parametrize(
    ("spec", "said"), [("cuda:GPU", "is a number, such as cuda:0"), ("cpu:1", "one device only")]
)
def test_a_device_that_cannot_be(spec: str, said: str) -> None:
    with pytest.raises(ExecutionError, match=said):
        plan(GPU, [spec])


def test_a_provider_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ExecutionError, match="'cud' is not there; did you mean 'cuda'") as raised:
        plan(GPU, ["cud"])
    assert CPU in str(raised.value)


def test_one_that_this_build_lacks_is_passed_over_where_another_is_named() -> None:
    found = plan(Fake(CUDA, CPU), ["tensorrt", "cuda"])
    assert (names_of(found), found.accepted, found.missing) == ([CUDA, CPU], 1, ("tensorrt",))
    with pytest.raises(ExecutionError, match="'tensorrt' is not there"):
        plan(Fake(CUDA, CPU), ["tensorrt"])
    with pytest.raises(ExecutionError, match="'tensort' is not there"):  # no provider at all
        plan(Fake(CUDA, CPU), ["tensort", "cuda"])


def test_short_names() -> None:
    assert [short_name(one) for one in (CUDA, CPU)] == ["cuda", "cpu"]

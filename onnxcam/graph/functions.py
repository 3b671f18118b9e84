"""Model-local functions, put in the place of their calls."""

from __future__ import annotations

import onnx

from onnxcam.errors import ModelError, one_line


def without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, or a copy of one with functions in which every call is spelt out.

    What happens inside a function can be explained only when it is part of the graph.
    Raises `ModelError` where onnx cannot do it (a function that calls itself, say).
    """
    if not model.functions:
        return model
    _require_no_recursion(model)
    from onnx import inliner  # rarely needed

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # the inliner raises whatever its C++ throws
        raise ModelError(
            f"the model's functions cannot be put in place of their calls ({one_line(error)}); "
            f"export it without functions"
        ) from None


def _require_no_recursion(model: onnx.ModelProto) -> None:
    calls = {
        (function.domain, function.name): {(n.domain, n.op_type) for n in function.node}
        for function in model.functions
    }
    done: set[tuple[str, str]] = set()
    while len(done) < len(calls):
        free = [
            key
            for key, used in calls.items()
            if key not in done and not (used & calls.keys()) - done
        ]
        if not free:
            name = min(key for key in calls if key not in done)[1]
            raise ModelError(f"the model's function '{name}' calls itself; export it again")
        done.update(free)

"""Maps of another size, as nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnxcam.graph.dims import Dim
from onnxcam.graph.emitter import Emitter


def resized(
    e: Emitter, maps: gs.Tensor, size: Sequence[Dim], lengths: Sequence[gs.Tensor]
) -> gs.Tensor:
    """Maps (N, K, *size) interpolated linearly, as OpenCV's INTER_LINEAR does it.

    `lengths` are the new spatial lengths as 1-D tensors, `size` what is known of them.
    """
    if list(maps.shape[2:]) == list(size) and None not in size:
        return maps
    if len(size) == 1:  # a row of a picture: runtimes enlarge those
        row = resized(e, e.unsqueeze(maps, [2]), [1, *size], [e.ints(1), *lengths])
        return e.squeeze(row, [2])
    sizes = e.concat([e.dim(maps, 0), e.dim(maps, 1), *lengths], -1)
    left_out = gs.Variable.empty() if e.opset >= 13 else e.constant([], np.float32)
    return e.op(
        "Resize",
        maps,
        left_out,
        left_out,
        sizes,
        shape=[*maps.shape[:2], *size],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )

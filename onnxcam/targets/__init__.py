"""What is being explained: the scalar whose gradient is taken."""

from typing import TYPE_CHECKING

from onnxcam.on_demand import on_demand

if TYPE_CHECKING:
    from onnxcam.targets.base import (
        Case,
        Choice,
        Explained,
        Held,
        Several,
        Target,
        Wanted,
        joined,
        seeds_of,
    )
    from onnxcam.targets.boxes import Box
    from onnxcam.targets.classes import (
        BEST,
        CLASS_INPUT,
        SCORES,
        Classes,
        in_parts,
        require_class,
        require_top,
    )
    from onnxcam.targets.contrast import REST, Contrast
    from onnxcam.targets.region import Region
    from onnxcam.targets.sets import All, Present, Side
    from onnxcam.targets.similarity import Similarity
    from onnxcam.targets.value import Value

__all__ = [
    "BEST",
    "CLASS_INPUT",
    "REST",
    "SCORES",
    "All",
    "Box",
    "Case",
    "Choice",
    "Classes",
    "Contrast",
    "Explained",
    "Held",
    "Present",
    "Region",
    "Several",
    "Side",
    "Similarity",
    "Target",
    "Value",
    "Wanted",
    "in_parts",
    "joined",
    "require_class",
    "require_top",
    "seeds_of",
]

_HOMES = {
    "base": (
        "Case",
        "Choice",
        "Explained",
        "Held",
        "Several",
        "Target",
        "Wanted",
        "joined",
        "seeds_of",
    ),
    "boxes": ("Box",),
    "classes": (
        "BEST",
        "CLASS_INPUT",
        "SCORES",
        "Classes",
        "in_parts",
        "require_class",
        "require_top",
    ),
    "contrast": ("REST", "Contrast"),
    "region": ("Region",),
    "sets": ("All", "Present", "Side"),
    "similarity": ("Similarity",),
    "value": ("Value",),
}

__getattr__ = on_demand(__name__, _HOMES)

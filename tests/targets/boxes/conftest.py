"""What the tests of the detectors in models/ share."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts" / "models"


@pytest.fixture(scope="session")
def localisation() -> ModuleType:
    """scripts/models/box_localisation.py, which is no package."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        import box_localisation  # type: ignore[import-not-found, unused-ignore]
    finally:
        sys.path.remove(str(SCRIPTS))
    assert isinstance(box_localisation, ModuleType)
    return box_localisation

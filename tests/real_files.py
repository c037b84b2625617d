"""Where the real files are that some tests read: the published tag table, footprints, Level-1C pixels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("S2CMC_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
TABLE = REAL_DATA / "classification_tags.csv"
ABSENT = f"no real data at {REAL_DATA}; S2CMC_REAL_DATA names their folder"

needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=ABSENT)

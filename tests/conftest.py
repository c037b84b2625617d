"""Fixtures: the real data beside the project, and releases on disk."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from real_files import ABSENT, REAL_DATA
from releases import PlainRelease
from s2cmc_zarr.release.replica import make_replica

# An example may be the first to need a function that has to be compiled.
settings.register_profile("compiled", deadline=None)
settings.load_profile("compiled")

# What a shell runs in the background ignores Ctrl-C, and so would the commands that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real tag table, footprints and pixels."""
    if not REAL_DATA.is_dir():
        pytest.skip(ABSENT)
    return REAL_DATA


@pytest.fixture(scope="session")
def real_csv(real_data: Path) -> Path:
    return real_data / "classification_tags.csv"


@pytest.fixture
def plain() -> PlainRelease:
    """A release as plain values, to be changed and written by a test."""
    return PlainRelease()


@pytest.fixture(scope="session")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replica of eight small scenes, not to be changed."""
    return make_replica(tmp_path_factory.mktemp("replica") / "release", 8, size=64)

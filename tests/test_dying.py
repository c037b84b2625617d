"""Whatever dies, and when: the store says that it is incomplete, and the next run completes it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import dask
import distributed
import numpy as np
import pytest

from releases import PlainRelease
from s2cmc_zarr import CatalogueError, IncompleteStoreWarning, convert, open_store, verify

KILLS = 20


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PlainRelease(size=256).write(tmp_path_factory.mktemp("dying") / "release")


def check_incomplete_or_whole(store: Path, release: Path) -> None:
    """A store that opens without a warning is complete, and then it is right."""
    if not (store / "zarr.json").exists():
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ds = open_store(store)
    if not caught:
        # Here and not on the cluster, whose workers are being killed.
        with dask.config.set(scheduler="threads"):
            assert verify(store, release).passed
    else:
        assert issubclass(caught[0].category, IncompleteStoreWarning)
        assert f"of {ds.sizes['scene']} scenes are missing" in str(caught[0].message)


class Conversion:
    """A conversion in a process of its own, which has imported everything and waits for a word."""

    def __init__(self, release: Path, store: Path, *, overwrite: bool) -> None:
        # Children of a fork may inherit a lock that some thread held.
        context = multiprocessing.get_context("spawn")
        self.ready, self.told = context.Event(), context.Event()
        self.process = context.Process(
            target=convert_when_told, args=(self.ready, self.told, release, store, overwrite), daemon=True
        )
        self.process.start()

    def begin(self) -> None:
        assert self.ready.wait(60)
        self.told.set()

    def end(self) -> int | None:
        self.process.join(60)
        return self.process.exitcode


def convert_when_told(ready: Event, told: Event, release: Path, store: Path, overwrite: bool) -> None:
    ready.set()
    if told.wait(120):
        convert(release, store, overwrite=overwrite)


def test_a_process_is_killed_at_random_moments(release: Path, tmp_path: Path) -> None:
    moments = np.random.default_rng(20)
    store, killed, runs = tmp_path / "S.zarr", 0, 0
    whole = Conversion(release, tmp_path / "whole.zarr", overwrite=False)
    following = Conversion(release, store, overwrite=False)
    whole.begin()
    begun = time.monotonic()
    assert whole.end() == 0
    needed = time.monotonic() - begun
    while killed < KILLS and runs < 10 * KILLS:
        runs += 1
        # Often begun anew, so that every phase has its share.
        conversion, following = following, Conversion(release, store, overwrite=(runs + 1) % 4 == 0)
        conversion.begin()
        time.sleep(moments.uniform(0, needed))
        conversion.process.kill()
        exitcode = conversion.end()
        assert exitcode in (0, -signal.SIGKILL)
        killed += exitcode == -signal.SIGKILL
        check_incomplete_or_whole(store, release)
    following.process.kill()
    assert killed == KILLS
    convert(release, store)
    assert verify(store, release).passed


def test_workers_are_killed_at_random_moments(release: Path, tmp_path: Path) -> None:
    moments = np.random.default_rng(4)
    killed, stop = [0], threading.Event()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster),
    ):

        def kill() -> None:
            while not stop.wait(moments.uniform(0, 0.3)):
                processes = [nanny.process for nanny in cluster.workers.values() if nanny.process]
                pids = [process.pid for process in processes if process.pid and process.status.name == "running"]
                if pids and killed[0] < KILLS:
                    os.kill(int(moments.choice(pids)), signal.SIGKILL)
                    killed[0] += 1

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            deadline = time.monotonic() + 240
            store, number = tmp_path / "0.zarr", 0
            while killed[0] < KILLS and time.monotonic() < deadline:
                try:
                    convert(release, store)
                    assert verify(store, release).passed
                    number += 1
                    store = tmp_path / f"{number}.zarr"
                except CatalogueError as error:
                    if "workers of the Dask cluster died" not in str(error):
                        raise
                    check_incomplete_or_whole(store, release)
        finally:
            stop.set()
            killer.join()
        assert killed[0] == KILLS
        convert(release, store)
        assert verify(store, release).passed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_the_run_and_loses_nothing(release: Path, small_disk: Path) -> None:
    store = small_disk / "S.zarr"
    with pytest.raises((CatalogueError, OSError), match=os.strerror(errno.ENOSPC)):
        convert(release, store)
    check_incomplete_or_whole(store, release)
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    done = convert(release, store)
    assert done.kept + len(done.written) == 5
    assert verify(store, release).passed

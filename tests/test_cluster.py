"""Conversions whose tasks run elsewhere: on a cluster that other runs use, too, and that may see other places."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import distributed
import pytest

from releases import PlainRelease, npy
from s2cmc_zarr import CatalogueError, IncompleteStoreWarning, convert, open_store, verify
from test_convert import contents


@pytest.fixture
def threads() -> Iterator[distributed.Client]:
    """A cluster in this process."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def processes() -> Iterator[distributed.Client]:
    """A cluster of two worker processes."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.usefixtures("threads")
def test_two_runs_on_one_scheduler_do_not_share_results(plain: PlainRelease, tmp_path: Path) -> None:
    one = plain.write(tmp_path / "one")
    for scene in plain.scenes:
        plain.files["subscenes"][f"{scene}.npy"] = npy(plain.subscenes[scene] / 2)
    other = plain.write(tmp_path / "other")
    pairs = [(one, tmp_path / "one.zarr"), (other, tmp_path / "other.zarr"), (one, tmp_path / "again.zarr")]
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda pair: convert(*pair), pairs))
        found = list(pool.map(lambda pair: verify(pair[1], pair[0]), pairs))
    assert [len(run.written) for run in done] == [5, 5, 5]
    assert all(run.passed for run in found)
    assert contents(tmp_path / "one.zarr") == contents(tmp_path / "again.zarr")


def test_a_relative_path_is_that_of_the_one_who_asks(
    processes: distributed.Client, plain: PlainRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain.write(tmp_path / "release")
    (tmp_path / "elsewhere").mkdir()
    processes.run(os.chdir, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    convert("release", "S.zarr")
    assert verify("S.zarr", "release").passed
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.usefixtures("processes")
def test_what_workers_wrote_elsewhere_is_not_published(plain: PlainRelease, tmp_path: Path) -> None:
    source = plain.write(tmp_path / "release")
    url = "memory://test_cluster.zarr"  # the memory of each process
    with pytest.raises(CatalogueError, match=f"what was written is not in {url}: {', '.join(plain.scenes)}. It stays"):
        convert(source, url)
    with pytest.warns(IncompleteStoreWarning, match="5 of 5 scenes are missing"):
        open_store(url)

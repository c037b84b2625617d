from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
import zarr

from releases import PlainRelease
from s2cmc_zarr import CatalogueError, convert, open_store, verify
from s2cmc_zarr.store.export import export_zip
from servers import Fault, http_server


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PlainRelease().write(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def store(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "store.zarr"
    convert(release, path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_zip_is_the_store(store: Path, release: Path, tmp_path: Path) -> None:
    made = export_zip(store, tmp_path / "out.zarr.zip")
    assert names(tmp_path) == ["out.zarr.zip"]
    expected = open_store(store).load()
    xr.testing.assert_identical(open_store(made).load(), expected)
    assert verify(made, release).passed
    for place in (zarr.storage.ZipStore(made), f"zip::{made}"):
        opened = xr.open_zarr(place)
        assert set(opened.variables) == set(expected.variables)
        # With some versions of Python, one member of a "zip::" after the other (docs/store.md).
        with dask.config.set(scheduler="synchronous"), zarr.config.set({"async.concurrency": 1}):
            np.testing.assert_array_equal(opened["reflectance"].values, expected["reflectance"].values)
            np.testing.assert_array_equal(opened["tags"].values, expected["tags"].values)


def test_members_of_a_chained_zip_are_read_side_by_side(store: Path, tmp_path: Path) -> None:
    """Which zipfile of Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 does from wrong places."""
    made = export_zip(store, tmp_path / "out.zarr.zip")
    opened, expected = (open_store(place)["reflectance"][:, 3:9] for place in (f"zip::{made}", store))
    with dask.config.set(scheduler="threads", num_workers=16):
        for _ in range(5):
            np.testing.assert_array_equal(opened.values, expected.values)


def test_members_are_the_objects_as_they_are(store: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(export_zip(store, tmp_path / "out.zip")) as archive:
        members = archive.infolist()
        assert members[0].filename == "zarr.json"
        for member in members:
            assert member.compress_type == zipfile.ZIP_STORED
            assert archive.read(member) == (store / member.filename).read_bytes()
    objects = {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}
    assert {member.filename for member in members} == objects
    assert len(members) == len(objects)


def test_the_same_store_gives_the_same_bytes_wherever_it_lies(store: Path, release: Path, tmp_path: Path) -> None:
    one = export_zip(store, tmp_path / "one.zip")
    shutil.copytree(store, tmp_path / "copy.zarr")
    os.utime(tmp_path / "copy.zarr" / "zarr.json", (0, 0))
    convert(release, "memory://test_export.zarr")
    with http_server(tmp_path) as served:
        for url in (tmp_path / "copy.zarr", "memory://test_export.zarr", f"{served.url}/copy.zarr"):
            assert export_zip(url, tmp_path / "other.zip", overwrite=True).read_bytes() == one.read_bytes()


def test_what_was_left_by_a_run_is_not_exported(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    (copy / "converted" / "records").mkdir(exist_ok=True)
    (copy / "converted" / "records" / "x.json").write_text("{}")
    one, other = export_zip(store, tmp_path / "one.zip"), export_zip(copy, tmp_path / "other.zip")
    assert one.read_bytes() == other.read_bytes()


def test_what_is_there_stays_unless_it_is_to_be_replaced(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    target.write_text("mine")
    with pytest.raises(CatalogueError, match=r"out.zip exists; choose another name, or --overwrite"):
        export_zip(store, target)
    assert target.read_text() == "mine"
    assert zipfile.is_zipfile(export_zip(store, target, overwrite=True))
    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(CatalogueError, match=r"folder.zip exists"):
        export_zip(store, tmp_path / "folder.zip", overwrite=True)
    (tmp_path / "new.zip.partial").write_text("of another run")
    with pytest.raises(CatalogueError, match=r"new.zip.partial exists: another export is running, or was killed"):
        export_zip(store, tmp_path / "new.zip")
    assert (tmp_path / "new.zip.partial").read_text() == "of another run"


@pytest.mark.parametrize("target", ["out.zarr", "s3://bucket/out.zip"])
def test_only_a_local_zip_is_written(store: Path, target: str) -> None:
    with pytest.raises(CatalogueError, match=r"expected a local path that ends in \.zip"):
        export_zip(store, target)


def test_only_a_complete_store_is_exported(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    root = json.loads((copy / "zarr.json").read_text())
    root["attributes"] |= {"conversion": "incomplete", "planned_scenes": []}
    (copy / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(CatalogueError, match="is incomplete; run s2cmc convert again"):
        export_zip(copy, tmp_path / "out.zip")
    with pytest.raises(CatalogueError, match="no store of the catalogue there"):
        export_zip(tmp_path / "nowhere", tmp_path / "out.zip")
    shutil.copy(store / "zarr.json", copy / "zarr.json")
    (copy / "mask" / "c" / "2" / "0" / "0").unlink()
    with pytest.raises(CatalogueError, match=r"mask/c/2/0/0 is missing; see s2cmc verify"):
        export_zip(copy, tmp_path / "out.zip")
    assert names(tmp_path) == ["copy.zarr"]


def test_a_store_without_consolidated_metadata_is_not_exported(store: Path, tmp_path: Path) -> None:
    root = json.loads((store / "zarr.json").read_text())
    del root["consolidated_metadata"]
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    (copy / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(CatalogueError, match="its metadata cannot be read"):
        export_zip(copy, tmp_path / "out.zip")


def test_an_interrupted_export_leaves_nothing(store: Path, tmp_path: Path) -> None:
    code = "import sys, s2cmc_zarr.store.export as e; e.export_zip(sys.argv[1], sys.argv[2])"
    with http_server(store.parent) as served:
        served.faults.append(Fault("hang", 1, "reflectance/c/3"))
        command = [sys.executable, "-c", code, f"{served.url}/store.zarr", str(tmp_path / "out.zip")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 30
            while served.faults[0].times and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            assert names(tmp_path) == ["out.zip.partial"]
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=20)
        assert "KeyboardInterrupt" in stderr
        assert names(tmp_path) == []


def test_what_is_no_zip_is_refused(tmp_path: Path, store: Path, release: Path) -> None:
    with pytest.raises(CatalogueError, match="no such zip; one is made from a store by s2cmc export zip"):
        convert(release, tmp_path / "absent.zip")
    whole = export_zip(store, tmp_path / "whole.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-100])
    with pytest.raises(CatalogueError, match=r"cut.zip is not a whole zip archive"):
        open_store(tmp_path / "cut.zip")

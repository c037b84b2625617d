from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest
import xarray as xr
import zarr
from PIL import Image
from zarr.abc.store import Store
from zarr.storage import MemoryStore, WrapperStore

from releases import PlainRelease, npy, one_hot
from s2cmc_zarr import (
    CatalogueError,
    DefectError,
    IncompleteStoreWarning,
    convert,
    open_catalogue,
    open_release,
    open_store,
    verify,
)
from s2cmc_zarr.release.catalogue import OnDefect, Release
from s2cmc_zarr.schema import DIMS, SCHEMA_VERSION
from s2cmc_zarr.store.claim import claim
from s2cmc_zarr.store.objects import connect
from s2cmc_zarr.store.planning import Plan, make_plan
from s2cmc_zarr.store.preparation import prepare
from s2cmc_zarr.store.records import Record, read_records, write_record


def contents(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def released(ds: xr.Dataset, release: xr.Dataset) -> xr.Dataset:
    """A store without its bookkeeping, its coordinates in the order of the release."""
    bookkeeping = set(ds.coords) - set(release.coords)
    return ds.drop_vars(bookkeeping).assign_attrs(release.attrs).drop_attrs(deep=False).assign_attrs(release.attrs)


def plan_for(source: Path, store: Path) -> Plan:
    return make_plan(Release.open(str(source)), connect(store))


@pytest.fixture
def store(plain: PlainRelease, tmp_path: Path) -> Path:
    convert(plain.write(tmp_path / "release"), tmp_path / "store.zarr")
    return tmp_path / "store.zarr"


def test_the_store_is_the_release(plain: PlainRelease, store: Path) -> None:
    ds, release = open_store(store), open_release(store.parent / "release")
    xr.testing.assert_identical(released(ds, release).load(), release.load())
    for number, scene in enumerate(plain.scenes):
        assert ds["reflectance"][number].values.tobytes() == plain.subscenes[scene].transpose(2, 0, 1).tobytes()
        assert (ds["mask"][number].values == plain.labels[scene]).all()
        assert (
            ds["mask_class_count"].values[number].tolist()
            == np.bincount(plain.labels[scene].ravel(), minlength=3).tolist()
        )
    assert ds["converted"].values.all()
    assert not ds["defects"].values.any()
    assert ds.attrs["conversion"] == "complete"
    assert ds.attrs["schema_version"] == SCHEMA_VERSION
    assert ds.chunks["scene"] == (1,) * 5


def test_digests_are_those_of_the_released_bytes(plain: PlainRelease, store: Path) -> None:
    ds = open_store(store)
    for number, scene in enumerate(plain.scenes):
        for name, component in (("reflectance", "subscenes"), ("mask", "masks"), ("alt_mask", "alt_masks")):
            data = plain.files[component].get(f"{scene}.npy")
            expected = "" if data is None else hashlib.sha256(data[128:]).hexdigest()
            assert ds[f"{name}_sha256"].values[number] == expected
        assert ds["thumbnail_sha256"].values[number] == hashlib.sha256(plain.thumbnails[scene].tobytes()).hexdigest()


def test_plain_xarray_opens_it_without_warnings_and_with_the_same_values(store: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain_zarr = xr.open_zarr(store)
        ours = open_store(store)
    assert set(plain_zarr.variables) == set(ours.variables)
    assert set(plain_zarr.coords) == set(ours.coords)
    for name, variable in ours.variables.items():
        found = np.asarray(plain_zarr[name].values)
        if variable.dtype.kind == "U":
            found = np.array(found.tolist(), dtype=str)
        assert found.dtype.kind == variable.dtype.kind
        np.testing.assert_array_equal(found, variable.values)
    chosen = plain_zarr["tags"].sel(tag="snow/ice").values
    assert plain_zarr.isel(scene=chosen).sizes["scene"] == chosen.sum() > 0


def test_the_layout_is_the_schema(store: Path) -> None:
    group = zarr.open_group(store, mode="r")
    assert group.metadata.consolidated_metadata is not None
    reflectance, mask = (zarr.open_array(store, path=name, mode="r") for name in ("reflectance", "mask"))
    assert reflectance.shards == (1, 13, 32, 32)
    assert mask.shards == (1, 32, 32)
    assert np.isnan(reflectance.fill_value)
    assert mask.fill_value == 255
    assert "_FillValue" not in mask.attrs
    assert sorted(
        str(path.relative_to(store)) for path in (store / "reflectance" / "c").rglob("*") if path.is_file()
    ) == [f"reflectance/c/{number}/0/0/0" for number in range(5)]
    alt = [path for path in (store / "alt_mask" / "c").rglob("*") if path.is_file()]
    assert len(alt) == 2, "scenes without a second mask take no bytes"
    assert not (store / "converted" / "records").exists() or not any((store / "converted" / "records").iterdir())


def test_the_store_tells_nothing_of_where_it_was_made(store: Path) -> None:
    for name, data in contents(store).items():
        assert str(store.parent).encode() not in data, name


def test_a_second_run_does_nothing(store: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    done = convert(store.parent / "release", store)
    assert (done.written, done.kept) == ((), 5)
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_an_interrupted_run_is_continued_to_the_same_bytes(plain: PlainRelease, store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.zarr"
    path = tmp_path / "release" / "subscenes.zip"
    whole = path.read_bytes()
    broken = bytearray(whole)
    at = broken.index(f"{plain.scenes[3]}.npy".encode()) + 1000
    broken[at] ^= 0xFF
    path.write_bytes(broken)
    with pytest.raises(DefectError, match=rf"(?s){plain.scenes[3]}.*the same command goes on.*--on-defect skip"):
        convert(tmp_path / "release", other)
    with pytest.warns(IncompleteStoreWarning, match=r"of 5 scenes are missing, the first is S2A.*convert again"):
        incomplete = open_store(other)
    assert incomplete.attrs["conversion"] == "incomplete"
    missing = ~incomplete["converted"].values
    assert missing[3]
    assert (incomplete["mask"].values[missing] == 255).all()
    assert np.isnan(incomplete["reflectance"].values[missing]).all()
    path.write_bytes(whole)
    done = convert(tmp_path / "release", other)
    assert set(done.written) == set(incomplete["scene"].values[missing])
    assert done.kept == 5 - missing.sum()
    assert contents(other) == contents(store)


def test_a_killed_run_is_continued_to_the_same_bytes(replica: Path, tmp_path: Path) -> None:
    expected, store = tmp_path / "expected.zarr", tmp_path / "store.zarr"
    convert(replica, expected)
    code = (
        "import sys, time, s2cmc_zarr.store.conversion as c\n"
        "write = c.write_record\n"
        "def slow(*args):\n"
        "    time.sleep(0.3)\n"
        "    write(*args)\n"
        "c.write_record = slow\n"
        "c.convert(sys.argv[1], sys.argv[2])\n"
    )
    killed = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code, str(replica), str(store)]) as process:
            deadline = time.monotonic() + 60
            records = store / "converted" / "records"
            before = len(list(records.glob("*.json"))) if records.exists() else 0
            while time.monotonic() < deadline and process.poll() is None:
                if records.exists() and len(list(records.glob("*.json"))) > before:
                    break
                time.sleep(0.01)
            if process.poll() is None:
                process.kill()
                killed += 1
        if json.loads((store / "zarr.json").read_text())["attributes"]["conversion"] == "incomplete":
            with pytest.warns(IncompleteStoreWarning):
                assert not open_store(store)["converted"].values.all()
    assert killed
    convert(replica, store)
    assert contents(store) == contents(expected)
    assert verify(store, replica).passed


def test_two_worker_processes_write_the_same_bytes(replica: Path, tmp_path: Path) -> None:
    convert(replica, tmp_path / "threads.zarr")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        assert len(set(pids.values()) - {os.getpid()}) == 2
        convert(replica, tmp_path / "processes.zarr")
        assert verify(tmp_path / "processes.zarr", replica).passed
    assert contents(tmp_path / "threads.zarr") == contents(tmp_path / "processes.zarr")


def test_every_scene_size_and_every_missing_part(tmp_path: Path) -> None:
    for size, component in ((16, "alt_masks"), (31, "thumbnails"), (70, "shapefiles"), (128, None)):
        plain = PlainRelease(size=size)
        if component:
            plain.files[component].clear()
        source = plain.write(tmp_path / f"release{size}")
        done = convert(source, tmp_path / f"{size}.zarr")
        assert done.lacking == ((component,) if component else ())
        ds, release = open_store(tmp_path / f"{size}.zarr"), open_release(source)
        xr.testing.assert_identical(released(ds, release).load(), release.load())
        assert verify(tmp_path / f"{size}.zarr", source).passed


def test_real_pixels_go_through_unchanged(real_data: Path, tmp_path: Path) -> None:
    pixels = np.load(real_data / "l1c_reference_scenes.npy", allow_pickle=False)[:, :100]
    plain = PlainRelease(size=100)
    for scene, values in zip(plain.scenes, pixels, strict=True):
        plain.subscenes[scene] = values
        plain.files["subscenes"][f"{scene}.npy"] = npy(np.ascontiguousarray(values))
    source = plain.write(tmp_path / "release")
    convert(source, tmp_path / "store.zarr")
    found = open_store(tmp_path / "store.zarr")["reflectance"].transpose("scene", "y", "x", "band").values
    assert found.tobytes() == np.ascontiguousarray(pixels).tobytes()


def test_special_values_are_kept_bit_by_bit(plain: PlainRelease, tmp_path: Path) -> None:
    values = plain.subscenes[plain.scenes[0]]
    values[0, 0, :5] = [np.nan, np.inf, -np.inf, -0.0, 1e-45]
    values.view(np.uint32)[0, 1, 0] = 0x7FC12345  # a NaN with a payload
    plain.files["subscenes"][f"{plain.scenes[0]}.npy"] = npy(values)
    source = plain.write(tmp_path / "release")
    convert(source, tmp_path / "store.zarr")
    found = open_store(tmp_path / "store.zarr")["reflectance"][0].values
    assert found.tobytes() == values.transpose(2, 0, 1).tobytes()
    assert verify(tmp_path / "store.zarr", source).passed


def test_defects_are_all_named_before_anything_is_written(plain: PlainRelease, tmp_path: Path) -> None:
    for number in (1, 4):
        labels = plain.labels[plain.scenes[number]].copy()
        labels[0, :3] = (labels[0, :3] + 1) % 2
        plain.files["masks"][f"{plain.scenes[number]}.npy"] = npy(one_hot(labels))
    source = plain.write(tmp_path / "release")
    with pytest.raises(DefectError, match="2 scene") as caught:
        convert(source, tmp_path / "store.zarr")
    assert plain.scenes[1] in str(caught.value)
    assert plain.scenes[4] in str(caught.value)
    assert not (tmp_path / "store.zarr").exists()


def test_marked_defects_are_in_the_store(plain: PlainRelease, tmp_path: Path) -> None:
    mask = one_hot(plain.labels[plain.scenes[2]])
    mask[5, 6] = True
    plain.files["masks"][f"{plain.scenes[2]}.npy"] = npy(mask)
    source = plain.write(tmp_path / "release")
    done = convert(source, tmp_path / "store.zarr", on_defect="mark")
    assert list(done.defects) == [plain.scenes[2]]
    ds = open_store(tmp_path / "store.zarr")
    assert "1 pixels without exactly one class, the first in row 5, column 6" in ds["defects"].values[2]
    assert np.argwhere(ds["mask"].values == 255).tolist() == [[2, 5, 6]]
    assert ds["mask_class_count"].values[2].sum() == 32 * 32 - 1
    assert verify(tmp_path / "store.zarr", source).passed


@pytest.mark.parametrize("on_defect", ["skip", "mark"])
def test_a_damaged_subscene_is_left_out_and_reported(plain: PlainRelease, tmp_path: Path, on_defect: str) -> None:
    source = plain.write(tmp_path / "release")
    path = source / "subscenes.zip"
    data = bytearray(path.read_bytes())
    data[data.index(f"{plain.scenes[3]}.npy".encode()) + 1000] ^= 0xFF
    path.write_bytes(data)
    done = convert(source, tmp_path / "store.zarr", on_defect=on_defect)  # type: ignore[arg-type]
    assert list(done.defects) == [plain.scenes[3]]
    ds = open_store(tmp_path / "store.zarr")
    assert ds["converted"].values.tolist() == [True, True, True, False, True]
    assert np.isnan(ds["reflectance"].values[3]).all()
    assert (ds["mask"].values[3] == 255).all()
    found = verify(tmp_path / "store.zarr")
    assert [scene for scene, _, _ in found.differences] == [plain.scenes[3]]
    again = convert(source, tmp_path / "store.zarr", on_defect=on_defect)  # type: ignore[arg-type]
    assert again.written == ()
    assert again.kept == 4


def test_what_does_not_match_is_refused_and_not_touched(plain: PlainRelease, store: Path, tmp_path: Path) -> None:
    before = contents(store)
    other = PlainRelease(scenes=plain.scenes[:3])
    with pytest.raises(CatalogueError, match=r"has other content\. Choose another store, or --overwrite"):
        convert(other.write(tmp_path / "three"), store)
    with pytest.raises(CatalogueError, match="converted from another source: scene_size"):
        convert(PlainRelease(size=33).write(tmp_path / "larger"), store)
    plain.files["subscenes"][f"{plain.scenes[0]}.npy"] = npy(plain.subscenes[plain.scenes[1]])
    with pytest.raises(CatalogueError, match="subscenes has other content"):
        convert(plain.write(tmp_path / "changed"), store)
    with pytest.raises(CatalogueError, match="converted with other options: on_defect is 'raise' there"):
        convert(tmp_path / "release", store, on_defect="mark")
    assert contents(store) == before
    convert(tmp_path / "changed", store, overwrite=True)
    assert verify(store, tmp_path / "changed").passed
    assert not verify(store, tmp_path / "release").passed


def test_unpacked_and_zipped_releases_are_the_same_source(plain: PlainRelease, store: Path, tmp_path: Path) -> None:
    folder = plain.write(tmp_path / "folder", unpacked=("subscenes", "masks", "alt_masks", "shapefiles", "thumbnails"))
    assert convert(folder, store).written == ()
    assert verify(store, folder).passed


@pytest.mark.parametrize("on_defect", ["raise", "skip"])
def test_without_subscenes_and_masks_there_is_nothing_to_convert(
    plain: PlainRelease, real_csv: Path, tmp_path: Path, on_defect: OnDefect
) -> None:
    for component in ("subscenes", "masks"):
        plain.files[component].clear()
    source = plain.write(tmp_path / "release")
    with zipfile.ZipFile(source / "masks.zip", "w"):
        pass
    for release in (source, real_csv):
        with pytest.raises(CatalogueError, match="has neither subscenes nor masks that can be read"):
            convert(release, tmp_path / "S.zarr", on_defect=on_defect)
    assert not (tmp_path / "S.zarr").exists()


def test_a_thumbnail_of_another_size_is_not_written(plain: PlainRelease, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (9, 8)).save(stream, "PNG")
    plain.files["thumbnails"][f"{plain.scenes[2]}.png"] = stream.getvalue()
    source = plain.write(tmp_path / "release")
    with pytest.raises(DefectError, match=f"{plain.scenes[2]}.png: 8 × 9 pixels, expected 8 × 8"):
        convert(source, tmp_path / "S.zarr")
    done = convert(source, tmp_path / "S.zarr", on_defect="mark", overwrite=True)
    assert list(done.defects) == [plain.scenes[2]]
    assert [scene for scene, _, _ in verify(tmp_path / "S.zarr").differences] == [plain.scenes[2]]


def test_places_that_cannot_become_a_store_are_named(plain: PlainRelease, tmp_path: Path) -> None:
    source = plain.write(tmp_path / "release")
    for target, message in (
        ("", "the path of the store is empty"),
        (source / "masks.zip", "is no store|zip"),
        (source / "classification_tags.csv", "classification_tags.csv is a file, expected the folder of a store"),
        ("/proc/S.zarr", "cannot write to .*/proc/S.zarr: No such file or directory"),
    ):
        with pytest.raises(CatalogueError, match=message):
            convert(source, target)


def test_other_peoples_files_are_never_replaced(plain: PlainRelease, tmp_path: Path) -> None:
    source = plain.write(tmp_path / "release")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    zarr.create_group(tmp_path / "foreign.zarr")
    for target in ("mine", "foreign.zarr"):
        before = contents(tmp_path / target)
        for overwrite in (False, True):
            with pytest.raises(CatalogueError, match="is no store of the catalogue"):
                convert(source, tmp_path / target, overwrite=overwrite)
        assert contents(tmp_path / target) == before


def test_a_run_that_died_while_the_store_was_made_is_begun_again(store: Path, tmp_path: Path) -> None:
    expected = contents(store)
    root = json.loads((store / "zarr.json").read_text())
    del root["consolidated_metadata"]
    root["attributes"] |= {"conversion": "incomplete", "planned_scenes": open_store(store)["scene"].values.tolist()}
    (store / "zarr.json").write_text(json.dumps(root))
    for path in (store / "tags").rglob("*"):
        if path.is_file():
            path.unlink()
    assert len(plan_for(tmp_path / "release", store).pending) == 5
    convert(tmp_path / "release", store)
    assert contents(store) == expected


def test_a_record_that_was_cut_short_does_not_count(plain: PlainRelease, store: Path, tmp_path: Path) -> None:
    expected = contents(store)
    root = json.loads((store / "zarr.json").read_text())
    root["attributes"] |= {"conversion": "incomplete", "planned_scenes": list(plain.scenes), "laid_out": True}
    (store / "zarr.json").write_text(json.dumps(root))
    records = store / "converted" / "records"
    records.mkdir(exist_ok=True)
    (records / f"{plain.scenes[0]}.json").write_text('{"converted": true, "mask_cl')
    assert len(plan_for(tmp_path / "release", store).pending) == 5
    convert(tmp_path / "release", store)
    assert contents(store) == expected


def test_open_store_says_what_is_not_a_store(tmp_path: Path, store: Path) -> None:
    with pytest.raises(CatalogueError, match="no store of the catalogue there"):
        open_store(tmp_path / "nowhere")
    root = json.loads((store / "zarr.json").read_text())
    root["attributes"]["schema_version"] = 99
    (store / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(CatalogueError, match="schema 99, this version of s2cmc-zarr reads 1"):
        open_store(store)


def test_open_catalogue_opens_either(store: Path) -> None:
    assert open_catalogue(store).attrs["conversion"] == "complete"
    assert "conversion" not in open_catalogue(store.parent / "release").attrs


def test_a_store_in_another_file_system(plain: PlainRelease, tmp_path: Path) -> None:
    source = plain.write(tmp_path / "release")
    url = f"file://{tmp_path}/store.zarr"
    convert(f"file://{source}", url)
    assert verify(url, source).passed
    with pytest.raises(CatalogueError, match="storage options were given for the local path"):
        convert(source, tmp_path / "other.zarr", storage_options={"key": "secret"})
    assert DIMS.keys() <= set(open_store(url).data_vars)


def test_only_the_chosen_scenes_are_converted(replica: Path, tmp_path: Path) -> None:
    release = open_release(replica)
    chosen = release["tags"].sel(tag="open_water") | (release["difficulty"] >= 4)
    done = convert(replica, tmp_path / "S.zarr", scenes="open_water or difficulty >= 4")
    assert list(done.written) == release["scene"].values[chosen.values].tolist()
    ds = xr.open_zarr(tmp_path / "S.zarr")
    assert ds["scene"].values.tolist() == list(done.written)
    np.testing.assert_array_equal(ds["mask"].values, release["mask"].values[chosen.values])
    assert verify(tmp_path / "S.zarr", replica).passed


@pytest.mark.parametrize("order", [[4, 1, 6], [0, 7, 3, 5], [7, 6, 5, 4, 3, 2, 1, 0], [2, 2, 3]])
def test_scenes_added_later_end_in_the_same_bytes(replica: Path, tmp_path: Path, order: list[int]) -> None:
    scenes = open_release(replica)["scene"].values
    convert(replica, tmp_path / "at_once.zarr", scenes=scenes[sorted(set(order))])
    for number in order:
        convert(replica, tmp_path / "S.zarr", scenes=[scenes[number]])
    assert contents(tmp_path / "S.zarr") == contents(tmp_path / "at_once.zarr")
    assert verify(tmp_path / "S.zarr", replica).passed
    convert(replica, tmp_path / "S.zarr")
    convert(replica, tmp_path / "all.zarr")
    assert contents(tmp_path / "S.zarr") == contents(tmp_path / "all.zarr")


DIE = """
import os, random, signal, sys
import s2cmc_zarr
from zarr.storage import LocalStore

countdown = int(sys.argv[3])

def mortal(name):
    method = getattr(LocalStore, name)
    async def dies(self, *args, **kwargs):
        global countdown
        countdown -= 1
        if countdown < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await method(self, *args, **kwargs)
    setattr(LocalStore, name, dies)

for name in ("set", "delete", "delete_dir"):
    mortal(name)
s2cmc_zarr.convert(sys.argv[1], sys.argv[2], scenes=sys.argv[4] or None)
"""


def test_whichever_write_is_the_last_the_next_run_ends_in_the_same_bytes(tmp_path: Path) -> None:
    """Kill a run before each of its writes to a store to which scenes are added, every time from where it was."""
    plain = PlainRelease(size=16)
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    convert(source, tmp_path / "expected.zarr")
    expected = contents(tmp_path / "expected.zarr")
    convert(source, store, scenes=plain.scenes[1::2])
    deaths = 0
    for countdown in range(0, 400, 23):
        done = subprocess.run([sys.executable, "-c", DIE, source, store, str(countdown), ""], check=False)
        deaths += done.returncode == -9
        if done.returncode == 0:
            break
        state = json.loads((store / "zarr.json").read_text())["attributes"]["conversion"]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ds = open_store(store)
        assert len(caught) == (state == "incomplete")
        for number, scene in enumerate(ds["scene"].values.tolist()):
            if ds["converted"].values[number]:
                assert (ds["mask"].values[number] == plain.labels[scene]).all()
    else:
        pytest.fail("the run never came to its end")
    assert deaths >= 5
    assert contents(store) == expected


def test_two_writers_are_one_too_many(plain: PlainRelease, tmp_path: Path) -> None:
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    target = connect(store, read_only=False)
    with claim(target):
        with pytest.raises(CatalogueError, match=rf"another run is writing to this store: process {os.getpid()} on"):
            convert(source, store)
        assert contents(store).keys() == {"converted/claim.json"}
    convert(source, store)
    assert verify(store, source).passed


def test_a_claim_that_is_taken_over_cannot_finish(plain: PlainRelease, tmp_path: Path) -> None:
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    with (
        pytest.raises(CatalogueError, match="only one of them may finish"),
        claim(connect(store, read_only=False)),
    ):
        convert(source, store, take_over=True)
    assert verify(store, source).passed
    assert not (store / "converted" / "claim.json").exists()


@pytest.mark.parametrize(
    "dead",
    [
        {"host": socket.gethostname(), "process": 2**22 + 1, "started": 0.0, "renewed": time.time()},
        {"host": socket.gethostname(), "process": os.getpid(), "started": 0.0, "renewed": time.time()},
        {"host": "elsewhere", "process": 1, "started": 0.0, "renewed": time.time() - 600},
    ],
)
def test_a_dead_claim_is_taken_over(plain: PlainRelease, tmp_path: Path, dead: dict[str, object]) -> None:
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    (store / "converted").mkdir(parents=True)
    (store / "converted" / "claim.json").write_text(json.dumps(dead | {"token": "x"}))
    convert(source, store)
    assert verify(store, source).passed


def test_what_was_being_written_is_no_other_store(plain: PlainRelease, tmp_path: Path) -> None:
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    (store / "converted").mkdir(parents=True)
    for name in ("zarr.0f.partial", "zarr.json.0f.partial", "converted/claim.json.0f.partial"):
        (store / name).write_text("{")
    convert(source, store)
    assert verify(store, source).passed
    assert not list(store.glob("*.partial"))


def test_a_record_is_on_the_disk_after_its_shards_and_the_root_after_all(
    plain: PlainRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what a store says is true even if the power failed just then."""
    brought: list[str] = []
    fsync, sync_all = os.fsync, os.sync

    def one(file: int) -> None:
        fsync(file)
        brought.append(str(Path(f"/proc/self/fd/{file}").readlink().relative_to(tmp_path / "S.zarr")))

    def everything() -> None:
        sync_all()
        brought.append("everything")

    monkeypatch.setattr(os, "fsync", one)
    monkeypatch.setattr(os, "sync", everything)
    convert(plain.write(tmp_path / "release"), tmp_path / "S.zarr")
    keys = [name.rsplit(".", 2)[0] for name in brought]
    assert keys[-2:] == ["everything", "zarr.json"]
    for position, scene in enumerate(plain.scenes):
        record = keys.index(f"converted/records/{scene}.json")
        for shard in (f"reflectance/c/{position}/0/0/0", f"mask/c/{position}/0/0"):
            assert keys.index(shard) < record


@pytest.mark.parametrize("content", [b"", b'{"token": "x", "ho', bytes(100), b'{"host": "x"}'])
def test_a_claim_without_its_content_is_taken_over(plain: PlainRelease, tmp_path: Path, content: bytes) -> None:
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    (store / "converted").mkdir(parents=True)
    (store / "converted" / "claim.json").write_bytes(content)
    convert(source, store)
    assert verify(store, source).passed
    assert not (store / "converted" / "claim.json").exists()


def test_a_claim_on_another_machine_is_respected(plain: PlainRelease, tmp_path: Path) -> None:
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    (store / "converted").mkdir(parents=True)
    alive = {"host": "elsewhere", "process": 1, "started": 0.0, "renewed": time.time() - 5, "token": "x"}
    (store / "converted" / "claim.json").write_text(json.dumps(alive))
    with pytest.raises(CatalogueError, match=r"process 1 on elsewhere, last sign \d s ago"):
        convert(source, store)


def test_only_the_chosen_bands_are_converted(plain: PlainRelease, tmp_path: Path) -> None:
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    convert(source, store, bands=["B08", "B02"])
    ds = open_store(store)
    assert ds["band"].values.tolist() == ["B02", "B08"]
    assert ds["centre_wavelength"].values.tolist() == [492.4, 832.8]
    for number, scene in enumerate(plain.scenes):
        assert (ds["reflectance"].values[number] == plain.subscenes[scene][..., [1, 7]].transpose(2, 0, 1)).all()
    assert verify(store, source).passed
    with pytest.raises(CatalogueError, match=r"bands is \['B02', 'B08'\] there"):
        convert(source, store)
    with pytest.raises(CatalogueError, match="'B8' is no band; choose from: B01, B02"):
        convert(source, tmp_path / "other.zarr", bands=["B8"])
    given: list[tuple[Any, list[str]]] = [("B02", ["B02"]), ("B8A, B02", ["B02", "B8A"]), (ds["band"], ["B02", "B08"])]
    for bands, expected in given:
        convert(source, tmp_path / "other.zarr", bands=bands, scenes=plain.scenes[:1], overwrite=True)
        assert open_store(tmp_path / "other.zarr")["band"].values.tolist() == expected


@pytest.mark.parametrize("on_defect", ["raise", "skip", "mark"])
def test_defects_of_scenes_that_are_not_chosen_do_not_matter(
    plain: PlainRelease, tmp_path: Path, on_defect: OnDefect
) -> None:
    convert(plain.write(tmp_path / "good"), tmp_path / "expected.zarr", scenes=plain.scenes[3:], on_defect=on_defect)
    plain.files["subscenes"][f"{plain.scenes[0]}.npy"] = npy(np.zeros((32, 31, 13), "<f4"))
    plain.files["masks"][f"{plain.scenes[1]}.npy"] = npy(one_hot(1 - plain.labels[plain.scenes[1]]))
    plain.files["shapefiles"][f"{plain.scenes[2]}.prj"] = b"nonsense"
    plain.files["masks"]["unknown.npy"] = b""
    source = plain.write(tmp_path / "bad")
    done = convert(source, tmp_path / "S.zarr", scenes=plain.scenes[3:], on_defect=on_defect)
    assert (list(done.written), done.defects) == (list(plain.scenes[3:]), {})
    ds, expected = (open_store(tmp_path / name) for name in ("S.zarr", "expected.zarr"))
    assert "not_in_table" not in ds.attrs
    xr.testing.assert_equal(ds.load(), expected.load())
    assert verify(tmp_path / "S.zarr", source).passed
    if on_defect == "raise":
        for number in range(3):
            with pytest.raises(DefectError, match=f"^1 scene.* contradict .*\n  {plain.scenes[number]}: "):
                convert(source, tmp_path / "S.zarr", scenes=[plain.scenes[number]])
    with pytest.raises(DefectError, match=r"^\d scene\(s\)") as caught:
        convert(source, tmp_path / "other.zarr")
    assert "unknown" in str(caught.value)


@pytest.mark.parametrize(
    ("complete", "loss"),
    [(True, "shard"), (True, "second mask"), (False, "shard"), (False, "second mask"), (False, "cut short")],
)
def test_a_scene_whose_shard_was_lost_is_converted_again(
    plain: PlainRelease, store: Path, complete: bool, loss: str
) -> None:
    expected, source = contents(store), store.parent / "release"
    if not complete:
        shutil.rmtree(store)
        convert(source, store, scenes=plain.scenes[1:4])
        # As far as a run comes that adds the others and dies before it writes one.
        prepare(make_plan(Release.open(str(source)), connect(store, read_only=False)))
    kept = {True: 4, False: 2}[complete]
    names = {"shard": "reflectance/c/{}/0/0/0", "second mask": "alt_mask/c/{}/0/0", "cut short": "mask/c/{}/0/0"}
    path = store / names[loss].format(3)
    if loss == "cut short":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    done = convert(source, store)
    assert plain.scenes[3] in done.written
    assert done.kept == kept
    assert contents(store) == expected


def test_records_are_read_many_at_a_time() -> None:
    class Slow(WrapperStore[Store]):
        now = most = 0

        async def get(self, *args: Any, **kwargs: Any) -> Any:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.01)
            self.now -= 1
            return await self._store.get(*args, **kwargs)

    slow = Slow(MemoryStore())
    records = {f"scene{number:03}": Record(True, number) for number in range(100)}
    for scene, record in records.items():
        write_record(slow, scene, record)
    assert read_records(slow) == records
    assert 10 < slow.most < 100

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from releases import SCENES, PlainRelease, npy
from s2cmc_zarr import CatalogueError, convert, verify
from s2cmc_zarr.schema import BAND_NAMES, DIMS


@pytest.fixture
def store(plain: PlainRelease, tmp_path: Path) -> Path:
    convert(plain.write(tmp_path / "release"), tmp_path / "store.zarr")
    return tmp_path / "store.zarr"


@pytest.mark.parametrize("with_source", [False, True])
def test_a_whole_store_passes(store: Path, with_source: bool) -> None:
    found = verify(store, store.parent / "release" if with_source else None)
    assert found.passed
    assert (found.scenes, found.arrays) == (5, 20)


@pytest.mark.parametrize(
    ("variable", "index", "change"),
    [
        ("reflectance", (3, 12, 31, 31), lambda value: np.nextafter(value, np.float32(2))),
        ("reflectance", (0, 0, 0, 0), lambda value: -value),
        ("mask", (2, 0, 0), lambda value: (value + 1) % 3),
        ("mask", (2, 0, 0), lambda _: 255),
        ("alt_mask", (1, 5, 5), lambda value: (value + 1) % 3),
        ("thumbnail", (4, 0, 0, 0), lambda value: value ^ 1),
    ],
)
@pytest.mark.parametrize("with_source", [False, True])
def test_one_changed_value_is_found_and_named(  # type: ignore[no-untyped-def]
    plain: PlainRelease, store: Path, variable: str, index: tuple[int, ...], change, with_source: bool
) -> None:
    array = zarr.open_array(store, path=variable, mode="r+")
    array[index] = change(array[index])
    found = verify(store, store.parent / "release" if with_source else None)
    assert not found.passed
    assert {difference[:2] for difference in found.differences} == {(plain.scenes[index[0]], variable)}
    assert any("SHA-256" in what for _, _, what in found.differences)
    assert any("1 values differ" in what for _, _, what in found.differences) is with_source


def test_a_second_mask_that_nobody_released_is_found(plain: PlainRelease, store: Path) -> None:
    zarr.open_array(store, path="alt_mask", mode="r+")[0, 0, 0] = 1
    assert verify(store).differences == [(plain.scenes[0], "alt_mask", "has values, although the release had none")]


def test_a_lost_shard_is_found(plain: PlainRelease, store: Path) -> None:
    (store / "reflectance" / "c" / "2" / "0" / "0" / "0").unlink()
    assert {difference[:2] for difference in verify(store).differences} == {(plain.scenes[2], "reflectance")}


def test_a_damaged_shard_is_found(plain: PlainRelease, store: Path) -> None:
    path = store / "reflectance" / "c" / "2" / "0" / "0" / "0"
    path.write_bytes(path.read_bytes()[:-1000])
    assert {difference[:2] for difference in verify(store).differences} == {(plain.scenes[2], "reflectance")}


@pytest.mark.parametrize("name", ["tags", "x_origin", "time", "footprint", "table_class_count"])
def test_a_changed_coordinate_is_found(store: Path, name: str) -> None:
    array = zarr.open_array(store, path=name, mode="r+")
    values = np.asarray(array[...])
    values[1] = values[0] if name == "footprint" else ~values[1] if values.dtype == bool else values[1] + 1
    array[...] = values
    by_digest = ("", name, "is not what was converted: its SHA-256 differs")
    assert verify(store).differences == [by_digest]
    assert verify(store, store.parent / "release").differences == [by_digest, ("", name, "differs from the release")]


@pytest.mark.parametrize("name", ["shadows_marked", "defects", "converted", "mask_sha256"])
def test_changed_bookkeeping_is_found(store: Path, name: str) -> None:
    array = zarr.open_array(store, path=name, mode="r+")
    values = np.asarray(array[...])
    values[1] = not values[1] if values.dtype == bool else "another"
    array[...] = values
    assert ("", name, "is not what was converted: its SHA-256 differs") in verify(store).differences


def test_a_lost_coordinate_is_found(store: Path) -> None:
    shutil.rmtree(store / "difficulty" / "c")
    assert verify(store).differences == [("", "difficulty", "is not what was converted: its SHA-256 differs")]
    (store / "difficulty" / "zarr.json").unlink()
    assert [name for _, name, _ in verify(store).differences] == ["difficulty"]


@pytest.mark.parametrize("name", ["scene", "x", "tags", "time"])
def test_a_damaged_coordinate_is_named(store: Path, name: str) -> None:
    (path,) = (path for path in (store / name / "c").rglob("*") if path.is_file())
    path.write_bytes(path.read_bytes()[:-3] + b"\0\1\2")
    with pytest.raises(CatalogueError, match=f"coordinate '{name}' cannot be read .*convert again with --overwrite"):
        verify(store)
    convert(store.parent / "release", store, overwrite=True)
    assert verify(store).passed


def test_a_time_that_is_none_is_named(store: Path) -> None:
    array = zarr.open_array(store, path="time", mode="r+")
    array[1] = 2**60
    with pytest.raises(CatalogueError, match="coordinate 'time' cannot be read"):
        verify(store)


def test_arrays_are_those_of_the_schema(store: Path) -> None:
    root = json.loads((store / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["mask"] |= {"data_type": "int8", "fill_value": -1}
    (store / "zarr.json").write_text(json.dumps(root))
    assert [(name, what) for _, name, what in verify(store).differences] == [
        ("mask", "its zarr.json is absent, or is not what the store's own says of it"),
        ("mask", "is int8 with fill value -1, expected uint8 with 255"),
    ]


def test_every_changed_or_lost_attribute_of_the_root_is_found(store: Path) -> None:
    whole = json.loads((store / "zarr.json").read_text())
    by_digest = "the attributes in zarr.json are not what was written: their SHA-256 differs or is absent"
    passed = []
    for name, value in whole["attributes"].items():
        for attributes in (whole["attributes"] | {name: [value]}, {**whole["attributes"]}):
            if attributes[name] == value:
                del attributes[name]
            (store / "zarr.json").write_text(json.dumps(whole | {"attributes": attributes}))
            # Without some of them, it cannot even be opened.
            with contextlib.suppress(CatalogueError):
                if verify(store).differences != [("", "", by_digest)]:
                    passed.append(name)
    assert not passed


def test_the_digest_of_attributes_is_as_documented(store: Path) -> None:
    attributes = json.loads((store / "zarr.json").read_text())["attributes"]
    digest = attributes.pop("attributes_sha256")
    line = json.dumps(dict(sorted(attributes.items())), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert hashlib.sha256(line.encode("ascii")).hexdigest() == digest


def test_a_lost_array_is_found(store: Path) -> None:
    shutil.rmtree(store / "reflectance")
    assert [name for _, name, _ in verify(store).differences] == ["reflectance"]


def test_damage_is_told_without_the_bytes(store: Path) -> None:
    path = store / "mask" / "c" / "2" / "0" / "0"
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    ((_, _, what),) = verify(store).differences
    assert "cannot be read" in what
    assert "b'" not in what


@pytest.mark.parametrize("content", [b"", b"garbage", b"[1]"])
def test_a_damaged_root_is_no_absent_store(store: Path, content: bytes) -> None:
    (store / "zarr.json").write_bytes(content)
    for use in (verify, lambda path: convert(store.parent / "release", path)):
        with pytest.raises(CatalogueError, match=r"its zarr.json is damaged, expected JSON; copy the store again"):
            use(store)


@pytest.mark.parametrize(
    ("state", "lost"),
    [("complete", "preset"), ("incomplete", "source_digests"), ("incomplete", "planned_scenes"), ("?", "")],
)
def test_a_root_that_lost_an_attribute_is_damaged(store: Path, state: str, lost: str) -> None:
    root = json.loads((store / "zarr.json").read_text())
    root["attributes"] |= {"conversion": state, "planned_scenes": []}
    root["attributes"].pop(lost, None)
    (store / "zarr.json").write_text(json.dumps(root))
    for use in (verify, lambda path: convert(store.parent / "release", path)):
        with pytest.raises(CatalogueError, match=r"zarr.json is damaged and .*remove it and convert again"):
            use(store)


def test_a_complete_store_has_consolidated_metadata(store: Path) -> None:
    root = json.loads((store / "zarr.json").read_text())
    del root["consolidated_metadata"]
    (store / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(CatalogueError, match=r"its metadata cannot be read \(Consolidated metadata.*--overwrite"):
        verify(store)


def test_digests_of_coordinates_are_as_documented(store: Path) -> None:
    digests = zarr.open_group(store, mode="r").attrs["coordinates_sha256"]
    assert isinstance(digests, dict)
    assert set(digests) == {path.parent.name for path in store.glob("*/zarr.json")} - set(DIMS)
    bands = b'[["band"], "string", [13]]\n' + b"".join(name.encode() + b"\0" for name in BAND_NAMES)
    times = pd.to_datetime([scene[11:26] for scene in SCENES])
    seconds = struct.pack("<5q", *[int((time - pd.Timestamp(0)).total_seconds()) for time in times])
    assert digests["band"] == hashlib.sha256(bands).hexdigest()
    assert digests["time"] == hashlib.sha256(b'[["scene"], "<i8", [5]]\n' + seconds).hexdigest()


def test_another_release_is_found_different(plain: PlainRelease, store: Path, tmp_path: Path) -> None:
    changed = plain.subscenes[plain.scenes[4]].copy()
    changed[1, 2, 3] += 1
    plain.files["subscenes"][f"{plain.scenes[4]}.npy"] = npy(changed)
    found = verify(store, plain.write(tmp_path / "changed"))
    assert found.differences == [(plain.scenes[4], "reflectance", "1 values differ from the release")]
    fewer = verify(store, PlainRelease(scenes=plain.scenes[:4]).write(tmp_path / "fewer"))
    assert (plain.scenes[4], "", "is not in the release") in fewer.differences
    plain.files["alt_masks"].clear()
    lacking = verify(store, plain.write(tmp_path / "lacking"))
    assert ("", "alt_mask", "is not in the release") in lacking.differences

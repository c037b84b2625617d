from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from releases import PlainRelease, npy
from s2cmc_zarr import convert, verify


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
    assert verify(store, store.parent / "release").differences == [("", name, "differs from the release")]


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

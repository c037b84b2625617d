from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from s2cmc_zarr import CatalogueError, convert, open_store
from s2cmc_zarr.schema import FILL_VALUES
from s2cmc_zarr.store.presets import PRESETS, WHOLE, Encoding, PresetName
from s2cmc_zarr.store.shards import encode_shard, shard_key, write_shard


def read_back(values: npt.NDArray[Any], encoding: Encoding, name: str) -> npt.NDArray[Any]:
    """Write one scene among three with the package, and read it with Zarr."""
    store = MemoryStore()
    array = zarr.create_array(
        store,
        name=name,
        shape=(3, *values.shape),
        dtype=values.dtype,
        shards=encoding.shards(values.shape),
        chunks=encoding.chunks(values.shape),
        **encoding.zarr_codecs(values.dtype.itemsize),
        fill_value=FILL_VALUES[name],
    )
    write_shard(store, name, 1, values, encoding)
    others = np.asarray(array[::2])
    assert np.array_equal(others, np.full(others.shape, FILL_VALUES[name], values.dtype), equal_nan=True)
    return np.asarray(array[1])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [16, 64, 300, 1022])
def test_zarr_reads_what_is_written(preset: Any, size: int) -> None:
    values = np.random.default_rng(size).uniform(-1, 2, (13, size, size)).astype(np.float32)
    values[0, 0, :3] = [np.nan, np.inf, -0.0]
    assert read_back(values, PRESETS[preset], "reflectance").tobytes() == values.tobytes()


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(*[st.integers(1, 40)] * 3),
    st.tuples(*[st.integers(1, 50)] * 3),
    st.sampled_from(["zstd", "lz4"]),
    st.sampled_from(["noshuffle", "shuffle", "bitshuffle"]),
)
def test_any_scene_in_any_chunks(shape: tuple[int, ...], chunk: tuple[int, ...], compressor: Any, shuffle: Any) -> None:
    values = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    encoding = Encoding(chunk, compressor, 1, shuffle)
    assert read_back(values, encoding, "reflectance").tobytes() == values.tobytes()


def test_small_arrays_are_one_chunk() -> None:
    mask = np.random.default_rng(0).integers(0, 3, (70, 50)).astype(np.uint8)
    assert (read_back(mask, WHOLE, "mask") == mask).all()
    assert WHOLE.chunks(mask.shape) == WHOLE.shards(mask.shape) == (1, 70, 50)


def test_the_bytes_are_those_that_zarr_writes() -> None:
    """Except that Zarr stores chunks along a Morton curve, which for one chunk is the same."""
    values = np.random.default_rng(0).integers(0, 3, (64, 64)).astype(np.uint8)
    store = MemoryStore()
    array = zarr.create_array(
        store,
        name="mask",
        shape=(1, 64, 64),
        dtype="uint8",
        shards=(1, 64, 64),
        chunks=(1, 64, 64),
        **WHOLE.zarr_codecs(1),
        fill_value=255,
    )
    array[0] = values
    expected = store._store_dict[shard_key("mask", 0, 3)].to_bytes()
    assert b"".join(encode_shard(values, WHOLE, 255)) == expected


@pytest.mark.parametrize("preset", ["balanced", "training"])
def test_a_changed_byte_is_noticed_by_whoever_reads(replica: Path, tmp_path: Path, preset: PresetName) -> None:
    convert(replica, tmp_path / "store.zarr", preset=preset)
    shard = tmp_path / "store.zarr" / shard_key("reflectance", 2, 4)
    data = bytearray(shard.read_bytes())
    data[1000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CatalogueError, match="reflectance/c/2/0/0/0 is damaged"):
        open_store(tmp_path / "store.zarr").reflectance.isel(scene=2).compute()
    with pytest.raises(ValueError, match="checksum"):
        xr.open_zarr(tmp_path / "store.zarr").reflectance.isel(scene=2).compute()
    open_store(tmp_path / "store.zarr").reflectance.isel(scene=1).compute()

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from xarray.core import indexing
from zarr.abc.store import Store
from zarr.storage import LocalStore, MemoryStore, WrapperStore

from s2cmc_zarr import CatalogueError, DefectError, IncompleteStoreWarning, convert, export_zip, open_store
from s2cmc_zarr.schema import DIMS, FILL_VALUES
from s2cmc_zarr.store.presets import PRESETS, Encoding
from s2cmc_zarr.store.reading import ShardArray, codec_of
from s2cmc_zarr.store.shards import write_shard

# That Pcodec stands in no specification is known.
pytestmark = pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr")


@pytest.fixture(scope="module", params=[(preset, False) for preset in PRESETS] + [("balanced", True)], ids=str)
def store(request: pytest.FixtureRequest, replica: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    preset, packed = request.param
    target = tmp_path_factory.mktemp("store") / "catalogue.zarr"
    convert(replica, target, preset=preset, packed=packed)
    return target


def assert_same_as_zarr(path: Path) -> None:
    """Compare with xarray's own opening, bit by bit."""
    found = open_store(path)
    engine = "zip::" + str(path) if path.suffix == ".zip" else path
    with xr.open_zarr(engine, chunks=None, consolidated=found.attrs["conversion"] == "complete") as expected:
        for name in DIMS:
            if name in expected:
                assert _is_direct(found[name])
                values = expected[name].values.astype(found[name].dtype)
                assert found[name].values.tobytes() == values.tobytes(), name
                assert found[name].attrs == expected[name].attrs


def _is_direct(array: xr.DataArray) -> bool:
    return "ShardArray" in repr(list(dict(array.data.__dask_graph__()).values()))


def test_the_same_values_as_zarr(store: Path) -> None:
    assert_same_as_zarr(store)


def test_from_a_zip(store: Path, tmp_path: Path) -> None:
    assert_same_as_zarr(export_zip(store, tmp_path / "catalogue.zarr.zip"))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_scene_whose_shard_is_missing_is_an_error(store: Path, tmp_path: Path, zipped: bool) -> None:
    copy = shutil.copytree(store, tmp_path / "catalogue.zarr")
    scene = open_store(copy)["scene"].values[3]
    for name in ("reflectance", "mask"):
        shutil.rmtree(copy / name / "c" / "3")
    if zipped:
        copy = Path(shutil.make_archive(str(tmp_path / "catalogue"), "zip", copy))
    found = open_store(copy)
    message = rf"{scene}: {{}}/c/3/0/0.* is missing, .* s2cmc verify .* s2cmc convert"
    for name in ("reflectance", "mask"):
        with pytest.raises(DefectError, match=message.format(name)):
            found[name].isel(scene=3).compute()
        with pytest.raises(DefectError, match=message.format(name)):
            found[name].isel(scene=3, y=0, x=slice(5)).compute()
        found[name].isel(scene=2).compute()


def test_what_was_not_released_is_fill_values(store: Path) -> None:
    found = open_store(store)["alt_mask"].isel(scene=~open_store(store)["has_alt_mask"].values)
    assert found.sizes["scene"]
    assert (found == 255).all()


class Elsewhere(WrapperStore[Store]):
    """A store of which only the objects can be asked for, not the files."""


@st.composite
def selections(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    def of_axis(size: int) -> st.SearchStrategy[Any]:
        return st.one_of(
            st.integers(0, size - 1),
            st.slices(size).filter(lambda part: part.step is None or part.step > 0),
            st.lists(st.integers(0, size - 1), max_size=4).map(lambda found: np.array(found, dtype=int)),
        )

    return tuple(draw(of_axis(size)) for size in shape)


@settings(max_examples=150)
@given(selections((3, 5, 20, 30)), st.tuples(*[st.integers(1, 31)] * 3), st.booleans())
def test_any_part_of_any_chunks(key: tuple[Any, ...], chunk: tuple[int, ...], local: bool) -> None:
    values = np.random.default_rng(0).random((3, 5, 20, 30)).astype(np.float32)
    encoding = Encoding(chunk, "lz4", 1, "shuffle")
    memory = MemoryStore()
    array = zarr.create_array(
        memory,
        name="reflectance",
        shape=values.shape,
        dtype=values.dtype,
        shards=encoding.shards(values.shape[1:]),
        chunks=encoding.chunks(values.shape[1:]),
        **encoding.zarr_codecs(4),
        fill_value=FILL_VALUES["reflectance"],
    )
    for scene in (0, 2):
        write_shard(memory, "reflectance", scene, values[scene], encoding)
    values[1] = np.nan
    codec = codec_of(array)
    assert codec == "blosc"
    read = ShardArray(Elsewhere(memory) if local else memory, array, codec)
    expected = values
    for axis in reversed(range(4)):
        expected = expected[(slice(None),) * axis + (key[axis],)]
    np.testing.assert_array_equal(read[indexing.OuterIndexer(key)], expected)


def test_chunks_that_zarr_left_out(tmp_path: Path) -> None:
    array = zarr.create_array(
        LocalStore(tmp_path),
        name="mask",
        shape=(2, 8, 8),
        dtype="u1",
        shards=(1, 8, 8),
        chunks=(1, 4, 4),
        compressors=[zarr.codecs.BloscCodec(cname="zstd"), zarr.codecs.Crc32cCodec()],
        fill_value=255,
    )
    array[1, :4, :4] = 1
    read = ShardArray(LocalStore(tmp_path), array, codec_of(array) or "")
    for key in ((slice(None),) * 3, (1, slice(0, 2), slice(None)), (1, 7, 7)):
        np.testing.assert_array_equal(read[indexing.BasicIndexer(key)], array[key])


@pytest.mark.parametrize(
    "layout",
    [
        {"chunks": (1, 4, 4)},
        {"shards": (2, 8, 8), "chunks": (1, 4, 4)},
        {"shards": (1, 4, 8), "chunks": (1, 4, 4)},
        {"shards": (1, 8, 8), "chunks": (1, 4, 4), "compressors": None},
        {"shards": (1, 8, 8), "chunks": (1, 4, 4), "compressors": zarr.codecs.ZstdCodec()},
        {"shards": (1, 8, 8), "chunks": (1, 4, 4), "compressors": zarr.codecs.BloscCodec(cname="zstd")},
        {"shards": {"shape": (1, 8, 8), "index_location": "start"}, "chunks": (1, 4, 4)},
    ],
    ids=str,
)
def test_other_layouts_are_left_to_zarr(layout: dict[str, Any]) -> None:
    layout = {"compressors": zarr.codecs.BloscCodec(), **layout}
    assert codec_of(zarr.create_array(MemoryStore(), shape=(2, 8, 8), dtype="u1", **layout)) is None


def test_other_layouts_are_opened(store: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(store, tmp_path / "catalogue.zarr")
    mask = zarr.open_array(copy, path="mask", mode="r")
    values, attributes = np.asarray(mask[...]), dict(mask.attrs)
    zarr.create_array(
        copy,
        name="mask",
        data=values,
        chunks=(4, 16, 64),
        attributes=attributes,
        fill_value=255,
        dimension_names=DIMS["mask"],
        overwrite=True,
    )
    root = json.loads((copy / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["mask"] = json.loads((copy / "mask" / "zarr.json").read_text())
    (copy / "zarr.json").write_text(json.dumps(root))
    found = open_store(copy)
    assert not _is_direct(found["mask"])
    np.testing.assert_array_equal(found["mask"], values)


def test_incomplete_stores(replica: Path, tmp_path: Path) -> None:
    target = tmp_path / "catalogue.zarr"
    convert(replica, target)
    root = target / "zarr.json"
    root.write_text(
        root.read_text()
        .replace('"complete"', '"incomplete"')
        .replace('"schema_version"', '"laid_out": true, "planned_scenes": [], "schema_version"')
    )
    shutil.rmtree(target / "reflectance" / "c" / "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IncompleteStoreWarning)
        assert_same_as_zarr(target)


@pytest.mark.parametrize("damage", ["cut short", "index", "chunk"])
def test_damage_is_named(replica: Path, tmp_path: Path, damage: str) -> None:
    target = tmp_path / "catalogue.zarr"
    convert(replica, target)
    shard = target / "reflectance" / "c" / "2" / "0" / "0" / "0"
    data = bytearray(shard.read_bytes())
    if damage == "cut short":
        data = data[: len(data) // 2]
    elif damage == "index":
        data[-20] ^= 1
    else:
        data[:4] = bytes(4)
    shard.write_bytes(data)
    with pytest.raises(CatalogueError, match=r"reflectance/c/2/0/0/0 is damaged .*; s2cmc verify tells"):
        open_store(target)["reflectance"].isel(scene=2).compute()

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from dask.base import optimize

from s2cmc_zarr.analysis.scenes import Output, map_scenes
from synthetic import synthetic


def number_of(scene: str, mask: npt.NDArray[np.uint8]) -> dict[str, Any]:
    assert type(scene) is str
    return {"number": int(scene[-2:]), "clear": np.count_nonzero(mask == 0)}


def test_the_kernel_is_given_the_name_of_the_scene() -> None:
    ds = synthetic()
    outputs = {name: Output((), np.int64, "") for name in ("number", "clear")}
    found = map_scenes(number_of, ds.isel(scene=[4, 1]), ("mask",), outputs, {}, with_scene=True).compute()
    assert found["number"].values.tolist() == [4, 1]
    np.testing.assert_array_equal(found["clear"], (ds["mask"] == 0).sum(("y", "x")).isel(scene=[4, 1]))


def summed(reflectance: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8]) -> dict[str, Any]:
    bands = reflectance.sum((1, 2), dtype=float)
    return {"total": bands.sum(), "by_band": bands, "clear": np.count_nonzero(mask == 0)}


OUTPUTS = {
    "total": Output((), np.float64, ""),
    "by_band": Output(("band",), np.float64, ""),
    "clear": Output((), np.int64, ""),
}


def tasks(ds: xr.Dataset) -> Counter[str]:
    """How many tasks there are of each kind, after Dask has put together what it can."""
    (optimised,) = optimize(ds)
    keys = [key[0] if isinstance(key, tuple) else key for key in dict(optimised.__dask_graph__())]
    return Counter(str(key).rpartition("-")[0] for key in keys)


@pytest.mark.parametrize(
    ("chunks", "blocks"),
    [
        ({"scene": 1}, 6),
        ({"scene": 2}, 3),
        ({"scene": (1, 3, 2)}, 3),
        ({"scene": -1}, 1),
        ({"scene": 4, "band": 3, "y": 5, "x": 7}, 6),
        ({"scene": 1, "y": 4}, 6),
        (None, 6),
    ],
    ids=str,
)
def test_one_task_a_block_of_scenes(chunks: Any, blocks: int) -> None:
    ds = synthetic(dask=False)
    found = map_scenes(summed, ds if chunks is None else ds.chunk(chunks), ("reflectance", "mask"), OUTPUTS, {})
    assert tasks(found)["apply"] == blocks
    whole = {"scene": 1, "band": 13, "y": 16, "x": 16}
    expected = map_scenes(summed, ds.chunk(whole), ("reflectance", "mask"), OUTPUTS, {}).compute()
    xr.testing.assert_identical(found.compute(), expected)
    np.testing.assert_allclose(expected["by_band"], ds["reflectance"].sum(("y", "x"), dtype=float, skipna=False))


def test_arrays_in_different_chunks() -> None:
    ds = synthetic(dask=False)
    ds = ds.assign(reflectance=ds["reflectance"].chunk(scene=4), mask=ds["mask"].chunk(scene=3))
    found = map_scenes(summed, ds, ("reflectance", "mask"), OUTPUTS, {})
    np.testing.assert_array_equal(found["clear"], (ds["mask"] == 0).sum(("y", "x")))
    np.testing.assert_allclose(found["total"], ds["reflectance"].sum(("band", "y", "x"), dtype=float, skipna=False))


def test_the_graph_does_not_grow_with_what_is_asked() -> None:
    ds = synthetic(150, size=4)
    outputs = {f"output_{number}": Output((), np.float64, "") for number in range(40)}

    def count(reflectance: npt.NDArray[np.float32]) -> dict[str, Any]:
        return dict.fromkeys(outputs, reflectance.size)

    few = map_scenes(count, ds, ("reflectance",), dict(list(outputs.items())[:1]), {})
    many = map_scenes(count, ds, ("reflectance",), outputs, {})
    assert few.chunksizes["scene"] == (64, 64, 22)
    assert tasks(many).total() - tasks(few).total() <= 40 * 3
    assert tasks(many)["apply"] == 150

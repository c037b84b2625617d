from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from plain_statistics import plain_statistics
from s2cmc_zarr import open_release
from s2cmc_zarr.analysis.groups import members
from s2cmc_zarr.analysis.statistics import statistics, tabulate
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.bins import bin_edges
from s2cmc_zarr.kernels.boundaries import DISTANCE_NAMES
from s2cmc_zarr.kernels.statistics import PATCH_SIZES, Statistic, scene_statistics
from s2cmc_zarr.release.replica import make_replica
from s2cmc_zarr.schema import BAND_NAMES, LABELS, UNLABELLED
from synthetic import reference, synthetic, watched

ALL: tuple[Statistic, ...] = ("moments", "histogram", "covariance", "pixels", "patches", "distance")
BINS = [-0.1, 0.05, 0.1, 0.25, 1.0]
NAMES = {"scene": "scene", "dataset": "scene", "tag": "tag", "tag_group": "tag"}


def test_each_scene_is_that_of_the_kernel() -> None:
    ds = synthetic()
    lazy = statistics(ds, ALL)
    assert all(array.chunks for array in lazy.data_vars.values())
    found = lazy.compute()
    assert found["mean"].dims == ("scene", "label", "band")
    assert found["label"].values.tolist() == list(LABELS)
    for scene in range(ds.sizes["scene"]):
        expected = scene_statistics(ds["reflectance"].values[scene], ds["mask"].values[scene], ALL, bin_edges())
        assert set(expected) == set(found.data_vars)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name].values[scene], values)
            assert found[name].dtype == values.dtype, name


def test_coordinates_of_scenes_are_kept_in_memory() -> None:
    ds = synthetic()
    found = statistics(ds)
    for name in ("tags", "tag_group", "difficulty", "shadows_marked", "band", "bandwidth"):
        assert found[name].chunks is None
        np.testing.assert_array_equal(found[name], ds[name])
    assert "y" not in found.variables


def test_a_coordinate_gives_way_to_a_result_of_its_name() -> None:
    ds = synthetic()
    found = statistics(ds.assign_coords(count=("scene", np.arange(6)))).compute()
    xr.testing.assert_identical(found, statistics(ds).compute())


def test_all_pixels_are_accounted_for() -> None:
    found = statistics(synthetic(size=16)).compute()
    labelled = found["class_count"].sum("label")
    assert (labelled + found["unlabelled_count"] == 16 * 16).all()
    observed = (found["count"] + found["non_finite_count"]).sum("label")
    assert (observed == observed.isel(band=0)).all()
    without_data = labelled - observed.isel(band=0)
    assert (without_data <= found["no_data_count"]).all()
    assert (found["no_data_count"] == 6).all()
    assert found["non_finite_count"].sum() == found["non_finite_count"].sel(band="B05").isel(scene=2).sum() == 1


def test_absent_class_is_nan() -> None:
    found = statistics(synthetic()).sel(label="cloud").isel(scene=0).compute()
    assert (found["count"] == 0).all()
    for name in ("mean", "variance", "minimum", "maximum"):
        assert found[name].isnull().all()


@pytest.mark.parametrize(
    "chunks",
    [{"scene": 4, "band": 3, "y": 5, "x": 7}, {"scene": -1}, {"scene": 2}, {"scene": 1, "y": 4}, None],
    ids=["patches", "one chunk", "two scenes", "rows", "in memory"],
)
def test_chunks_do_not_matter(chunks: dict[str, int] | None) -> None:
    ds = synthetic(dask=False)
    found = statistics(ds if chunks is None else ds.chunk(chunks))
    xr.testing.assert_identical(found.compute(), statistics(synthetic()).compute())


@pytest.mark.parametrize("dtype", [object, np.dtypes.StringDType()], ids=str)
def test_names_may_be_of_variable_length(dtype: npt.DTypeLike) -> None:
    ds = synthetic(dask=False)
    stored = ds.assign_coords({name: (dim, ds[name].values.astype(dtype)) for name, dim in NAMES.items()})
    for by in (None, "tags", "dataset"):
        expected = tabulate(statistics(ds), by).compute()
        found = tabulate(statistics(stored), by).compute()
        for name in expected.data_vars:
            np.testing.assert_array_equal(found[name], expected[name])


def test_order_of_dimensions_does_not_matter() -> None:
    ds = synthetic()
    xr.testing.assert_identical(statistics(ds.transpose("y", "x", ...)).compute(), statistics(ds).compute())


def test_lazily_indexed_arrays_stay_lazy(tmp_path: Path) -> None:
    ds = synthetic(dask=False)
    ds.to_zarr(tmp_path / "store.zarr", zarr_format=2)
    with xr.open_zarr(tmp_path / "store.zarr", chunks=None) as stored:
        found = statistics(stored)
        assert not stored["reflectance"].variable._in_memory
        xr.testing.assert_equal(found.compute(), statistics(ds).compute())


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_pixels_are_read_once(scheduler: str) -> None:
    reads: list[tuple[str, int]] = []
    lazy = statistics(watched(synthetic(dask=False), reads))
    assert not reads
    lazy.compute(scheduler=scheduler)
    assert sorted(reads) == [(name, scene) for name in ("mask", "reflectance") for scene in range(6)]


def test_subsets() -> None:
    ds = synthetic()
    whole = statistics(ds).compute()
    xr.testing.assert_identical(statistics(ds.isel(scene=[4, 1])).compute(), whole.isel(scene=[4, 1]))
    xr.testing.assert_identical(statistics(ds.isel(scene=[3])).compute(), whole.isel(scene=[3]))
    bands = whole.sel(band=["B04", "B03"])
    # A pixel has data where any of the bands that are there has.
    xr.testing.assert_identical(statistics(ds.sel(band=["B04", "B03"])).compute()["mean"], bands["mean"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.isel(scene=0), r"a single scene is selected by isel\(scene=\[0\]\)"),
        (lambda ds: ds.isel(scene=[]), "no scenes"),
        (lambda ds: ds.drop_vars("mask"), "no mask in the Dataset, which has reflectance"),
        (lambda ds: ds.drop_vars("reflectance"), "no reflectance in the Dataset"),
        (lambda ds: ds.isel(band=0), r"expected \('scene', 'band', 'y', 'x'\)"),
        (lambda ds: ds.assign(mask=ds["mask"].astype(float)), "mask is float64, expected uint8"),
        (lambda ds: ds.assign(mask=ds["mask"].astype(np.uint16)), "mask is uint16, expected uint8"),
    ],
)
def test_refusals(change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(CatalogueError, match=message):
        statistics(change(synthetic()))


def test_an_unknown_class_is_refused_with_the_name_of_the_scene() -> None:
    ds = synthetic(dask=False)
    ds["mask"][3, 0, 0] = 9
    with pytest.raises(CatalogueError, match=r"scene_03: the mask has the value\(s\) \[9\]"):
        statistics(ds).compute()


def pooled_pixels(ds: xr.Dataset, scenes: npt.NDArray[np.bool_], label: int, band: int) -> npt.NDArray[np.float64]:
    pixels = ds["reflectance"].values[scenes].astype(np.float64)
    observed = (np.isfinite(pixels) & (pixels != 0)).any(axis=1)
    values: npt.NDArray[np.float64] = pixels[:, band][observed & (ds["mask"].values[scenes] == label)]
    return values[np.isfinite(values)]


@pytest.mark.parametrize("by", [None, "tags", "difficulty", "shadows_marked"])
def test_tables_are_those_of_the_pooled_pixels(by: str | None) -> None:
    ds = synthetic(dask=False)
    tables = tabulate(statistics(ds).compute(), by)
    groups = members(ds, by)
    dim = next((str(dim) for dim in groups.dims if dim != "scene"), "all")
    if by is None:
        tables, groups = tables.expand_dims(dim), groups.expand_dims(dim)
    for position in range(groups.sizes[dim]):
        table, scenes = tables.isel({dim: position}), groups.isel({dim: position}).values
        mask = ds["mask"].values[scenes]
        totals = np.array([(mask == label).sum() for label in range(len(LABELS))])
        assert table["scene_count"] == scenes.sum()
        assert table["unlabelled_count"] == (mask == UNLABELLED).sum()
        assert table["no_data_count"] == 6 * scenes.sum()
        assert table["class_count"].values.tolist() == totals.tolist()
        fractions = totals / totals.sum() if scenes.any() else np.full(len(LABELS), np.nan)
        np.testing.assert_allclose(table["class_fraction"], fractions)
        for label, band in np.ndindex(len(LABELS), len(BAND_NAMES)):
            cell = table.isel(label=label, band=band)
            values = pooled_pixels(ds, scenes, label, band)
            assert cell["count"] == values.size
            if values.size:
                np.testing.assert_allclose(cell["mean"], values.mean(), rtol=1e-12)
                np.testing.assert_allclose(cell["standard_deviation"], values.std(), rtol=1e-12, atol=1e-15)
                assert cell["minimum"] == values.min()
                assert cell["maximum"] == values.max()
            else:
                assert all(cell[name].isnull() for name in ("mean", "standard_deviation", "minimum", "maximum"))


@settings(max_examples=10)
@given(st.permutations(range(8)), st.lists(st.integers(1, 7), max_size=3, unique=True), st.integers(0, 3))
def test_any_split_of_the_scenes_gives_the_same(order: list[int], cuts: list[int], seed: int) -> None:
    ds = synthetic(8, size=6, seed=seed, dask=False)
    bounds = [0, *sorted(cuts), 8]
    parts = [
        statistics(ds.isel(scene=order[start:stop]), ALL, bins=BINS).compute(scheduler="synchronous")
        for start, stop in pairwise(bounds)
    ]
    joined = xr.concat(parts, "scene", data_vars="minimal", coords="minimal", compat="override", join="override")
    whole = statistics(ds, ALL, bins=BINS).compute(scheduler="synchronous")
    xr.testing.assert_identical(joined.sel(scene=whole["scene"]), whole)
    for by in (None, "tags", "difficulty"):
        found, expected = tabulate(joined, by), tabulate(whole, by)
        for name in expected.data_vars:
            if expected[name].dtype.kind in "iu" or name in ("minimum", "maximum"):
                xr.testing.assert_identical(found[name], expected[name])
            else:
                # A covariance may be as small as one likes; reflectance is of the order of 1.
                atol = 1e-14 if name == "covariance" else 0
                xr.testing.assert_allclose(found[name], expected[name], rtol=1e-12, atol=atol)


@pytest.mark.parametrize("by", [None, "tags", "difficulty"])
def test_counts_and_covariances_are_those_of_the_pooled_pixels(by: str | None) -> None:
    ds = synthetic(dask=False)
    tables = tabulate(statistics(ds, ALL, bins=BINS).compute(), by)
    groups = members(ds, by).values.reshape(-1, ds.sizes["scene"])
    tables = tables.expand_dims("all") if by is None else tables.transpose("tag" if by == "tags" else by, ...)
    np.testing.assert_array_equal(tables["bin_lower"], [-np.inf, *BINS])
    np.testing.assert_array_equal(tables["bin_upper"], [*BINS, np.inf])
    scenes = statistics(ds, ALL).compute()
    for position, chosen in enumerate(groups):
        # All scenes of the group side by side, as if they were one.
        wide = ds[["reflectance", "mask"]].isel(scene=chosen).transpose("band", "y", "scene", "x", ...)
        pixels = wide["reflectance"].values.reshape(len(BAND_NAMES), 16, -1)
        expected = plain_statistics(pixels, wide["mask"].values.reshape(16, -1), BINS)
        for name in ("histogram", "covariance_count", "covariance_mean", "covariance", "zero_count", "nan_count"):
            found = tables[name].values[position]
            np.testing.assert_allclose(found, expected[name], rtol=1e-12, atol=1e-14, err_msg=name)
        for name in ("patch_count", "boundary_length", "distance_count"):
            np.testing.assert_array_equal(tables[name][position], scenes[name][chosen].sum("scene"))


def test_tables_of_lazy_statistics_are_lazy() -> None:
    lazy = statistics(synthetic(), ALL)
    tables = tabulate(lazy, "dataset")
    assert tables["mean"].chunks
    assert tables["covariance"].chunks
    xr.testing.assert_allclose(tables.compute(), tabulate(lazy.compute(), "dataset"), rtol=1e-12)


def test_dimensions() -> None:
    found = statistics(synthetic(size=6), ALL, bins=[0.1, 0.2])
    assert found["histogram"].dims == ("scene", "label", "band", "bin")
    assert found["histogram"].dtype == np.uint32
    assert found["bin_lower"].values.tolist() == [-np.inf, 0.1, 0.2]
    assert found["covariance"].dims == ("scene", "label", "band", "other_band")
    assert found["other_band"].values.tolist() == list(BAND_NAMES)
    assert found["patch_size"].values.tolist() == list(PATCH_SIZES)
    assert found["distance"].values.tolist() == list(DISTANCE_NAMES)
    assert "bin" not in statistics(synthetic(size=6)).dims


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"include": ("moments", "median")}, "no statistic 'median'; choose from: moments, histogram, covariance"),
        ({"include": "moments"}, "expected a list of statistics"),
        ({"bins": [0, 1]}, "bins were given, but no histogram"),
        ({"include": ("histogram",), "bins": [1, 0]}, "each larger than the one before"),
    ],
)
def test_requests_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        statistics(synthetic(), **arguments)


def test_a_replica_with_the_real_table(real_csv: Path, tmp_path: Path) -> None:
    ds = open_release(make_replica(tmp_path / "release", 5, size=80, tags=real_csv))
    found = statistics(ds, ALL, bins="exact").compute()
    edges = bin_edges("exact").edges
    for scene in range(5):
        expected = plain_statistics(ds["reflectance"].values[scene], ds["mask"].values[scene], edges)
        for name, values in expected.items():
            if values.dtype.kind == "f":
                atol = 1e-12 * np.nanmax(np.abs(values)) if name == "covariance" else 0
                np.testing.assert_allclose(found[name][scene], values, rtol=1e-12, atol=atol, err_msg=name)
            else:
                np.testing.assert_array_equal(found[name][scene], values, err_msg=name)


def test_tables_as_data_frames() -> None:
    frame = tabulate(statistics(synthetic()).compute(), "dataset").to_dataframe()
    assert frame.index.names == ["dataset", "label", "band"]
    assert frame.index[0] == ("CALIBRATION", "clear", "B01")
    assert "bandwidth" not in frame
    assert len(frame) == 2 * 3 * 13


def test_real_pixels() -> None:
    ds = reference()
    found = statistics(ds).compute()
    values = ds["reflectance"].values.astype(np.float64)
    np.testing.assert_allclose(found["mean"].sel(label="clear"), values.mean(axis=(2, 3)), rtol=1e-13)
    np.testing.assert_allclose(found["variance"].sel(label="clear"), values.var(axis=(2, 3)), rtol=1e-12)
    table = tabulate(found, None).sel(label="clear")
    np.testing.assert_allclose(table["standard_deviation"], values.std(axis=(0, 2, 3)), rtol=1e-12)

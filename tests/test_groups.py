from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from s2cmc_zarr.analysis.groups import members
from s2cmc_zarr.errors import CatalogueError
from synthetic import synthetic


def test_all_scenes() -> None:
    groups = members(synthetic(), None)
    assert groups.dims == ("scene",)
    assert groups.all()


def test_tags() -> None:
    ds = synthetic()
    groups = members(ds, "tags")
    assert groups.dims == ("tag", "scene")
    assert groups.chunks is None
    np.testing.assert_array_equal(groups, ds["tags"].values.T)
    assert groups["tag_group"].sel(tag="cirrus") == "cloud_type"


@pytest.mark.parametrize("by", ["difficulty", "dataset", "annotator", "shadows_marked", "group"])
def test_coordinates(by: str) -> None:
    ds = synthetic(dask=False)
    groups = members(ds, by)
    assert groups.dims == (by, "scene")
    assert groups[by].values.tolist() == sorted(set(ds[by].values.tolist()))
    for value in groups[by].values:
        np.testing.assert_array_equal(groups.sel({by: value}), ds[by].values == value)


def test_missing_values_are_in_no_group() -> None:
    ds = synthetic(4).assign_coords(sun=("scene", [30.0, np.nan, 30.0, 60.0]))
    assert members(ds, "sun").values.tolist() == [[True, False, True, False], [False, False, False, True]]


def test_array_is_matched_by_scene() -> None:
    ds = synthetic(4, dask=False)
    hard = (ds["difficulty"] > 1).isel(scene=[3, 1, 0, 2])
    np.testing.assert_array_equal(members(ds, hard), ds["difficulty"].values > 1)
    season = xr.DataArray(np.eye(4, 2, dtype=bool), dims=("scene", "season"), coords={"season": ["dry", "wet"]})
    groups = members(ds, season)
    assert groups.dims == ("season", "scene")
    np.testing.assert_array_equal(groups, np.eye(2, 4))


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("cloudiness", "cannot be grouped by 'cloudiness'; choose one of: tags, annotator, dataset, difficulty"),
        ("scene", "cannot be grouped by 'scene'"),
        ("bandwidth", "cannot be grouped by 'bandwidth'"),
        (xr.DataArray([1, 0, 1, 0], dims="scene"), "groups are int64"),
        (xr.DataArray([True], dims="tag"), "expected bool with 'scene'"),
        (xr.DataArray([True], dims="scene"), "groups have 1 scenes, expected 4"),
        (xr.DataArray([True], dims="scene", coords={"scene": ["scene_00"]}), "lack 3 of 4 scenes, the first scene_01"),
        (xr.DataArray(np.ones((4, 3), dtype=bool), dims=("scene", "label")), "'label', which the results have too"),
    ],
)
def test_refusals(by: str | xr.DataArray, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        members(synthetic(4), by)


def test_no_scenes() -> None:
    with pytest.raises(CatalogueError, match="no scenes"):
        members(synthetic(4).isel(scene=[]), None)

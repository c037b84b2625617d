from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from s2cmc_zarr.analysis.groups import members
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release import open_release
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
        (
            "cloudiness",
            "cannot be grouped by 'cloudiness'; choose one of: tags, tag_group, surface, .*dataset",
        ),
        ("difficulty,cloudiness", "cannot be grouped by 'cloudiness'"),
        ("difficulty, difficulty", "name 'difficulty' twice"),
        ("difficulty,", "cannot be grouped by ''"),
        ("month", "cannot be grouped by 'month'"),
        ("difficulty + 1", "is not true or false of a scene; expected an expression over tags and columns"),
        ("ice cream > 3", "expected an expression over tags"),
        ("difficulty.sum() > 3", "expected an expression over tags"),
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


def with_place_and_time(ds: xr.Dataset) -> xr.Dataset:
    days = ["01-31", "02-01", "04-01", "12-31", "07-01", "09-30"]
    return ds.assign_coords(
        tile=("scene", ["53HLD", "37LDJ", "36TVP", "31VEE", "01NAA", "60CWT"]),
        time=("scene", np.array([f"2018-{day}" for day in days], "M8[ns]")),
    )


@pytest.mark.parametrize(
    ("by", "of_each_scene"),
    [
        ("month", [1, 2, 4, 12, 7, 9]),
        ("season", ["DJF", "DJF", "MAM", "DJF", "JJA", "SON"]),
        ("hemisphere", ["south", "south", "north", "north", "north", "south"]),
        ("utm_zone", [53, 37, 36, 31, 1, 60]),
    ],
)
def test_what_follows_from_place_and_time(by: str, of_each_scene: list[object]) -> None:
    groups = members(with_place_and_time(synthetic()), by)
    assert groups.dims == (by, "scene")
    found = [groups[by].values[column].tolist() for column in groups.values.T]
    assert found == [[value] for value in of_each_scene]


def test_a_group_of_tags() -> None:
    ds = synthetic()
    groups = members(ds, "height")
    assert groups.dims == ("height", "scene")
    assert groups["height"].values.tolist() == ["low", "high"]
    np.testing.assert_array_equal(groups, ds["tags"].sel(tag=["low", "high"]).values.T)
    low_or_high = members(ds, "tag_group").sel(tag_group="height")
    np.testing.assert_array_equal(low_or_high, ds["tags"].sel(tag=["low", "high"]).values.any(axis=1))


def test_every_combination() -> None:
    ds = synthetic()
    groups = members(ds, "difficulty, annotator,thickness")
    assert groups.dims == ("difficulty", "annotator", "thickness", "scene")
    thin = ds["tags"].sel(tag="thin").values
    expected = (ds["difficulty"].values == 2) & (ds["annotator"].values == "B") & thin
    np.testing.assert_array_equal(groups.sel(difficulty=2, annotator="B", thickness="thin"), expected)


@pytest.mark.parametrize(
    "by",
    [
        "snow/ice and not thick and difficulty in [1, 3]",
        "snow/ice and not thick and (annotator == 'A, B' or difficulty != 2) and month < 13",
    ],
)
def test_an_expression_is_false_or_true_of_a_scene(by: str) -> None:
    ds = with_place_and_time(synthetic(scenes=6, seed=3))
    expected = ds["tags"].sel(tag="snow/ice").values & ~ds["tags"].sel(tag="thick").values
    expected &= ds["difficulty"].values != 2
    assert expected.any()
    groups = members(ds, by)
    assert groups.dims == (by, "scene")
    assert groups[by].values.tolist() == [False, True]
    np.testing.assert_array_equal(groups.sel({by: True}), expected)
    combined = members(ds, f"{by},shadows_marked").sel({by: True, "shadows_marked": False})
    np.testing.assert_array_equal(combined, expected & ~ds["shadows_marked"].values)


def test_a_tag_is_an_expression() -> None:
    ds = synthetic()
    np.testing.assert_array_equal(members(ds, "cirrus").sel(cirrus=True), ds["tags"].sel(tag="cirrus"))


def test_counts_of_the_real_table(real_csv: Path) -> None:
    table = pd.read_csv(real_csv)
    ds = open_release(real_csv)
    both = members(ds, "difficulty,annotator").sum("scene").to_series()
    expected = table.groupby(["difficulty", "annotator"]).size()
    assert both.to_dict() == expected.to_dict()
    assert members(ds, "month").sum("scene").values.tolist() == [
        int((table["scene"].str[15:17].astype(int) == month).sum()) for month in range(1, 13)
    ]

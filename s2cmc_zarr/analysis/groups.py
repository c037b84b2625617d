"""Groups of scenes: by tag, by any coordinate or what follows from one, by an expression, or by a mask of the user."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_
from types import EllipsisType
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.mgrs import is_southern
from s2cmc_zarr.release.selection import evaluate
from s2cmc_zarr.schema import TAG_GROUPS

By: TypeAlias = str | xr.DataArray | None

# A comma, but neither in quotes nor between brackets.
_COMMA: Final = re.compile(r""",(?=(?:[^"]*"[^"]*")*[^"]*$)(?=(?:[^']*'[^']*')*[^']*$)(?![^(\[]*[)\]])""")


def members(ds: xr.Dataset, by: By) -> xr.DataArray:
    """Say which scenes are in which group.

    Parameters
    ----------
    ds : xarray.Dataset
        With a dimension `scene`.
    by : str, xarray.DataArray or None
        None for all scenes together, or one of

        * ``"tags"``, or a group of tags: ``"surface"``, ``"thickness"``, ``"height"``, ``"extent"``, ``"cloud_type"``;
          ``"tag_group"`` for the scenes that have any tag of each;
        * the name of any other coordinate of the scenes, one group for each of its values (missing values are in no
          group);
        * what follows from one: ``"month"`` (1 to 12) and ``"season"`` (DJF, MAM, JJA, SON) from `time`,
          ``"hemisphere"`` (of the tile's latitude band) and ``"utm_zone"`` from `tile`;
        * an expression over tags and all of these, such as ``"snow/ice and difficulty >= 3"``: the scenes for which it
          is false, and those for which it is true;
        * several of these, separated by commas, for every combination: ``"difficulty,annotator"``;
        * a bool array with the dimension `scene` and at most one other, whose scenes are matched by name if both have
          names.

        A scene can be in several groups, or in none.

    Returns
    -------
    xarray.DataArray
        bool, dims (group…, scene). A group's dimension is `tag` for ``"tags"``, or else named as what was asked for, or
        that of the array given; there is none for all scenes or an array without another dimension. In memory.

    Raises
    ------
    CatalogueError
        If there are no scenes or no such coordinate, an expression is none, something is asked for twice, or the array
        is not bool, has other dimensions or lacks scenes.
    """
    if not ds.sizes.get("scene"):
        raise CatalogueError(f"no scenes to group: the Dataset has the sizes {dict(ds.sizes)}")
    if by is None:
        return xr.DataArray(np.ones(ds.sizes["scene"], dtype=bool), dims="scene")
    if isinstance(by, xr.DataArray):
        return _from_array(ds, by)
    parts = names_of_groups(by)
    if repeated := next((part for part in parts if parts.count(part) > 1), None):
        raise CatalogueError(f"groups by {by!r} name {repeated!r} twice, expected different ones")
    groups: xr.DataArray = reduce(and_, [_named(ds, part) for part in parts])
    return groups.transpose(..., "scene")


def names_of_groups(by: str) -> list[str]:
    """Take apart what commas separate."""
    return [part.strip() for part in _COMMA.split(by)]


def scene_table(ds: xr.Dataset) -> pd.DataFrame:
    """Put everything by which scenes can be told apart into a table, one column for each tag and coordinate."""
    columns = {str(name): _values(coord) for name, coord in ds.coords.items() if coord.dims == ("scene",)}
    columns |= {name: _values(coord) for name, coord in _derived(ds).items()}
    if "tags" in ds.coords:
        columns |= {str(tag): ds["tags"].sel(tag=tag).values for tag in ds["tag"].values}
    names = columns.pop("scene", np.arange(ds.sizes["scene"]))
    return pd.DataFrame(columns, index=pd.Index(names, name="scene"))


def group_dims(groups: xr.DataArray) -> tuple[str, ...]:
    """Give the dimensions that `members` has beside `scene`, if any."""
    return tuple(str(dim) for dim in groups.dims if dim != "scene")


def without_scene_coords(ds: xr.Dataset) -> xr.Dataset:
    """Leave out what describes single scenes: it means nothing for groups, and its names may be those of groups."""
    return ds.drop_vars([name for name, coord in ds.coords.items() if "scene" in coord.dims])


def table_dataset(tables: Mapping[str, tuple[xr.DataArray, str]], dims: Sequence[str | EllipsisType]) -> xr.Dataset:
    """Put tables, each with its meaning, into one Dataset whose `to_dataframe` has the levels in the order `dims`."""
    ordered = {name: table.transpose(*dims, missing_dims="ignore") for name, (table, _) in tables.items()}
    return xr.Dataset(
        {
            name: table.variable._replace(attrs={"long_name": tables[name][1], "units": "1"})
            for name, table in ordered.items()
        },
        coords=xr.merge([table.coords.to_dataset() for table in ordered.values()], compat="identical").coords,
    )


def _named(ds: xr.Dataset, name: str) -> xr.DataArray:
    if "tags" in ds.coords:
        tags = ds["tags"]
        if name == "tags":
            return _in_memory(tags)
        if name == "tag_group":
            kinds = [str(kind) for kind in TAG_GROUPS if kind in tags["tag_group"].values]
            return _in_memory(
                xr.concat([tags.isel(tag=(tags["tag_group"] == kind).values).any("tag") for kind in kinds], name)
            ).assign_coords({name: kinds})
        if name in TAG_GROUPS and name not in ds.coords:
            chosen = tags.isel(tag=(tags["tag_group"] == name).values)
            return _in_memory(chosen.drop_vars("tag_group").rename(tag=name))
    columns = {str(key): coord for key, coord in ds.coords.items() if coord.dims == ("scene",) and key != "scene"}
    columns |= _derived(ds)
    if name in columns:
        values = _values(columns[name])
    elif re.fullmatch(r"\w*", name) and name not in ds.get("tag", ()):
        choices = ["tags", "tag_group", *TAG_GROUPS] if "tags" in ds.coords else []
        raise CatalogueError(
            f"the scenes cannot be grouped by {name!r}; choose one of: {', '.join([*choices, *sorted(columns)])}; "
            "several of them separated by commas, or an expression such as 'difficulty >= 3'"
        )
    else:
        values = evaluate(scene_table(ds), name).to_numpy()
    groups = pd.Index(values).dropna().unique().sort_values()
    return xr.DataArray(groups.to_numpy()[:, np.newaxis] == values, dims=(name, "scene"), coords={name: groups})


def _derived(ds: xr.Dataset) -> dict[str, xr.DataArray]:
    """Columns that follow from coordinates; a coordinate of the same name wins."""
    found: dict[str, xr.DataArray] = {}
    if "time" in ds.coords and ds["time"].dims == ("scene",):
        found |= {"month": ds["time"].dt.month, "season": ds["time"].dt.season}
    if "tile" in ds.coords and ds["tile"].dims == ("scene",):
        tiles = [str(tile) for tile in ds["tile"].values]
        zones = [int(tile[:2]) for tile in tiles]
        hemispheres = ["south" if is_southern(tile[2]) else "north" for tile in tiles]
        found |= {"utm_zone": xr.DataArray(zones, dims="scene"), "hemisphere": xr.DataArray(hemispheres, dims="scene")}
    return {name: values for name, values in found.items() if name not in ds.coords}


def _values(coord: xr.DataArray) -> npt.NDArray[Any]:
    values = np.asarray(coord)
    # Strings of variable length, which pandas does not know.
    return np.array(values.tolist(), dtype=str) if values.dtype.kind == "T" else values


def _from_array(ds: xr.Dataset, by: xr.DataArray) -> xr.DataArray:
    if by.dtype != bool or "scene" not in by.dims or by.ndim > 2:
        raise CatalogueError(
            f"groups are {by.dtype} with dims {by.dims}, expected bool with 'scene' and at most one other dimension"
        )
    if "scene" in by.coords and "scene" in ds.coords:
        lacking = np.setdiff1d(ds["scene"], by["scene"])
        if lacking.size:
            raise CatalogueError(f"groups lack {lacking.size} of {ds.sizes['scene']} scenes, the first {lacking[0]}")
        by = by.sel(scene=ds["scene"].values)
    elif by.sizes["scene"] != ds.sizes["scene"]:
        raise CatalogueError(f"groups have {by.sizes['scene']} scenes, expected {ds.sizes['scene']}")
    if taken := set(group_dims(by)) & (set(ds.dims) | {"averaging", "label"}):
        raise CatalogueError(f"groups have the dimension {taken.pop()!r}, which the results have too: rename it")
    return _in_memory(by)


def _in_memory(groups: xr.DataArray) -> xr.DataArray:
    groups = groups.transpose(..., "scene").compute()
    keep = set(group_dims(groups))
    return groups.drop_vars([name for name, coord in groups.coords.items() if not set(coord.dims) <= keep]).drop_attrs()

"""Groups of scenes: by tag, by any coordinate, or by a mask of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.errors import CatalogueError

By: TypeAlias = str | xr.DataArray | None


def members(ds: xr.Dataset, by: By) -> xr.DataArray:
    """Say which scenes are in which group.

    Parameters
    ----------
    ds : xarray.Dataset
        With a dimension `scene`.
    by : str, xarray.DataArray or None
        None for all scenes together; ``"tags"``; the name of any other coordinate of the scenes, one group for each of
        its values (missing values are in no group); or a bool array with the dimension `scene` and at most one other,
        whose scenes are matched by name if both have names. A scene can be in several groups, or in none.

    Returns
    -------
    xarray.DataArray
        bool, dims (group, scene), where the group's dimension is `tag`, that of the coordinate's name or that of the
        array given; dims (scene,) for all scenes or an array without another dimension. In memory.

    Raises
    ------
    CatalogueError
        If there are no scenes or no such coordinate, or the array is not bool, has other dimensions or lacks scenes.
    """
    if not ds.sizes.get("scene"):
        raise CatalogueError(f"no scenes to group: the Dataset has the sizes {dict(ds.sizes)}")
    if by is None:
        return xr.DataArray(np.ones(ds.sizes["scene"], dtype=bool), dims="scene")
    if isinstance(by, xr.DataArray):
        return _from_array(ds, by)
    if by == "tags" and "tags" in ds.coords:
        return _in_memory(ds["tags"])
    names = sorted(str(name) for name, coord in ds.coords.items() if coord.dims == ("scene",) and name != "scene")
    if by not in names:
        choices = ", ".join(["tags", *names] if "tags" in ds.coords else names)
        raise CatalogueError(f"the scenes cannot be grouped by {by!r}; choose one of: {choices}")
    values = np.asarray(ds[by])
    groups = pd.Index(values).dropna().unique().sort_values()
    return xr.DataArray(groups.to_numpy()[:, np.newaxis] == values, dims=(by, "scene"), coords={by: groups})


def group_dims(groups: xr.DataArray) -> tuple[str, ...]:
    """Give the dimension that `members` has beside `scene`, if any."""
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

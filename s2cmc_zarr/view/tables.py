"""Datasets of tables as DataFrames, as they are printed."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import xarray as xr

from s2cmc_zarr.analysis.groups import By


def all_and_groups(make: Callable[[By], xr.Dataset], by: By) -> list[xr.Dataset]:
    """Make the table of all scenes and, if there are groups, theirs, with the same dimensions."""
    if by is None:
        return [make(None).expand_dims(selection=["all"])]
    everything, groups = make(None), make(by)
    dims = [dim for dim in groups.dims if dim not in everything.dims]
    return [everything.expand_dims({dim: ["all"] for dim in dims}), groups]


def side_by_side(columns: dict[str, xr.DataArray]) -> pd.DataFrame:
    """Put arrays side by side; those that lack a dimension of the others are repeated along it."""
    broadcast = xr.broadcast(*(array.reset_coords(drop=True) for array in columns.values()))
    return pd.DataFrame({name: array.to_series() for name, array in zip(columns, broadcast, strict=True)})

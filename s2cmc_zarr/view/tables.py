"""Datasets of tables as DataFrames, as they are printed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
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


def with_interval(table: xr.Dataset, name: str, *, percent: bool = True) -> xr.DataArray:
    """Give a quantity and the limits of its interval as text."""
    scale, digits = (100, 1) if percent else (1, 3)

    def text(value: float, lower: float, upper: float) -> str:
        if np.isnan(value):
            return "–"
        limits = "" if np.isnan(lower) else f" ({scale * lower:.{digits}f}–{scale * upper:.{digits}f})"
        return f"{scale * value:.{digits}f}{limits}"

    texts: xr.DataArray = xr.apply_ufunc(
        np.vectorize(text, otypes=[object]), *(table[each] for each in (name, f"{name}_lower", f"{name}_upper"))
    )
    return texts

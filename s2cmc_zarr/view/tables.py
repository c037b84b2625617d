"""Datasets of tables as DataFrames, as they are printed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.analysis.groups import By
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.view.figures import Estimate, Format


class Shown(NamedTuple):
    """What is printed of a table.

    Attributes
    ----------
    frames : dict
        Rows by title.
    formats : dict
        How figures are printed, by name of the column.
    caption : str
    """

    frames: dict[str, pd.DataFrame]
    formats: dict[str, Format]
    caption: str


def all_and_groups(make: Callable[[By], xr.Dataset], by: By) -> list[xr.Dataset]:
    """Make the table of all scenes and, if there are groups, theirs, with the same dimensions."""
    if by is None:
        return [make(None).expand_dims(selection=["all"])]
    everything, groups = make(None), make(by)
    dims = [dim for dim in groups.dims if dim not in everything.dims]
    return [everything.expand_dims({dim: ["all"] for dim in dims}), groups]


def write_table(tables: Sequence[xr.Dataset], path: str | os.PathLike[str]) -> None:
    """Write tables as one file of rows.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        Of the same variables; variables that lack a dimension are repeated along it. Their attributes, which are the
        rules that they follow, become columns.
    path : str or path
        Ends in ``.parquet``, ``.csv`` or ``.json`` (a list of objects).

    Raises
    ------
    CatalogueError
        If the name ends otherwise.
    """
    suffix = check_table_path(path)
    frame = pd.concat([_rows(table) for table in tables], ignore_index=True)
    for name in frame.columns:
        # "all" beside the numbers of groups: a column of a file has one type.
        if pd.api.types.infer_dtype(frame[name], skipna=False).startswith("mixed"):
            frame[name] = frame[name].astype(str)
    if suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", indent=1)


def check_table_path(path: str | os.PathLike[str]) -> str:
    """Give the end of a name that `write_table` knows, and try to write there, before anything is computed."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".parquet", ".csv", ".json"):
        raise CatalogueError(f"{os.fspath(path)} ends in {suffix!r}, expected .parquet, .csv or .json")
    if not Path(path).parent.is_dir():
        raise CatalogueError(f"{os.fspath(path)}: there is no folder {Path(path).parent}; make it first")
    new = not Path(path).exists()
    try:
        Path(path).open("ab").close()
        if new:
            Path(path).unlink()
    except OSError as error:
        raise CatalogueError(f"{os.fspath(path)} cannot be written: {error.strerror}") from None
    return suffix


def _rows(table: xr.Dataset) -> pd.DataFrame:
    rows = table.to_dataframe() if table.dims else pd.DataFrame({name: [array.item()] for name, array in table.items()})
    rows = rows.reset_index()
    for name, value in table.attrs.items():
        if name not in rows:
            rows[name] = value
    return rows


def side_by_side(columns: dict[str, xr.DataArray]) -> pd.DataFrame:
    """Put arrays side by side; those that lack a dimension of the others are repeated along it."""
    broadcast = xr.broadcast(*(array.reset_coords(drop=True) for array in columns.values()))
    return pd.DataFrame({name: array.to_series() for name, array in zip(columns, broadcast, strict=True)})


def with_interval(table: xr.Dataset, name: str) -> xr.DataArray:
    """Give a quantity and the limits of its interval as one `Estimate` each."""
    arrays = [table[each] for each in (name, f"{name}_lower", f"{name}_upper")]
    found = np.empty(arrays[0].shape, dtype=object)
    numbers = (array.transpose(*arrays[0].dims).values.ravel().tolist() for array in arrays)
    for position, figures in enumerate(zip(*numbers, strict=True)):
        found.flat[position] = Estimate(*figures)
    return arrays[0].copy(data=found)


def there(frames: Iterable[pd.DataFrame], scenes: str = "scenes") -> pd.DataFrame:
    """Join the rows of tables, without those of combinations that no scene has."""
    frame = pd.concat(list(frames))
    return frame[frame[scenes] > 0]

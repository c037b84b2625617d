"""Statistics as tables in the terminal."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from s2cmc_zarr.analysis.groups import By
from s2cmc_zarr.analysis.statistics import tabulate
from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.view.tables import all_and_groups, side_by_side
from s2cmc_zarr.view.terminal import print_table

_BANDS = ("B02", "B03", "B04", "B08", "B10", "B11")
"""Bands in the printed table: those that tell clouds, snow, water and cirrus apart."""


def print_statistics(statistics: xr.Dataset, by: By) -> None:
    """Print class balance and mean reflectance, of all scenes and by group.

    Parameters
    ----------
    statistics : xarray.Dataset
        As `statistics` gives it, computed.
    by : str, xarray.DataArray or None
        As for `tabulate`.
    """
    tables = all_and_groups(lambda groups: tabulate(statistics, groups), by)
    balance = pd.concat([_balance(table) for table in tables])
    print_table(balance, "Class balance", percent=LABELS, caption="fractions of the labelled pixels")
    means = pd.concat([_means(table) for table in tables]).dropna(how="all")
    print_table(means, "Mean reflectance", caption="pooled over the pixels of each class")


def _balance(table: xr.Dataset) -> pd.DataFrame:
    columns = {label: table["class_fraction"].sel(label=label, drop=True) for label in LABELS}
    columns |= {"unlabelled pixels": table["unlabelled_count"], "scenes": table["scene_count"]}
    return side_by_side(columns)


def _means(table: xr.Dataset) -> pd.DataFrame:
    bands = [band for band in _BANDS if band in table["band"].values]
    return side_by_side({band: table["mean"].sel(band=band, drop=True) for band in bands})

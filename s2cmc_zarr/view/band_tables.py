"""Tables of reflectance as they are printed; each function takes that of all scenes, and that of groups if any."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.view.figures import Format
from s2cmc_zarr.view.tables import Shown, side_by_side

_BANDS: Final = ("B02", "B03", "B04", "B08", "B10", "B11")
"""Bands in the printed tables: those that tell clouds, snow, water and cirrus apart."""
_REFLECTANCE: Final = Format(decimals=4)
_DISTANCE: Final = Format(decimals=2)
_SHORT: Final = {
    "clear, cloud": "clear–cloud",
    "clear, cloud_shadow": "clear–shadow",
    "cloud, cloud_shadow": "cloud–shadow",
}


def show_means(tables: list[xr.Dataset]) -> Shown:
    """Mean and deviation of reflectance."""

    def rows(table: xr.Dataset, name: str) -> pd.DataFrame:
        bands = _printed_bands(table)
        return side_by_side({band: table[name].sel(band=band, drop=True) for band in bands}).dropna(how="all")

    titles = {"mean": "Mean reflectance", "standard_deviation": "Standard deviation of reflectance"}
    frames = {title: pd.concat([rows(table, name) for table in tables]) for name, title in titles.items()}
    return Shown(frames, dict.fromkeys(_BANDS, _REFLECTANCE), "Pooled over the pixels of each class.")


def show_quantiles(tables: list[xr.Dataset]) -> Shown:
    """Quantiles of reflectance."""
    names = {f"{100 * probability:g} %": probability for probability in tables[0]["probability"].values.tolist()}

    def rows(table: xr.Dataset) -> pd.DataFrame:
        chosen = table["quantile"].sel(band=_printed_bands(table))
        columns = {name: chosen.sel(probability=probability, drop=True) for name, probability in names.items()}
        return side_by_side(columns).dropna(how="all")

    caption = "Of the pixels of each class; exact to a bin of the histogram."
    frames = {"Quantiles of reflectance": pd.concat(list(map(rows, tables)))}
    return Shown(frames, dict.fromkeys(names, _REFLECTANCE), caption)


def show_normalisation(tables: list[xr.Dataset]) -> Shown:
    """Constants for normalisation."""
    names = {"mean": "mean", "standard_deviation": "deviation", "minimum": "minimum", "maximum": "maximum"}

    def rows(table: xr.Dataset) -> pd.DataFrame:
        columns = {title: table[name] for name, title in names.items()} | {"values": table["count"]}
        return side_by_side(columns).dropna()

    frames = {"Constants for normalisation": pd.concat(list(map(rows, tables)))}
    caption = "Of the labelled pixels of all classes together."
    return Shown(frames, dict.fromkeys(names.values(), _REFLECTANCE), caption)


def show_separability(tables: list[xr.Dataset]) -> Shown:
    """Separability of classes by bands."""

    def best(distance: xr.DataArray) -> xr.DataArray:
        """Name the bands of the largest distance, and give it."""
        position = distance.fillna(-1).argmax("bands")
        names = [f"{' '.join(np.unique(np.atleast_1d(bands)))} " for bands in distance["bands"].values]
        named = xr.DataArray(np.array(names, dtype=object)[position.values], dims=position.dims)
        figures: xr.DataArray = xr.apply_ufunc(np.vectorize(_DISTANCE.text, otypes=[object]), distance.max("bands"))
        return named + figures

    def rows(table: xr.Dataset) -> pd.DataFrame:
        pairs = table["jeffries_matusita"].assign_coords(pair=[_SHORT[pair] for pair in table["pair"].values.tolist()])
        alone = {band: pairs.sel(band=band, other_band=band, drop=True) for band in table["band"].values.tolist()}
        one = xr.concat(list(alone.values()), pd.Index(alone, name="bands"))
        columns = {"all bands": table["all_bands"].assign_coords(pair=pairs["pair"])}
        columns |= {"best two": best(pairs.stack(bands=("band", "other_band"))), "best one": best(one)}
        frame = side_by_side(columns | {band: alone[band] for band in _printed_bands(table)})
        return frame[one.notnull().any("bands").transpose(*columns["all bands"].dims).values.ravel()]

    frames = {"Jeffries–Matusita distance of classes": pd.concat(list(map(rows, tables)))}
    caption = (
        "From 0, the same, to 2: of normal distributions with the means and covariances of the classes, by all bands, "
        "by the two and the one that tell them apart best, and by single bands."
    )
    return Shown(frames, dict.fromkeys(["all bands", *_BANDS], _DISTANCE), caption)


def _printed_bands(table: xr.Dataset) -> list[str]:
    return [band for band in _BANDS if band in table["band"].values]

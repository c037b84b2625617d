"""Statistics as tables: in the terminal, and as files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.analysis.band_tables import moments, normalisation, quantiles, separability
from s2cmc_zarr.analysis.groups import By
from s2cmc_zarr.analysis.representativeness import representativeness
from s2cmc_zarr.analysis.scene_tables import class_balance, cloud_cover, tag_co_occurrence, tag_counts
from s2cmc_zarr.choices import DEFAULT_TABLES
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.statistics import Statistic
from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.view.tables import all_and_groups, side_by_side, with_interval, write_table
from s2cmc_zarr.view.terminal import print_table

_BANDS: Final = ("B02", "B03", "B04", "B08", "B10", "B11")
"""Bands in the printed tables: those that tell clouds, snow, water and cirrus apart."""
_MOST: Final = 12
"""Pairs of tags that are printed of those that come together more often, and less often, than by chance."""
_LIFT: Final = "lift: 1 by chance, no interval and not listed where no scene has both"
_INTERVALS: Final = "in brackets 95 % intervals over independent groups of scenes"

Shown: TypeAlias = Iterator[tuple[str, pd.DataFrame, Sequence[str], str | None]]
"""Title, rows, columns of percent, caption."""


class StatisticsTable(NamedTuple):
    """One of the tables.

    Attributes
    ----------
    make : callable
        Gives the table of statistics and groups.
    show : callable
        Gives what is printed of the table of all scenes and that of the groups.
    include : tuple of Statistic or None
        What `statistics` must have counted; None if coordinates are enough.
    """

    make: Callable[[xr.Dataset, By], xr.Dataset]
    show: Callable[[list[xr.Dataset]], Shown]
    include: tuple[Statistic, ...] | None


def included(names: Sequence[str]) -> list[Statistic] | None:
    """Say what `statistics` must count for some tables; None if no pixel need be read; refuse a name of none."""
    if unknown := next((name for name in names if name not in TABLES), None):
        raise CatalogueError(f"there is no table {unknown!r}; choose from: {', '.join(TABLES)}")
    needed = [include for name in names if (include := TABLES[name].include) is not None]
    return sorted({statistic for include in needed for statistic in include}) if needed else None


def print_statistics(statistics: xr.Dataset, by: By, names: Sequence[str] = DEFAULT_TABLES) -> None:
    """Print tables of all scenes and by group.

    Parameters
    ----------
    statistics : xarray.Dataset
        As `statistics` gives it, computed; for tables that need no pixels any Dataset with the coordinates of scenes.
    by : str, xarray.DataArray or None
        Groups of scenes, as for `members`.
    names : sequence of str
        Of `TABLES`.
    """
    for name in names:
        table = TABLES[name]
        tables = all_and_groups(lambda groups, make=table.make: make(statistics, groups), by)  # type: ignore[misc]
        for title, frame, percent, caption in table.show(tables):
            print_table(frame, title, percent=percent, caption=caption)


def write_statistics(
    statistics: xr.Dataset, by: By, names: Sequence[str], directory: str | os.PathLike[str]
) -> list[Path]:
    """Write tables as Parquet and CSV, each row a cell of a group; arguments as for `print_statistics`.

    Raises
    ------
    CatalogueError
        If the directory cannot be made.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogueError(f"{folder}: no directory can be made there ({error.strerror})") from None
    paths = []
    for name in names:
        table = TABLES[name].make(statistics, by)
        for suffix in ("parquet", "csv"):
            paths.append(folder / f"{name}.{suffix}")
            write_table([table], paths[-1])
    return paths


def _balance(tables: list[xr.Dataset]) -> Shown:
    def row(table: xr.Dataset) -> pd.DataFrame:
        columns = {label: with_interval(table.sel(label=label, drop=True), "class_fraction") for label in LABELS}
        return side_by_side(columns | {"scenes": table["scene_count"], "groups": table["group_count"]})

    caption = f"percent of the labelled pixels; {_INTERVALS}. Where shadows were not marked, clear holds them, too"
    yield "Class balance", _there(map(row, tables)), (), caption


def _means(tables: list[xr.Dataset]) -> Shown:
    captions = {"mean": "Mean reflectance", "standard_deviation": "Standard deviation of reflectance"}
    for name, title in captions.items():
        frame = pd.concat([_by_band(table, name) for table in tables]).dropna(how="all")
        yield title, frame, (), "pooled over the pixels of each class"


def _quantiles(tables: list[xr.Dataset]) -> Shown:
    def row(table: xr.Dataset) -> pd.DataFrame:
        chosen = table.sel(band=[band for band in _BANDS if band in table["band"].values])
        return side_by_side(
            {
                f"{100 * probability:g} %": chosen["quantile"].sel(probability=probability, drop=True)
                for probability in table["probability"].values
            }
        )

    yield "Quantiles of reflectance", pd.concat(list(map(row, tables))).dropna(how="all"), (), None


def _normalisation(tables: list[xr.Dataset]) -> Shown:
    names = {"mean": "mean", "standard_deviation": "deviation", "minimum": "minimum", "maximum": "maximum"}
    frames = [
        side_by_side({title: table[name] for name, title in names.items()} | {"values": table["count"]})
        for table in tables
    ]
    yield (
        "Constants for normalisation",
        pd.concat(frames).dropna(how="all"),
        (),
        "of the labelled pixels of all classes",
    )


def _separability(tables: list[xr.Dataset]) -> Shown:
    def row(table: xr.Dataset) -> pd.DataFrame:
        distance = table["jeffries_matusita"]
        alone = {band: distance.sel(band=band, other_band=band, drop=True) for band in table["band"].values.tolist()}
        pairs = distance.stack(bands=("band", "other_band")).fillna(-1)
        best = pairs["bands"].values[pairs.argmax("bands").values]
        names = xr.DataArray(np.vectorize(" ".join, otypes=[object])(best), coords=table["all_bands"].coords)
        return side_by_side({"all": table["all_bands"], "best two": names, "both": pairs.max("bands")} | alone)

    frame = pd.concat(list(map(row, tables)))
    caption = (
        "from 0, the same, to 2, of normal distributions with the means and covariances of the classes: by all bands, "
        "by the two that tell them apart best, and by each"
    )
    yield "Jeffries–Matusita distance of classes", frame[frame["both"] >= 0], (), caption


def _cloud_cover(tables: list[xr.Dataset]) -> Shown:
    def row(table: xr.Dataset) -> pd.DataFrame:
        columns = {"mean": with_interval(table, "mean_cover"), "median": table["median_cover"]}
        columns |= {
            f"{cover} %": table["scene_fraction"].sel(cloud_cover=cover, drop=True)
            for cover in table["cloud_cover"].values
        }
        return side_by_side(columns | {"scenes": table["scene_count"]})

    frame = _there(map(row, tables))
    caption = f"mean and median cover, and percent of the scenes in each class of cover; {_INTERVALS}"
    yield "Cloud cover of scenes", frame, [name for name in frame.columns if frame[name].dtype.kind == "f"], caption


def _tags(tables: list[xr.Dataset]) -> Shown:
    frames = [
        side_by_side(
            {"scenes": table["tag_scenes"], "percent": with_interval(table, "frequency"), "of": table["scene_count"]}
        )
        for table in tables
    ]
    yield "Tags", _there(frames, "of"), (), f"percent of the scenes; {_INTERVALS}"


def _co_occurrence(tables: list[xr.Dataset]) -> Shown:
    table = tables[0].squeeze(drop=True)
    first = np.triu(np.ones((table.sizes["tag"],) * 2, dtype=bool), 1)
    for title, chosen, ascending in (
        ("Tags that come together more often than by chance", table["lift_lower"] > 1, False),
        ("Tags that come together less often than by chance", table["lift_upper"] < 1, True),
    ):
        columns = {
            "scenes": table["both_scenes"],
            "lift": table["lift"],
            "interval": with_interval(table, "lift", percent=False),
            "of the first": table["conditional_frequency"],
        }
        frame = side_by_side(columns)[(chosen & first).values.ravel()].sort_values("lift", ascending=ascending)
        caption = f"the {min(_MOST, len(frame))} foremost of {len(frame)}; {_LIFT}; {_INTERVALS}"
        yield title, frame.head(_MOST).drop(columns="lift"), ["of the first"], caption


def _representativeness(tables: list[xr.Dataset]) -> Shown:
    def row(table: xr.Dataset) -> pd.DataFrame:
        return side_by_side(
            {
                "distance": with_interval(table, "total_variation"),
                "random": table["random_total_variation"],
                "unlike": table["total_variation"] > table["random_total_variation"],
                "difference": with_interval(table, "difference"),
                "scenes": table["scene_count"],
            }
        )

    caption = (
        f"total variation distance from all scenes in percent; {_INTERVALS}. random: below it is the distance of 95 % "
        "of random parts of as many scenes. difference: of the tag's frequency, in percentage points"
    )
    yield "Parts compared to the whole", _there(map(row, tables[-1:])), ["random"], caption


def _there(frames: Iterator[pd.DataFrame] | list[pd.DataFrame], scenes: str = "scenes") -> pd.DataFrame:
    """Join the rows of all tables, without those of combinations that no scene has."""
    frame = pd.concat(list(frames))
    return frame[frame[scenes] > 0]


def _by_band(table: xr.Dataset, name: str) -> pd.DataFrame:
    bands = [band for band in _BANDS if band in table["band"].values]
    return side_by_side({band: table[name].sel(band=band, drop=True) for band in bands})


TABLES: Final[dict[str, StatisticsTable]] = {
    "balance": StatisticsTable(class_balance, _balance, ()),
    "means": StatisticsTable(moments, _means, ("moments",)),
    "quantiles": StatisticsTable(quantiles, _quantiles, ("histogram",)),
    "normalisation": StatisticsTable(normalisation, _normalisation, ("moments",)),
    "separability": StatisticsTable(separability, _separability, ("covariance",)),
    "cloud-cover": StatisticsTable(cloud_cover, _cloud_cover, None),
    "tags": StatisticsTable(lambda ds, by: tag_counts(ds, None if by == "tags" else by), _tags, None),
    "co-occurrence": StatisticsTable(lambda ds, by: tag_co_occurrence(ds), _co_occurrence, None),  # noqa: ARG005
    "representativeness": StatisticsTable(representativeness, _representativeness, None),
}
"""By name, in the order in which they are explained in the documentation."""

"""Statistics as tables: in the terminal, and as files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import xarray as xr

from s2cmc_zarr.analysis.band_tables import moments, normalisation, quantiles, separability
from s2cmc_zarr.analysis.groups import By, names_of_groups
from s2cmc_zarr.analysis.representativeness import representativeness
from s2cmc_zarr.analysis.scene_tables import class_balance, cloud_cover, tag_co_occurrence, tag_counts
from s2cmc_zarr.choices import DEFAULT_TABLES
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.statistics import Statistic
from s2cmc_zarr.view.band_tables import show_means, show_normalisation, show_quantiles, show_separability
from s2cmc_zarr.view.scene_tables import (
    show_balance,
    show_cloud_cover,
    show_co_occurrence,
    show_representativeness,
    show_tags,
)
from s2cmc_zarr.view.tables import Shown, all_and_groups, write_table
from s2cmc_zarr.view.terminal import print_tables


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
    by : callable
        Gives the groups that the table takes of those asked for.
    """

    make: Callable[[xr.Dataset, By], xr.Dataset]
    show: Callable[[list[xr.Dataset]], Shown]
    include: tuple[Statistic, ...] | None
    by: Callable[[By], By] = lambda by: by


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
        shown = table.show(all_and_groups(partial(table.make, statistics), table.by(by)))
        print_tables(shown.frames, formats=shown.formats, caption=shown.caption)


def write_statistics(
    statistics: xr.Dataset, by: By, names: Sequence[str], directory: str | os.PathLike[str]
) -> list[Path]:
    """Write tables as Parquet and CSV, each row a cell of a group; arguments as for `print_statistics`.

    Raises
    ------
    CatalogueError
        If the directory cannot be made.
    """
    folder = make_folder(directory)
    paths = []
    for name in names:
        table = TABLES[name].make(statistics, TABLES[name].by(by))
        for suffix in ("parquet", "csv"):
            paths.append(folder / f"{name}.{suffix}")
            write_table([table], paths[-1])
    return paths


def make_folder(directory: str | os.PathLike[str]) -> Path:
    """Make a directory for tables, before anything is computed."""
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogueError(
            f"{folder}: no directory for tables can be made there ({error.strerror}); choose another"
        ) from None
    return folder


def _but_tags(by: By) -> By:
    """Tables that have a row for each tag anyway."""
    if not isinstance(by, str):
        return by
    return ",".join(name for name in names_of_groups(by) if name != "tags") or None


TABLES: Final[dict[str, StatisticsTable]] = {
    "balance": StatisticsTable(class_balance, show_balance, ()),
    "means": StatisticsTable(moments, show_means, ("moments",)),
    "quantiles": StatisticsTable(quantiles, show_quantiles, ("histogram",)),
    "normalisation": StatisticsTable(normalisation, show_normalisation, ("moments",)),
    "separability": StatisticsTable(separability, show_separability, ("covariance",)),
    "cloud-cover": StatisticsTable(cloud_cover, show_cloud_cover, None),
    "tags": StatisticsTable(tag_counts, show_tags, None, _but_tags),
    "co-occurrence": StatisticsTable(lambda ds, _: tag_co_occurrence(ds), show_co_occurrence, None, lambda _: None),
    "representativeness": StatisticsTable(representativeness, show_representativeness, None),
}
"""By name, in the order in which they are explained in the documentation."""

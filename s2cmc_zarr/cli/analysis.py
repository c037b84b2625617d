"""Commands that analyse the catalogue: stats."""

from __future__ import annotations

import typer

import s2cmc_zarr
from s2cmc_zarr.cli.options import (
    CONTEXT,
    By,
    Data,
    Quiet,
    Scheduler,
    StorageOptions,
    Workers,
    bar,
    client,
    parse_options,
)
from s2cmc_zarr.progress import compute
from s2cmc_zarr.view.statistics import print_statistics

commands = typer.Typer(no_args_is_help=True, context_settings=CONTEXT)


@commands.command(epilog="Example: s2cmc stats catalogue.zarr --by difficulty")
def stats(
    store: Data,
    by: By = "tags",
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Class balance and reflectance of every class and band, by tag or any other grouping."""
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=parse_options(storage_options))
    groups = None if by == "all" else by
    statistics = s2cmc_zarr.statistics(dataset)
    s2cmc_zarr.tabulate(statistics, groups)  # lazy: says what cannot be grouped before pixels are read
    with client(scheduler, workers):
        (statistics,) = compute(statistics, progress=bar(quiet))
    print_statistics(statistics, groups)

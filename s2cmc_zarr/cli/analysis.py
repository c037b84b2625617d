"""Commands that analyse the catalogue: stats, agreement, audit."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer

import s2cmc_zarr
from s2cmc_zarr.analysis.confusions import Classes
from s2cmc_zarr.analysis.groups import members
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
from s2cmc_zarr.errors import DefectWarning
from s2cmc_zarr.progress import compute
from s2cmc_zarr.view.agreement import print_agreement
from s2cmc_zarr.view.audit import print_audit
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


@commands.command(epilog="Example: s2cmc agreement catalogue.zarr --by difficulty")
def agreement(
    store: Data,
    by: By = "all",
    classes: Annotated[
        Classes, typer.Option(help="Cloud against the rest, or the three classes of the masks.")
    ] = "cloud",
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """How the two annotators agree on the scenes that both have marked: what a model can be measured against."""
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=parse_options(storage_options))
    groups = None if by == "all" else by
    counts = s2cmc_zarr.agreement(dataset)
    members(counts, groups)  # says what cannot be grouped before pixels are read
    with client(scheduler, workers):
        (counts,) = compute(counts, progress=bar(quiet))
    print_agreement(counts, groups, classes)


@commands.command(epilog="Example: s2cmc audit release/ --json audit.json")
def audit(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Path or URL of a release, of its tag table alone (.csv), or of a Zarr store."
        ),
    ],
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all findings and groups there."),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """List what contradicts itself in the catalogue, and related scenes; exit code 1 if there are defects."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DefectWarning)  # the audit says the same, and more
        dataset = s2cmc_zarr.open_catalogue(source, on_defect="mark", storage_options=parse_options(storage_options))
    with client(scheduler, workers):
        found = s2cmc_zarr.audit(dataset, progress=bar(quiet))
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
    print_audit(found)
    if not found.passed:
        raise typer.Exit(1)

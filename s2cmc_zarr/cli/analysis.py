"""Commands that analyse the catalogue: stats, agreement, audit."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer

import s2cmc_zarr
from s2cmc_zarr.choices import DEFAULT_TABLES, TABLE_NAMES
from s2cmc_zarr.cli.options import (
    CONTEXT,
    By,
    ClassesOption,
    Data,
    Quiet,
    Scheduler,
    StorageOptions,
    Workers,
    bar,
    client,
    grouping,
    parse_options,
)

commands = typer.Typer(no_args_is_help=True, context_settings=CONTEXT)


@commands.command(epilog="Example: s2cmc stats catalogue.zarr --by difficulty --out tables")
def stats(
    store: Data,
    by: By = "tags",
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Print this table; can be given several times. One of: {', '.join(TABLE_NAMES)}. Default: "
            f"{', '.join(DEFAULT_TABLES)}.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write tables there as Parquet and CSV; default: all of them.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Tables of classes, reflectance, cloud cover and tags, by tag or any other grouping."""
    from s2cmc_zarr.analysis.groups import members
    from s2cmc_zarr.progress import compute
    from s2cmc_zarr.view.statistics import included, print_statistics, write_statistics

    dataset = s2cmc_zarr.open_catalogue(store, storage_options=parse_options(storage_options))
    groups = grouping(by)
    members(dataset, groups)  # says what cannot be grouped before pixels are read
    printed, written = table or list(DEFAULT_TABLES), table or list(TABLE_NAMES)
    if "reflectance" not in dataset and not table:  # the tag table alone
        printed, written = ["balance", "cloud-cover"], [name for name in TABLE_NAMES if not included([name])]
    include = included([*printed, *(written if out else ())])
    statistics = dataset
    if include or (include is not None and "reflectance" in dataset):
        with client(scheduler, workers):
            (statistics,) = compute(s2cmc_zarr.statistics(dataset, include), progress=bar(quiet))
    print_statistics(statistics, groups, printed)
    if out:
        paths = write_statistics(statistics, groups, written, out)
        typer.echo(f"Written: {len(paths)} files in {out}")


@commands.command(epilog="Example: s2cmc agreement catalogue.zarr --by difficulty")
def agreement(
    store: Data,
    by: By = "all",
    classes: ClassesOption = "cloud",
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """How the two annotators agree on the scenes that both have marked: what a model can be measured against."""
    from s2cmc_zarr.analysis.groups import members
    from s2cmc_zarr.progress import compute
    from s2cmc_zarr.view.agreement import print_agreement

    dataset = s2cmc_zarr.open_catalogue(store, storage_options=parse_options(storage_options))
    groups = grouping(by)
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
    from s2cmc_zarr.view.audit import print_audit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", s2cmc_zarr.DefectWarning)  # the audit says the same, and more
        dataset = s2cmc_zarr.open_catalogue(source, on_defect="mark", storage_options=parse_options(storage_options))
    with client(scheduler, workers):
        found = s2cmc_zarr.audit(dataset, progress=bar(quiet))
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")
    print_audit(found)
    if not found.passed:
        raise typer.Exit(1)

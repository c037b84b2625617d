"""The command line: one thin command per capability of the Python interface."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import distributed
import typer
from rich.console import Console

import s2cmc_zarr
from s2cmc_zarr import demo as demonstration
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.catalogue import OnDefect
from s2cmc_zarr.store.convert import Conversion
from s2cmc_zarr.store.verify import Verification
from s2cmc_zarr.view import reports

app = typer.Typer(
    name="s2cmc",
    help="The Sentinel-2 Cloud Mask Catalogue as a Zarr store: convert, verify, analyse and score cloud masks.",
    epilog="Start with: s2cmc demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _OnDefect(str, __import__("enum").Enum):
    """Placeholder."""


Source = Annotated[str, typer.Argument(help="Folder or URL of the release: the CSV and zips or unpacked folders.")]
Store = Annotated[str, typer.Argument(help="Path or URL of the Zarr store.")]
Data = Annotated[str, typer.Argument(help="Path or URL of a Zarr store, or of the release itself.")]
StorageOptions = Annotated[
    str | None, typer.Option(help='Options for the file system of the store, as JSON: \'{"anon": true}\'.')
]
SourceStorageOptions = Annotated[str | None, typer.Option(help="The same for the file system of the release.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler, e.g. tcp://127.0.0.1:8786; default: threads here.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
By = Annotated[
    str, typer.Option(help="Group scenes by 'tags', by a coordinate such as difficulty or dataset, or by 'all'.")
]

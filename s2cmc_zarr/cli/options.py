"""What several commands share: arguments, options, and the scheduler on which they work."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import dask.config
import distributed
import typer
from rich.console import Console

from s2cmc_zarr.errors import CatalogueError

CONNECT_TIMEOUT = "10s"
CONTEXT = {"help_option_names": ["-h", "--help"]}
errors = Console(stderr=True)

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="Folder or URL of the release: the CSV, and zips or unpacked folders; or zenodo:"
    ),
]
Store = Annotated[str, typer.Argument(metavar="STORE", help="Path or URL of the Zarr store.")]
Data = Annotated[str, typer.Argument(metavar="STORE", help="Path or URL of a Zarr store, or of the release itself.")]
StorageOptions = Annotated[
    str | None, typer.Option(metavar="JSON", help="For the file system of the store, e.g. '{\"anon\": true}'.")
]
SourceStorageOptions = Annotated[
    str | None, typer.Option(metavar="JSON", help="The same, for the file system of the release.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Dask scheduler to work on, e.g. tcp://127.0.0.1:8786; default: threads here."
    ),
]
Workers = Annotated[int | None, typer.Option(metavar="N", min=1, help="Threads; default: one per core.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Draw no progress bar.")]
By = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Groups of scenes: tags, all, a coordinate such as difficulty, month or hemisphere, an expression such as "
        "'snow/ice and difficulty > 2', or several of these, separated by commas.",
    ),
]


@contextlib.contextmanager
def client(address: str | None, workers: int | None = None) -> Iterator[None]:
    """Work on a scheduler for a while if one is named, or else in some threads."""
    if address is None:
        with dask.config.set(num_workers=workers) if workers else contextlib.nullcontext():
            yield
        return
    if workers is not None:
        raise CatalogueError("--workers are threads of this process, --scheduler has workers of its own; choose one")
    try:
        client = distributed.Client(address, timeout=CONNECT_TIMEOUT)
    except (OSError, ValueError) as error:
        raise CatalogueError(f"no Dask scheduler at {address} ({error}); start one with: dask scheduler") from None
    with client:
        yield


def parse_options(text: str | None) -> dict[str, Any] | None:
    """Read storage options."""
    if text is None:
        return None
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        # The text itself may hold a secret.
        raise CatalogueError("storage options are not a JSON object, expected for example '{\"anon\": true}'")
    return options


def bar(quiet: bool) -> bool:
    """Say whether a progress bar is wanted and can be drawn."""
    return not quiet and sys.stderr.isatty()

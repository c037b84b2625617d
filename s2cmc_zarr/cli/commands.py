"""All commands, and what becomes of errors and warnings."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer
from rich.markup import escape

import s2cmc_zarr
from s2cmc_zarr.cli import analysis, catalogue, scoring
from s2cmc_zarr.cli.options import CONTEXT, errors
from s2cmc_zarr.errors import CatalogueError, redact

app = typer.Typer(
    name="s2cmc",
    help="The Sentinel-2 Cloud Mask Catalogue as a Zarr store: convert, verify, analyse and score cloud masks.",
    epilog="New here? s2cmc demo shows all of it on a catalogue that it makes itself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT,
)
for room in (catalogue, analysis, scoring):
    app.add_typer(room.commands)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"s2cmc-zarr {s2cmc_zarr.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    name = "warning" if category.__module__.startswith("s2cmc_zarr") else category.__name__
    errors.print(f"[yellow]{name}:[/] {escape(redact(str(message)))}", highlight=False)


def run() -> None:
    """Run the command line; what is wrong with the input or the machine is one message and exit code 1."""
    warnings.showwarning = _show_warning
    try:
        app()
    except (CatalogueError, OSError) as error:
        errors.print(f"[red]error:[/] {escape(redact(str(error)))}", highlight=False)
        raise SystemExit(1) from None

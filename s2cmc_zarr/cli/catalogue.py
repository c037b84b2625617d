"""Commands about the catalogue's files: download, replica, convert, verify, export, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import s2cmc_zarr
from s2cmc_zarr.choices import OnDefect, PresetName
from s2cmc_zarr.cli.options import (
    CONTEXT,
    Quiet,
    Scheduler,
    Source,
    SourceStorageOptions,
    StorageOptions,
    Store,
    Workers,
    bar,
    client,
    errors,
    parse_options,
)
from s2cmc_zarr.errors import redact
from s2cmc_zarr.schema import SCENE_SIZE

commands = typer.Typer(no_args_is_help=True, context_settings=CONTEXT)
export = typer.Typer(
    name="export",
    help="Write a store in another form.",
    no_args_is_help=True,
    context_settings=CONTEXT,
)
commands.add_typer(export)


@commands.command(epilog="Example: s2cmc download release --only classification_tags.csv,masks.zip")
def download(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put the files; made if not there.")],
    only: Annotated[str | None, typer.Option(metavar="NAMES", help="Some files only, e.g. masks.zip.")] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Folder at a web server with the same files, in place of Zenodo.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are not as published.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download the published files, 15 GB, and verify them; a run that was interrupted is continued."""
    try:
        done = s2cmc_zarr.download(
            directory,
            only=only,
            url=url,
            overwrite=overwrite,
            progress=bar(quiet),
        )
    except KeyboardInterrupt:
        errors.print("Interrupted: run the command again to go on.")
        raise typer.Exit(130) from None
    typer.echo(f"{len(done.fetched)} file(s) downloaded and verified, {len(done.kept)} there before: {directory}")


@commands.command(epilog="Example: s2cmc replica replica --scenes 12 --tags classification_tags.csv")
def replica(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to make it; must be empty or not exist.")],
    scenes: Annotated[int | None, typer.Option(help="How many; default: 8, with --tags all rows.", min=1)] = None,
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Rows and columns of a scene.")] = SCENE_SIZE,
    tags: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Take scene ids, tags and class counts from this table.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same bytes.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Make a catalogue in the published layout with simulated scenes."""
    if scenes is None and tags is None:
        scenes = 8
    made = s2cmc_zarr.make_replica(directory, scenes, size=size, tags=tags, seed=seed, progress=bar(quiet))
    typer.echo(f"Replica: {made}")


@commands.command(epilog='Example: s2cmc convert release/ catalogue.zarr --scenes "snow/ice and not thick"')
def convert(
    source: Source,
    store: Store,
    on_defect: Annotated[
        OnDefect,
        typer.Option(help="Scenes that contradict the layout or the tag table: fail, leave them out, or mark them."),
    ] = "raise",
    scenes: Annotated[
        str | None,
        typer.Option(metavar="CHOICE", help="Ids, a file of ids, or an expression: 'snow/ice and not thick'."),
    ] = None,
    bands: Annotated[str | None, typer.Option(metavar="NAMES", help="Some bands only, e.g. B02,B03,B04.")] = None,
    preset: Annotated[
        PresetName | None,
        typer.Option(help="Layout and codec, all lossless; default: that of the store, or balanced."),
    ] = None,
    packed: Annotated[
        bool, typer.Option("--packed", help="Round reflectance to 1e-4 in 16 bits; says the largest error.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a store that is there.")] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Go on although another run seems to write to the store.")
    ] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    source_storage_options: SourceStorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Convert the release to a Zarr store; a run that was interrupted is continued."""
    from s2cmc_zarr.view.store import print_conversion

    try:
        with client(scheduler, workers):
            done = s2cmc_zarr.convert(
                source,
                store,
                scenes=scenes,
                bands=bands,
                on_defect=on_defect,
                preset=preset,
                packed=packed,
                overwrite=overwrite,
                take_over=take_over,
                progress=bar(quiet),
                storage_options=parse_options(storage_options),
                source_storage_options=parse_options(source_storage_options),
            )
    except KeyboardInterrupt:
        errors.print("Interrupted: the store is incomplete; run the command again to go on.")
        raise typer.Exit(130) from None
    print_conversion(done, redact(store))


@commands.command(epilog="Example: s2cmc verify catalogue.zarr --source release/")
def verify(
    store: Store,
    source: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="The release, to compare with bit by bit.")
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    source_storage_options: SourceStorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Check every scene against its digests and, with --source, the release; exit code 1 if anything differs."""
    from s2cmc_zarr.view.store import print_verification

    with client(scheduler, workers):
        found = s2cmc_zarr.verify(
            store,
            source,
            progress=bar(quiet),
            storage_options=parse_options(storage_options),
            source_storage_options=parse_options(source_storage_options),
        )
    print_verification(found, redact(store), source and redact(source))
    if not found.passed:
        raise typer.Exit(1)


@commands.command(epilog="Example: s2cmc demo s2cmc-demo --size 256")
def demo(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to put replica and store.")] = Path(
        "s2cmc-demo"
    ),
    scenes: Annotated[int, typer.Option(help="How many scenes.", min=1)] = 8,
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Rows and columns of a scene.")] = SCENE_SIZE,
    quiet: Quiet = False,
) -> None:
    """Go the whole way on a simulated catalogue: make it, convert, verify, analyse, score."""
    from s2cmc_zarr.demo import run_demo

    if not run_demo(directory, scenes=scenes, size=size, progress=bar(quiet)):
        raise typer.Exit(1)


@export.command("zip", epilog="Example: s2cmc export zip catalogue.zarr catalogue.zarr.zip")
def export_zip(
    store: Store,
    path: Annotated[Path, typer.Argument(metavar="OUT.zarr.zip", help="The zip to write, on this machine.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Write a store as one zip that Zarr reads in place, to be published or sent."""
    written = s2cmc_zarr.export_zip(
        store, path, overwrite=overwrite, storage_options=parse_options(storage_options), progress=bar(quiet)
    )
    typer.echo(f"Exported: {written}")

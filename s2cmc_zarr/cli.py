"""The command line: one thin command per capability of the Python interface."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import dask.config
import distributed
import typer
from rich.console import Console
from rich.markup import escape

import s2cmc_zarr
from s2cmc_zarr.demo import run_demo
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.progress import compute
from s2cmc_zarr.release.catalogue import OnDefect
from s2cmc_zarr.release.replica import make_replica
from s2cmc_zarr.schema import SCENE_SIZE
from s2cmc_zarr.scoring.metrics import Classes, ShadowPolicy
from s2cmc_zarr.scoring.models import MODELS
from s2cmc_zarr.store.presets import PresetName
from s2cmc_zarr.view import reports

app = typer.Typer(
    name="s2cmc",
    help="The Sentinel-2 Cloud Mask Catalogue as a Zarr store: convert, verify, analyse and score cloud masks.",
    epilog="New here? s2cmc demo shows all of it on a catalogue that it makes itself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
export = typer.Typer(
    name="export",
    help="Write a store in another form.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(export)
errors = Console(stderr=True)
CONNECT_TIMEOUT = "10s"

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Folder or URL of the release: the CSV, and zips or unpacked folders.")
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
    typer.Option(metavar="NAME", help="Groups of scenes: tags, all, or a coordinate such as difficulty or dataset."),
]


@app.command(epilog="Example: s2cmc replica replica --scenes 12 --tags classification_tags.csv")
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
    made = make_replica(directory, scenes, size=size, tags=tags, seed=seed, progress=_bar(quiet))
    typer.echo(f"Replica: {made}")


@app.command(epilog='Example: s2cmc convert release/ catalogue.zarr --scenes "snow/ice and not thick"')
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
    try:
        with _client(scheduler, workers):
            done = s2cmc_zarr.convert(
                source,
                store,
                scenes=scenes,
                bands=None if bands is None else bands.replace(",", " ").split(),
                on_defect=on_defect,
                preset=preset,
                packed=packed,
                overwrite=overwrite,
                take_over=take_over,
                progress=_bar(quiet),
                storage_options=_options(storage_options),
                source_storage_options=_options(source_storage_options),
            )
    except KeyboardInterrupt:
        errors.print("Interrupted: the store is incomplete; run the command again to go on.")
        raise typer.Exit(130) from None
    reports.print_conversion(done, store)


@app.command(epilog="Example: s2cmc verify catalogue.zarr --source release/")
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
    with _client(scheduler, workers):
        found = s2cmc_zarr.verify(
            store,
            source,
            progress=_bar(quiet),
            storage_options=_options(storage_options),
            source_storage_options=_options(source_storage_options),
        )
    reports.print_verification(found, store, source)
    if not found.passed:
        raise typer.Exit(1)


@app.command(epilog="Example: s2cmc stats catalogue.zarr --by difficulty")
def stats(
    store: Data,
    by: By = "tags",
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Class balance and reflectance of every class and band, by tag or any other grouping."""
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=_options(storage_options))
    groups = None if by == "all" else by
    statistics = s2cmc_zarr.statistics(dataset)
    s2cmc_zarr.tabulate(statistics, groups)  # lazy: says what cannot be grouped before pixels are read
    with _client(scheduler, workers):
        (statistics,) = compute(statistics, progress=_bar(quiet))
    reports.print_statistics(statistics, groups)


@app.command(epilog="Example: s2cmc score catalogue.zarr --model braaten --by difficulty")
def score(
    store: Data,
    model: Annotated[str, typer.Option(metavar="NAME", help=f"A built-in model: {', '.join(MODELS)}.")],
    by: By = "tags",
    classes: Annotated[
        Classes, typer.Option(help="Cloud against the rest, or the three classes of the masks.")
    ] = "cloud",
    shadow_policy: Annotated[
        ShadowPolicy, typer.Option(help="What CLEAR means in scenes whose shadows were not marked.")
    ] = "catalogue",
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Score a cloud-mask model against the masks, by tag or any other grouping."""
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=_options(storage_options))
    groups = None if by == "all" else by
    scores = s2cmc_zarr.score(dataset, model)
    s2cmc_zarr.metrics(scores, groups, classes, shadow_policy)  # lazy: says what cannot be asked before pixels are read
    with _client(scheduler, workers):
        (scores,) = compute(scores, progress=_bar(quiet))
    reports.print_metrics(scores, groups, classes, shadow_policy)


@app.command(epilog="Example: s2cmc demo s2cmc-demo --size 256")
def demo(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to put replica and store.")] = Path(
        "s2cmc-demo"
    ),
    scenes: Annotated[int, typer.Option(help="How many scenes.", min=1)] = 8,
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Rows and columns of a scene.")] = SCENE_SIZE,
    quiet: Quiet = False,
) -> None:
    """Go the whole way on a simulated catalogue: make it, convert, verify, analyse, score."""
    if not run_demo(directory, scenes=scenes, size=size, progress=_bar(quiet)):
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
        store, path, overwrite=overwrite, storage_options=_options(storage_options), progress=_bar(quiet)
    )
    typer.echo(f"Exported: {written}")


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


@contextlib.contextmanager
def _client(address: str | None, workers: int | None = None) -> Iterator[None]:
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


def _options(text: str | None) -> dict[str, Any] | None:
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


def _bar(quiet: bool) -> bool:
    return not quiet and sys.stderr.isatty()


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    name = "warning" if category.__module__.startswith("s2cmc_zarr") else category.__name__
    errors.print(f"[yellow]{name}:[/] {escape(str(message))}", highlight=False)


def main() -> None:
    """Run the command line; what is wrong with the input or the machine is one message and exit code 1."""
    warnings.showwarning = _show_warning
    try:
        app()
    except (CatalogueError, OSError) as error:
        errors.print(f"[red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()

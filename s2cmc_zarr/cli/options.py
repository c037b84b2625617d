"""What several commands share: arguments, options, and the scheduler on which they work."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console

from s2cmc_zarr.choices import MODEL_NAMES, Classes, Method, ShadowPolicy
from s2cmc_zarr.errors import CatalogueError

CONNECT_TIMEOUT = "10s"
CONTEXT = {"help_option_names": ["-h", "--help"]}
errors = Console(stderr=True)


def _check_share(value: float) -> float:
    if not 0 < value < 1:
        raise typer.BadParameter(f"{value:g} is not in the range 0<x<1.")
    return value


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
ScoresStorageOptions = Annotated[
    str | None, typer.Option(metavar="JSON", help="The same, for the file system of --scores.")
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
Scores = Annotated[
    str, typer.Argument(metavar="STORE", help="Path or URL of a Zarr store, of the release, or of a store of scores.")
]
ModelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help=f"A model; can be given several times. Built in: {', '.join(MODEL_NAMES)}; or package.module:factory, a "
        "file .onnx, .txt, .pt2 with its specification beside it, or predictions:URL. Parameters follow in the same "
        "quotes: 's2cloudless threshold=0.5 average_over=2'.",
    ),
]
AllowPickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Let a model be a pickle, which runs whatever code is in it: trust it.")
]
KeptScores = Annotated[
    str | None,
    typer.Option(
        "--scores",
        metavar="URL",
        help="Keep counts there, and take those that are there already instead of computing them.",
    ),
]
ClassesOption = Annotated[
    Classes, typer.Option("--classes", help="Cloud against the rest, or the three classes of the masks.")
]
Policy = Annotated[
    ShadowPolicy, typer.Option("--shadow-policy", help="What CLEAR means in scenes whose shadows were not marked.")
]
Tolerance = Annotated[
    int, typer.Option(metavar="PIXELS", help="Leave out pixels nearer than this to a boundary: 0, 1, 2, 4, 8 or 16.")
]
Out = Annotated[str | None, typer.Option(metavar="FILE", help="Write the table there, too: .parquet, .csv or .json.")]
MetricName = Annotated[
    str,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="For example f1, iou, recall, kappa, mcc, overall_accuracy; or of probabilities: roc_auc, "
        "average_precision, brier_score, expected_calibration_error.",
    ),
]
MaskMetricName = Annotated[
    str, typer.Option("--metric", metavar="NAME", help="For example f1, iou, recall, kappa, mcc, overall_accuracy.")
]
Label = Annotated[str, typer.Option(metavar="CLASS", help="Of which class, if the metric is of single classes.")]
Level = Annotated[
    float, typer.Option(metavar="SHARE", callback=_check_share, help="Nominal coverage of the intervals.")
]
MethodOption = Annotated[Method, typer.Option("--method", help="Kind of bootstrap interval.")]
Replicates = Annotated[int, typer.Option(metavar="N", min=1, help="Resamples of independent groups of scenes.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Of the resamples.")]


@contextlib.contextmanager
def client(address: str | None, workers: int | None = None) -> Iterator[None]:
    """Work on a scheduler for a while if one is named, or else in some threads."""
    import dask.config
    import distributed

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


def grouping(by: str) -> str | None:
    """Give what --by means to the Python interface."""
    return None if by == "all" else by


def bar(quiet: bool) -> bool:
    """Say whether a progress bar is wanted and can be drawn."""
    return not quiet and sys.stderr.isatty()

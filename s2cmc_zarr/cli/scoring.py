"""Commands that score cloud masks: score."""

from __future__ import annotations

from typing import Annotated

import typer

import s2cmc_zarr
from s2cmc_zarr.analysis.confusions import Classes
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
from s2cmc_zarr.scoring.metrics import ShadowPolicy
from s2cmc_zarr.scoring.models import MODELS
from s2cmc_zarr.view.scoring import print_metrics

commands = typer.Typer(no_args_is_help=True, context_settings=CONTEXT)


@commands.command(epilog="Example: s2cmc score catalogue.zarr --model braaten --by difficulty")
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
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=parse_options(storage_options))
    groups = None if by == "all" else by
    scores = s2cmc_zarr.score(dataset, model)
    s2cmc_zarr.metrics(scores, groups, classes, shadow_policy)  # lazy: says what cannot be asked before pixels are read
    with client(scheduler, workers):
        (scores,) = compute(scores, progress=bar(quiet))
    print_metrics(scores, groups, classes, shadow_policy)

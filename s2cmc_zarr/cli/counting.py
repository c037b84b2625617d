"""Counts for the commands that score: opened where they are kept, or computed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import s2cmc_zarr
from s2cmc_zarr.choices import MODEL_NAMES, Classes, ShadowPolicy
from s2cmc_zarr.cli.options import bar, client, grouping, parse_options
from s2cmc_zarr.errors import CatalogueError

if TYPE_CHECKING:
    import xarray as xr

    from s2cmc_zarr.scoring.models import Model


def counted(
    store: str,
    models: list[str] | None,
    *,
    by: str,
    classes: Classes,
    shadow_policy: ShadowPolicy,
    tolerance: int,
    allow_pickle: bool,
    scores: str | None,
    out: str | None,
    workers: int | None,
    scheduler: str | None,
    storage_options: str | None,
    quiet: bool,
    metric: str | None = None,
    label: str = "cloud",
    keep_predictions: bool = False,
) -> xr.Dataset:
    """Open scores, or score; what cannot be asked is said before pixels are read."""
    from s2cmc_zarr.progress import compute
    from s2cmc_zarr.scoring.kept_scores import is_scores
    from s2cmc_zarr.scoring.measures import metric_names, select_measures
    from s2cmc_zarr.scoring.metrics import check_choice
    from s2cmc_zarr.view.tables import check_table_path

    if out:
        check_table_path(out)
    names = [] if metric is None else metric_names(metric)
    if keep_predictions and scores is None:
        raise CatalogueError("--keep-predictions keeps them with the counts: say where with --scores")
    options = parse_options(storage_options)

    def check(counts: xr.Dataset) -> None:
        if names:
            select_measures(counts, grouping(by), classes, shadow_policy, tolerance, names)
        table = s2cmc_zarr.metrics(counts, grouping(by), classes, shadow_policy, tolerance=tolerance)
        check_choice("label", label, table["label"].values.tolist())

    if is_scores(store, options):
        if scores is not None:
            raise CatalogueError(
                f"{store} is a store of scores itself: --scores says where to keep those of a catalogue"
            )
        counts = s2cmc_zarr.open_scores(store, models or None, storage_options=options)
        check(counts)
        return counts
    if not models:
        raise CatalogueError(
            f"{store} is no store of scores: say with --model what to score; built in: {', '.join(MODEL_NAMES)}"
        )
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=options)
    chosen = [_load(name, allow_pickle) for name in models]
    with client(scheduler, workers), s2cmc_zarr.claim_scores(scores) if scores else contextlib.nullcontext():
        counts = s2cmc_zarr.score(dataset, chosen, store=scores, keep_predictions=keep_predictions)
        check(counts)
        computed: tuple[xr.Dataset] = compute(counts, progress=bar(quiet))
    return computed[0]


def _load(text: str, allow_pickle: bool) -> Model:
    from s2cmc_zarr.scoring.models.naming import split_parameters

    name, _ = split_parameters(text)
    pickled = allow_pickle and name.lower().endswith((".pkl", ".pickle"))
    return s2cmc_zarr.load_model(text, **({"allow_pickle": True} if pickled else {}))

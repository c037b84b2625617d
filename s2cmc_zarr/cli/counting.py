"""Counts for the commands that score: opened where they are kept, or computed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import s2cmc_zarr
from s2cmc_zarr.choices import MODEL_NAMES, Classes, ShadowPolicy
from s2cmc_zarr.cli.options import bar, client, grouping, parse_options
from s2cmc_zarr.errors import CatalogueError

if TYPE_CHECKING:
    import xarray as xr

    from s2cmc_zarr.scoring.models import Model


class Counted(NamedTuple):
    """Counts, and sentences on the models and scenes that are left out; empty, if there are none."""

    counts: xr.Dataset
    left_out: str


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
    scores_storage_options: str | None,
    quiet: bool,
    metric: str | None = None,
    label: str = "cloud",
    check_more: Callable[[xr.Dataset], object] | None = None,
    probabilities: bool = False,
    keep_predictions: bool = False,
) -> Counted:
    """Open scores, or score; what cannot be asked is said before pixels are read, or anything is written."""
    from s2cmc_zarr.analysis.estimates import independent_groups
    from s2cmc_zarr.progress import compute
    from s2cmc_zarr.scoring.kept_scores import is_scores
    from s2cmc_zarr.scoring.measures import PROBABILITY_METRICS, metric_names, select_measures
    from s2cmc_zarr.scoring.metrics import check_choice
    from s2cmc_zarr.view.scoring import sentences
    from s2cmc_zarr.view.tables import check_table_path

    if out:
        check_table_path(out)
    names = [] if metric is None else metric_names(metric)
    if scores is None and keep_predictions:
        raise CatalogueError("--keep-predictions keeps them with the counts: say where with --scores")
    if scores is None and scores_storage_options is not None:
        raise CatalogueError("--scores-storage-options are for --scores, which is not given")
    options, scores_options = parse_options(storage_options), parse_options(scores_storage_options)

    def check(counts: xr.Dataset) -> None:
        if names:
            independent_groups(counts)
            select_measures(counts, grouping(by), classes, shadow_policy, tolerance, names)
        table = s2cmc_zarr.metrics(counts, grouping(by), classes, shadow_policy, tolerance=tolerance)
        check_choice("label", label, table["label"].values.tolist())
        if check_more:
            check_more(counts)

    if is_scores(store, options):
        if scores is not None:
            raise CatalogueError(
                f"{store} is a store of scores itself: --scores says where to keep those of a catalogue"
            )
        asked, left_out = (models, "") if models else _comparable(store, classes, options)
        counts = s2cmc_zarr.open_scores(store, asked, storage_options=options)
        if not models and (probabilities or set(names) & set(PROBABILITY_METRICS)):
            counts, without = _with_probabilities(counts)
            left_out = sentences(left_out, without)
        check(counts)
        scenes = counts.attrs["left_out_scene_count"]
        some = f"Left out, as not all of these models were scored on them: {scenes} scenes." if scenes else ""
        return Counted(counts, sentences(left_out, some))
    if not models:
        raise CatalogueError(
            f"{store} is no store of scores: say with --model what to score; built in: {', '.join(MODEL_NAMES)}"
        )
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=options)
    chosen = [_load(name, allow_pickle) for name in models]
    check(s2cmc_zarr.score(dataset, chosen))
    claimed = s2cmc_zarr.claim_scores(scores, scores_options) if scores else contextlib.nullcontext()
    with client(scheduler, workers), claimed:
        lazy = s2cmc_zarr.score(
            dataset, chosen, store=scores, keep_predictions=keep_predictions, storage_options=scores_options
        )
        computed: tuple[xr.Dataset] = compute(lazy, progress=bar(quiet))
    return Counted(computed[0], "")


def _comparable(store: str, classes: Classes, options: dict[str, Any] | None) -> tuple[list[str], str]:
    """Name all models that can be scored by these classes, and say which cannot."""
    from s2cmc_zarr.scoring.kept_scores import kept_labels

    labels = kept_labels(store, options)
    without = [name for name, known in labels.items() if classes == "three" and "cloud_shadow" not in known]
    if labels and len(without) == len(labels):
        raise CatalogueError(
            f"no model in {store} tells cloud shadow apart ({', '.join(without)}): three classes cannot be scored; "
            "use --classes cloud"
        )
    left_out = f"Left out, as they predict no cloud shadow: {', '.join(without)}." if without else ""
    return [name for name in labels if name not in without], left_out


def _with_probabilities(counts: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Leave out models that give no probabilities, unless none does, and say which."""
    from s2cmc_zarr.scoring.probabilities import gives_probability

    given = gives_probability(counts).values
    if given.all() or not given.any():
        return counts, ""
    without = ", ".join(counts["model"].values[~given])
    return counts.isel(model=given), f"Left out, as they give no probabilities: {without}."


def _load(text: str, allow_pickle: bool) -> Model:
    from s2cmc_zarr.scoring.models.naming import split_parameters

    name, _ = split_parameters(text)
    pickled = allow_pickle and name.lower().endswith((".pkl", ".pickle"))
    return s2cmc_zarr.load_model(text, **({"allow_pickle": True} if pickled else {}))

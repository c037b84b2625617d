"""Commands that score cloud masks: score, compare, leaderboard, explain."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer
import xarray as xr

import s2cmc_zarr
from s2cmc_zarr.analysis.confusions import Classes
from s2cmc_zarr.analysis.estimates import Method
from s2cmc_zarr.analysis.resampling import REPLICATES
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
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.progress import compute
from s2cmc_zarr.scoring.intervals import metric_names
from s2cmc_zarr.scoring.kept_scores import is_scores, open_scores
from s2cmc_zarr.scoring.metrics import ShadowPolicy
from s2cmc_zarr.scoring.models import MODELS, Model, load_model
from s2cmc_zarr.scoring.models.naming import split_parameters
from s2cmc_zarr.view.scoring import (
    print_comparison,
    print_explanation,
    print_leaderboard,
    print_metrics,
    print_probability_metrics,
)
from s2cmc_zarr.view.tables import all_and_groups, check_table_path, write_table

commands = typer.Typer(no_args_is_help=True, context_settings=CONTEXT)

Scores = Annotated[
    str, typer.Argument(metavar="STORE", help="Path or URL of a store of scores, of a Zarr store, or of the release.")
]
ModelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help=f"A model; can be given several times. Built in: {', '.join(MODELS)}; or package.module:factory, a file "
        ".onnx, .txt, .pt2 with its specification beside it, or predictions:URL. Parameters follow in the same quotes: "
        "'s2cloudless threshold=0.5 average_over=2'.",
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
    str, typer.Option("--metric", metavar="NAME", help="For example f1, iou, recall, kappa, mcc, overall_accuracy.")
]
Label = Annotated[str, typer.Option(metavar="CLASS", help="Of which class, if the metric is of single classes.")]
Level = Annotated[float, typer.Option(metavar="SHARE", help="Nominal coverage of the intervals.")]
MethodOption = Annotated[Method, typer.Option("--method", help="Kind of bootstrap interval.")]
Replicates = Annotated[int, typer.Option(metavar="N", min=1, help="Resamples of independent groups of scenes.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Of the resamples.")]


@commands.command(epilog="Example: s2cmc score catalogue.zarr --model braaten --by difficulty")
def score(
    store: Data,
    model: ModelNames = None,
    by: By = "tags",
    classes: ClassesOption = "cloud",
    shadow_policy: Policy = "catalogue",
    tolerance: Tolerance = 0,
    allow_pickle: AllowPickle = False,
    scores: KeptScores = None,
    keep_predictions: Annotated[
        bool, typer.Option("--keep-predictions", help="Keep the predicted masks with the counts, too.")
    ] = False,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Score cloud-mask models against the masks, by tag or any other grouping."""
    _check_out(out)
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=parse_options(storage_options))
    if not model:
        raise CatalogueError(f"no --model; built in: {', '.join(MODELS)}")
    models = _load(model, allow_pickle)
    counts = s2cmc_zarr.score(dataset, models, store=scores, keep_predictions=keep_predictions)
    make = partial(s2cmc_zarr.metrics, classes=classes, shadow_policy=shadow_policy, tolerance=tolerance)
    make(counts, _groups(by))  # lazy: says what cannot be asked before pixels are read
    with client(scheduler, workers):
        (counts,) = compute(counts, progress=bar(quiet))
    tables = all_and_groups(lambda groups: make(counts, groups), _groups(by))
    print_metrics(tables)
    with_probability = counts["probability_count"].any(["scene", "truth", "probability"])
    if with_probability.any():
        some = counts.isel(model=with_probability.values)
        print_probability_metrics(
            all_and_groups(
                lambda groups: s2cmc_zarr.probability_metrics(some, groups, shadow_policy=shadow_policy), _groups(by)
            )
        )
    if out:
        write_table(tables, out)


@commands.command(epilog="Example: s2cmc leaderboard catalogue.zarr --scores scores.zarr --model braaten")
def leaderboard(
    store: Scores,
    model: ModelNames = None,
    by: By = "tags",
    metric: MetricName = "f1",
    label: Label = "cloud",
    classes: ClassesOption = "cloud",
    shadow_policy: Policy = "catalogue",
    tolerance: Tolerance = 0,
    level: Level = 0.95,
    method: MethodOption = "bca",
    replicates: Replicates = REPLICATES,
    seed: Seed = 0,
    allow_pickle: AllowPickle = False,
    scores: KeptScores = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Rank models, with intervals over independent groups of scenes; without --model, all that were scored."""
    _check_out(out)
    metric_names(metric)
    counts = _counts(store, model, scores, storage_options, allow_pickle)
    make = partial(
        s2cmc_zarr.intervals,
        classes=classes,
        shadow_policy=shadow_policy,
        metric=metric,
        tolerance=tolerance,
        level=level,
        method=method,
        replicates=replicates,
        seed=seed,
    )
    s2cmc_zarr.metrics(counts, _groups(by), classes, shadow_policy, tolerance=tolerance)
    with client(scheduler, workers):
        (counts,) = compute(counts, progress=bar(quiet))
    tables = all_and_groups(lambda groups: make(counts, groups), _groups(by))
    print_leaderboard(tables, metric, label)
    if out:
        write_table(tables, out)


@commands.command(epilog="Example: s2cmc compare scores.zarr braaten s2cloudless --by difficulty")
def compare(
    store: Scores,
    first: Annotated[str, typer.Argument(metavar="A", help="A model.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another model.")],
    by: By = "tags",
    metric: MetricName = "f1",
    label: Label = "cloud",
    classes: ClassesOption = "cloud",
    shadow_policy: Policy = "catalogue",
    tolerance: Tolerance = 0,
    level: Level = 0.95,
    method: MethodOption = "percentile",
    replicates: Replicates = REPLICATES,
    seed: Seed = 0,
    allow_pickle: AllowPickle = False,
    scores: KeptScores = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Tell whether two models differ by more than chance, on the same resamples of scenes."""
    _check_out(out)
    metric_names(metric)
    counts = _counts(store, [first, second], scores, storage_options, allow_pickle)
    # A name on the command line may be that of a file, which has another name in tables.
    one, other = counts["model"].values.tolist()
    s2cmc_zarr.metrics(counts, _groups(by), classes, shadow_policy, tolerance=tolerance)
    with client(scheduler, workers):
        (counts,) = compute(counts, progress=bar(quiet))
    make = partial(
        s2cmc_zarr.compare,
        classes=classes,
        shadow_policy=shadow_policy,
        metric=metric,
        tolerance=tolerance,
        level=level,
        method=method,
        replicates=replicates,
        seed=seed,
    )
    tables = all_and_groups(lambda groups: make(counts, one, other, groups), _groups(by))
    print_comparison(tables, metric, label)
    if out:
        write_table(tables, out)


@commands.command(epilog="Example: s2cmc explain scores.zarr --model braaten")
def explain(
    store: Scores,
    model: ModelNames = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A tag; can be given several times. Default: all.")
    ] = None,
    metric: MetricName = "overall_accuracy",
    classes: ClassesOption = "cloud",
    shadow_policy: Policy = "catalogue",
    tolerance: Tolerance = 0,
    level: Level = 0.95,
    allow_pickle: AllowPickle = False,
    scores: KeptScores = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Tell which tags explain the errors of models, others held fixed."""
    _check_out(out)
    metric_names(metric)
    counts = _counts(store, model, scores, storage_options, allow_pickle)
    s2cmc_zarr.metrics(counts, None, classes, shadow_policy, tolerance=tolerance)
    with client(scheduler, workers):
        (counts,) = compute(counts, progress=bar(quiet))
    table = s2cmc_zarr.explain(counts, tag, classes, shadow_policy, metric=metric, tolerance=tolerance, level=level)
    print_explanation(table)
    if out:
        write_table([table], out)


def _counts(
    store: str, models: list[str] | None, scores: str | None, storage_options: str | None, allow_pickle: bool
) -> xr.Dataset:
    """Open scores, or score lazily."""
    options: dict[str, Any] | None = parse_options(storage_options)
    if is_scores(store, options):
        if scores is not None:
            raise CatalogueError(
                f"{store} is a store of scores itself: --scores says where to keep those of a catalogue"
            )
        return open_scores(store, models or None, storage_options=options)
    if not models:
        raise CatalogueError(
            f"{store} is no store of scores: say with --model what to score; built in: {', '.join(MODELS)}"
        )
    dataset = s2cmc_zarr.open_catalogue(store, storage_options=options)
    return s2cmc_zarr.score(dataset, _load(models, allow_pickle), store=scores)


def _load(names: list[str], allow_pickle: bool) -> list[Model]:
    pickled = [allow_pickle and split_parameters(name)[0].lower().endswith((".pkl", ".pickle")) for name in names]
    return [
        load_model(name, **({"allow_pickle": True} if of_pickle else {}))
        for name, of_pickle in zip(names, pickled, strict=True)
    ]


def _groups(by: str) -> str | None:
    return None if by == "all" else by


def _check_out(out: str | None) -> None:
    """Refuse a name that tables cannot have, before pixels are read."""
    if out:
        check_table_path(out)

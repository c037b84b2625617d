"""Commands that score cloud masks: score, compare, leaderboard, explain, calibrate."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

import s2cmc_zarr
from s2cmc_zarr.choices import REPLICATES
from s2cmc_zarr.cli.counting import counted
from s2cmc_zarr.cli.options import (
    CONTEXT,
    AllowPickle,
    By,
    ClassesOption,
    KeptScores,
    Label,
    Level,
    MaskMetricName,
    MethodOption,
    MetricName,
    ModelNames,
    Out,
    Policy,
    Quiet,
    Replicates,
    Scheduler,
    Scores,
    ScoresStorageOptions,
    Seed,
    StorageOptions,
    Tolerance,
    Workers,
    grouping,
)

if TYPE_CHECKING:
    import xarray as xr

commands = typer.Typer(no_args_is_help=True, context_settings=CONTEXT)


@commands.command(epilog="Example: s2cmc score catalogue.zarr --model braaten --by difficulty")
def score(
    store: Scores,
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
    scores_storage_options: ScoresStorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Score cloud-mask models against the masks, by tag or any other grouping."""
    from s2cmc_zarr.view.scoring import print_metrics, print_probability_metrics
    from s2cmc_zarr.view.tables import all_and_groups, write_table

    counts, left_out = counted(
        store,
        model,
        by=by,
        classes=classes,
        shadow_policy=shadow_policy,
        tolerance=tolerance,
        allow_pickle=allow_pickle,
        scores=scores,
        out=out,
        workers=workers,
        scheduler=scheduler,
        storage_options=storage_options,
        scores_storage_options=scores_storage_options,
        quiet=quiet,
        keep_predictions=keep_predictions,
    )
    make = partial(s2cmc_zarr.metrics, counts, classes=classes, shadow_policy=shadow_policy, tolerance=tolerance)
    tables = all_and_groups(make, grouping(by))
    print_metrics(tables, left_out)
    some = counts.isel(model=counts["probability_count"].any(["scene", "truth", "probability"]).values)
    if some.sizes["model"]:
        make_others = partial(s2cmc_zarr.probability_metrics, some, shadow_policy=shadow_policy)
        print_probability_metrics(all_and_groups(make_others, grouping(by)))
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
    common: Annotated[
        bool, typer.Option("--common", help="Leave out scenes of which any of the models gave no mask.")
    ] = False,
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
    scores_storage_options: ScoresStorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Rank models, with intervals over independent groups of scenes; without --model, all that were scored."""
    from s2cmc_zarr.view.scoring import print_leaderboard
    from s2cmc_zarr.view.tables import all_and_groups, write_table

    counts, left_out = counted(
        store,
        model,
        by=by,
        classes=classes,
        shadow_policy=shadow_policy,
        tolerance=tolerance,
        allow_pickle=allow_pickle,
        scores=scores,
        out=out,
        workers=workers,
        scheduler=scheduler,
        storage_options=storage_options,
        scores_storage_options=scores_storage_options,
        quiet=quiet,
        metric=metric,
        label=label,
    )
    make = partial(
        s2cmc_zarr.intervals,
        counts,
        classes=classes,
        shadow_policy=shadow_policy,
        metric=metric,
        tolerance=tolerance,
        common=common,
        level=level,
        method=method,
        replicates=replicates,
        seed=seed,
    )
    tables = all_and_groups(make, grouping(by))
    print_leaderboard(tables, metric, label, left_out)
    if out:
        write_table(tables, out)


@commands.command(epilog="Example: s2cmc compare scores.zarr braaten s2cloudless --by difficulty")
def compare(
    store: Scores,
    first: Annotated[str, typer.Argument(metavar="A", help="A model, as for --model of s2cmc score.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another model, or the same with other parameters.")],
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
    scores_storage_options: ScoresStorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Tell whether two models differ by more than chance, on the same resamples of scenes."""
    from s2cmc_zarr.view.comparison import print_comparison
    from s2cmc_zarr.view.tables import all_and_groups, write_table

    counts, left_out = counted(
        store,
        [first, second],
        by=by,
        classes=classes,
        shadow_policy=shadow_policy,
        tolerance=tolerance,
        allow_pickle=allow_pickle,
        scores=scores,
        out=out,
        workers=workers,
        scheduler=scheduler,
        storage_options=storage_options,
        scores_storage_options=scores_storage_options,
        quiet=quiet,
        metric=metric,
        label=label,
    )
    # A name on the command line may be that of a file, which has another name in tables.
    one, other = counts["model"].values.tolist()
    make = partial(
        s2cmc_zarr.compare,
        counts,
        one,
        other,
        classes=classes,
        shadow_policy=shadow_policy,
        metric=metric,
        tolerance=tolerance,
        level=level,
        method=method,
        replicates=replicates,
        seed=seed,
    )
    tables = all_and_groups(make, grouping(by))
    print_comparison(tables, metric, label, left_out)
    if out:
        write_table(tables, out)


@commands.command(epilog="Example: s2cmc explain scores.zarr --model braaten")
def explain(
    store: Scores,
    model: ModelNames = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A tag; can be given several times. Default: all.")
    ] = None,
    metric: MaskMetricName = "overall_accuracy",
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
    scores_storage_options: ScoresStorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Tell which tags explain the errors of models, others held fixed."""
    from s2cmc_zarr.scoring.explanation import chosen_tags
    from s2cmc_zarr.scoring.measures import mask_metric_name
    from s2cmc_zarr.view.comparison import print_explanation
    from s2cmc_zarr.view.tables import write_table

    mask_metric_name(metric)
    counts, left_out = counted(
        store,
        model,
        by="all",
        classes=classes,
        shadow_policy=shadow_policy,
        tolerance=tolerance,
        allow_pickle=allow_pickle,
        scores=scores,
        out=out,
        workers=workers,
        scheduler=scheduler,
        storage_options=storage_options,
        scores_storage_options=scores_storage_options,
        quiet=quiet,
        metric=metric,
        check_more=lambda scores: chosen_tags(scores, tag),
    )
    table = s2cmc_zarr.explain(counts, tag, classes, shadow_policy, metric=metric, tolerance=tolerance, level=level)
    print_explanation(table, left_out)
    if out:
        write_table([table], out)


@commands.command(
    epilog="Example: s2cmc calibrate scores.zarr --on \"hemisphere == 'north'\" --model s2cloudless --metric iou"
)
def calibrate(
    store: Scores,
    on: Annotated[
        str,
        typer.Option(
            metavar="EXPRESSION",
            help="Scenes on which to choose, such as \"hemisphere == 'north'\"; the others, without those of the same "
            "independent groups, are for the test.",
        ),
    ],
    model: ModelNames = None,
    metric: MaskMetricName = "f1",
    allow_pickle: AllowPickle = False,
    scores: KeptScores = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    storage_options: StorageOptions = None,
    scores_storage_options: ScoresStorageOptions = None,
    quiet: Quiet = False,
) -> None:
    """Choose the threshold of the probability of cloud on some scenes, and score it on the others."""
    from s2cmc_zarr.scoring.calibration import split_scenes
    from s2cmc_zarr.scoring.measures import mask_metric_name
    from s2cmc_zarr.scoring.probabilities import check_probabilities
    from s2cmc_zarr.view.scoring import print_calibration
    from s2cmc_zarr.view.tables import write_table

    mask_metric_name(metric)

    def check(counts: xr.Dataset) -> None:
        split_scenes(counts, on)
        check_probabilities(counts)

    counts, left_out = counted(
        store,
        model,
        by="all",
        classes="cloud",
        shadow_policy="catalogue",
        tolerance=0,
        allow_pickle=allow_pickle,
        scores=scores,
        out=out,
        workers=workers,
        scheduler=scheduler,
        storage_options=storage_options,
        scores_storage_options=scores_storage_options,
        quiet=quiet,
        metric=metric,
        check_more=check,
        probabilities=True,
    )
    table = s2cmc_zarr.calibrate_threshold(counts, on, metric=metric)
    print_calibration(table, on, left_out)
    if out:
        write_table([table], out)

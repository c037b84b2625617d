"""Scores as tables in the terminal."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from s2cmc_zarr.analysis.confusions import Classes
from s2cmc_zarr.analysis.groups import By
from s2cmc_zarr.scoring.metrics import FEW_SCENES, ShadowPolicy, metrics
from s2cmc_zarr.view.tables import all_and_groups, side_by_side
from s2cmc_zarr.view.terminal import print_table

_METRICS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
    "overall_accuracy": "accuracy",
    "balanced_accuracy": "balanced",
}
"""Metrics in the printed table, with the heads of their columns."""


def print_metrics(scores: xr.Dataset, by: By, classes: Classes, shadow_policy: ShadowPolicy) -> None:
    """Print the metrics of scores, of all scenes and by group.

    Parameters
    ----------
    scores : xarray.Dataset
        As `score` gives it, computed.
    by, classes, shadow_policy
        As for `metrics`.
    """
    tables = all_and_groups(lambda groups: metrics(scores, groups, classes, shadow_policy), by)
    rates = pd.concat([_rates(table, classes) for table in tables])
    what = "cloud against the rest" if classes == "cloud" else "three classes"
    print_table(
        rates,
        f"{scores['model'].item()}: {what}",
        percent=[name for name in rates.columns if rates[name].dtype.kind == "f"],
        caption=(
            f"Shadow policy: {shadow_policy}. All pooled over pixels, but for the last F1: the mean over the n scenes "
            f"in which it is defined. few: fewer than {FEW_SCENES} scenes"
        ),
    )


def _rates(table: xr.Dataset, classes: Classes) -> pd.DataFrame:
    if classes == "cloud":
        table = table.sel(label="cloud", drop=True)
    pooled = table.sel(averaging="pooled", drop=True)
    columns = {title: pooled[name] for name, title in _METRICS.items()}
    columns |= {"F1 per scene": table["f1"].sel(averaging="per_scene", drop=True), "n": table["f1_scenes"]}
    columns |= {"scenes": table["scene_count"], "few": table["few_scenes"]}
    return side_by_side(columns)

"""Scores as tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.scoring.measures import smaller_is_better
from s2cmc_zarr.scoring.metrics import check_choice
from s2cmc_zarr.view.figures import COEFFICIENT, PERCENT, SCENES, Format
from s2cmc_zarr.view.tables import side_by_side, there, with_interval
from s2cmc_zarr.view.terminal import print_table, print_tables

_METRICS: Final = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
    "overall_accuracy": "accuracy",
    "balanced_accuracy": "balanced",
}
"""Metrics in the printed table, with the heads of their columns."""
_PROBABILITY_METRICS: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier_score": "Brier score",
    "expected_calibration_error": "calibration error",
}
_TITLES: Final = {
    "f1": "F1",
    "f2": "F2",
    "iou": "IoU",
    "mean_iou": "mean IoU",
    "mcc": "MCC",
    **_PROBABILITY_METRICS,
}
_COEFFICIENTS: Final = ("kappa", "mcc", *_PROBABILITY_METRICS)
"""Metrics that are not printed as percent."""


def print_metrics(tables: Sequence[xr.Dataset], left_out: str = "") -> None:
    """Print metrics, a table for each model.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        As `metrics` gives them, with the dimension `model`; those of all scenes and of groups, say.
    left_out : str
        Sentences on models and scenes that are not in them.
    """
    rules = tables[0].attrs
    print_tables(
        {
            str(model): there(_rates(table.sel(model=model, drop=True)) for table in tables)
            for model in tables[0]["model"].values
        },
        formats=dict.fromkeys([*_METRICS.values(), "mean F1"], PERCENT) | {"scenes": SCENES},
        caption=sentences(
            f"{what_of(rules)}. Percent, except kappa; pooled over pixels, except mean F1: over the n scenes in which "
            "it is defined.",
            policy_of(rules),
            left_out,
        ),
    )


def print_probability_metrics(tables: Sequence[xr.Dataset]) -> None:
    """Print metrics of probabilities, of all models.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        As `probability_metrics` gives them, with the dimension `model`.
    """

    def rows(table: xr.Dataset) -> pd.DataFrame:
        pooled = table.sel(averaging="pooled", drop=True).transpose("model", ...)
        columns = {title: pooled[name] for name, title in _PROBABILITY_METRICS.items()}
        return side_by_side(columns | {"scenes": table["scene_count"]})

    print_table(
        there(map(rows, tables)),
        "Probability of cloud",
        formats={"scenes": SCENES},
        caption=f"Pooled over pixels. {policy_of(tables[0].attrs)}",
    )


def print_leaderboard(tables: Sequence[xr.Dataset], metric: str, label: str = "cloud", left_out: str = "") -> None:
    """Print models from the best to the worst, of all scenes and by group.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        As `intervals` gives them, with the dimension `model`: that of all scenes first, then those of groups.
    metric : str
        Which of their metrics.
    label : str
        Of which class, if the metric is of single classes.
    left_out : str
        Sentences on models and scenes that are not in them.
    """
    everything, *groups = [of_label(table, metric, label) for table in tables]
    everything = everything.isel(dict.fromkeys(everything["scene_count"].dims, 0), drop=True)
    pooled = everything[metric].sel(averaging="pooled")
    order = np.argsort(pooled.values if smaller_is_better(metric) else -pooled.values, kind="stable")
    everything = everything.isel(model=order)
    rules, title = tables[0].attrs, title_of(metric, tables[0], label)
    judged, common = everything["judged_scene_count"], int(everything["common_scene_count"])
    frame = side_by_side(
        {
            "pooled": with_interval(everything.sel(averaging="pooled", drop=True), metric),
            "per scene": with_interval(everything.sel(averaging="per_scene", drop=True), metric),
            "n": everything[f"{metric}_scenes"],
            "scenes": judged,
            "Mpx": everything["pixel_count"] / 1e6,
        }
    )
    form = format_of(metric)
    print_table(
        frame,
        f"Leaderboard: {title}",
        formats={"pooled": form, "per scene": form, "scenes": SCENES, "Mpx": Format(decimals=1)},
        caption=sentences(
            rules_of(rules, metric),
            "n: scenes in the mean per scene, those in which it is defined. Scenes and Mpx (millions of pixels): those "
            "with a prediction.",
            _common_scenes(judged, common),
            left_out,
        ),
    )
    for table in groups:
        ordered = table.sel(averaging="pooled", model=everything["model"].values)
        columns = {"scenes": ordered["scene_count"]}
        models = list(map(str, ordered["model"].values))
        columns |= {model: with_interval(ordered.sel(model=model, drop=True), metric) for model in models}
        print_table(
            there([side_by_side(columns)]),
            f"{title} by {', '.join(map(str, ordered['scene_count'].dims))}, pooled over pixels",
            formats={"scenes": SCENES} | dict.fromkeys(models, form),
        )


def _common_scenes(judged: xr.DataArray, common: int) -> str:
    """Say whether models were judged on different scenes."""
    if (judged == common).all():
        return ""
    if not common:
        return "Models were judged on different scenes; none is common to all."
    return f"Models were judged on different scenes; those common to all, on which --common compares: {common}."


def print_calibration(table: xr.Dataset, on: str, left_out: str = "") -> None:
    """Print thresholds, and the metric on the scenes on which they were chosen and on the others.

    Parameters
    ----------
    table : xarray.Dataset
        As `calibrate_threshold` gives it, with the dimension `model`.
    on : str
        What chose the scenes for calibration.
    left_out : str
        Sentences on models and scenes that are not in it.
    """
    metric = table.attrs["metric"]
    form = format_of(metric)
    calibration, test, neither = (int(table[f"{part}_scene_count"]) for part in ("calibration", "test", "left_out"))
    print_table(
        side_by_side(
            {
                "threshold": table["threshold"],
                "calibration": table[f"{metric}_calibration"],
                "test": table[f"{metric}_test"],
            }
        ),
        f"Threshold of the probability of cloud, best for {_title(metric)}",
        formats={"calibration": form, "test": form},
        caption=sentences(
            f"{what_of(table.attrs)}{unit_of(metric)}, pooled over pixels. Calibration: on the {calibration} scenes of "
            f"{on}; test: on {test} others" + (f", without {neither} of the same groups." if neither else "."),
            policy_of(table.attrs),
            left_out,
        ),
    )


def _rates(table: xr.Dataset) -> pd.DataFrame:
    if table.attrs["classes"] == "cloud":
        table = table.sel(label="cloud", drop=True)
    pooled = table.sel(averaging="pooled", drop=True)
    columns = {title: pooled[name] for name, title in _METRICS.items()}
    columns |= {
        "kappa": pooled["kappa"],
        "mean F1": table["f1"].sel(averaging="per_scene", drop=True),
        "n": table["f1_scenes"],
        "scenes": table["scene_count"],
    }
    return side_by_side(columns)


def of_label(table: xr.Dataset, metric: str, label: str) -> xr.Dataset:
    """Choose a class, if the metric is of single classes."""
    if "label" not in table[metric].dims:
        return table
    labels = table["label"].values.tolist()
    check_choice("label", label, labels)
    return table.sel(label=label, drop=True)


def title_of(metric: str, table: xr.Dataset, label: str) -> str:
    """Name a metric, and its class if it is of single classes."""
    return f"{_title(metric)} of {label}" if "label" in table[metric].dims else _title(metric)


def _title(metric: str) -> str:
    return _TITLES.get(metric, metric.replace("_", " "))


def format_of(metric: str) -> Format:
    """Say how a metric is printed."""
    return COEFFICIENT if metric in _COEFFICIENTS else PERCENT


def unit_of(metric: str) -> str:
    """Name the unit of a printed metric, as the end of a phrase."""
    return "" if metric in _COEFFICIENTS else ", percent"


def sentences(*parts: str) -> str:
    """Join sentences; those that are empty are left out."""
    return " ".join(part for part in parts if part)


def what_of(rules: dict[str, object]) -> str:
    """Say which classes were told apart."""
    what = "Cloud against the rest" if rules["classes"] == "cloud" else "Three classes"
    tolerance = rules.get("tolerance", 0)
    return f"{what}, without {tolerance} pixels at boundaries" if tolerance else what


def policy_of(rules: dict[str, object]) -> str:
    """Name the shadow policy."""
    return f"Shadow policy: {rules['shadow_policy']}."


def rules_of(rules: dict[str, object], metric: str) -> str:
    """Say by which rules a metric and its intervals were computed."""
    return (
        f"{what_of(rules)}{unit_of(metric)}; in brackets {100 * float(str(rules['level'])):g} % intervals "
        f"({rules['method']}, {rules['replicates']:,} resamples of independent groups). {policy_of(rules)}"
    )

"""Scores as tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.scoring.metrics import FEW_SCENES, check_choice
from s2cmc_zarr.view.tables import side_by_side
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
_TITLES = {
    "f1": "F1",
    "f2": "F2",
    "iou": "IoU",
    "mean_iou": "mean IoU",
    "mcc": "MCC",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier_score": "Brier score",
    "expected_calibration_error": "calibration error",
}
_COEFFICIENTS = ("kappa", "mcc")
"""Metrics that are no fractions."""


def print_metrics(tables: Sequence[xr.Dataset]) -> None:
    """Print metrics, a table for each model.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        As `metrics` gives them, with the dimension `model`; those of all scenes and of groups, say.
    """
    rules = tables[0].attrs
    for model in tables[0]["model"].values:
        rates = pd.concat([_rates(table.sel(model=model, drop=True)) for table in tables])
        print_table(
            rates,
            f"{model}: {_what(rules)}",
            percent=[name for name in rates.columns if rates[name].dtype.kind == "f"],
            caption=(
                f"{_policy(rules)} All pooled over pixels, but for the last F1: the mean over the n scenes "
                f"in which it is defined. {_FEW}"
            ),
        )


def print_probability_metrics(tables: Sequence[xr.Dataset]) -> None:
    """Print metrics of probabilities, of all models.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        As `probability_metrics` gives them, with the dimension `model`.
    """
    names = ("roc_auc", "average_precision", "brier_score", "expected_calibration_error")
    frames = []
    for table in tables:
        pooled = table.sel(averaging="pooled", drop=True).transpose("model", ...)
        columns = {_TITLES[name]: pooled[name] for name in names}
        columns |= {"scenes": table["scene_count"], "few": table["few_scenes"]}
        frames.append(side_by_side(columns))
    print_table(
        pd.concat(frames),
        "Probability of cloud",
        caption=f"{_policy(tables[0].attrs)} Pooled over pixels. {_FEW}",
    )


def print_leaderboard(tables: Sequence[xr.Dataset], metric: str, label: str = "cloud") -> None:
    """Print models from the best to the worst, of all scenes and by group.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        As `intervals` gives them, with the dimension `model`: that of all scenes first, then those of groups.
    metric : str
        Which of their metrics.
    label : str
        Of which class, if the metric is of single classes.
    """
    everything, *groups = [_of_label(table, metric, label) for table in tables]
    everything = everything.isel(dict.fromkeys(everything["scene_count"].dims, 0), drop=True)
    pooled = everything[metric].sel(averaging="pooled")
    order = np.argsort(pooled.values if metric.endswith("_error") else -pooled.values, kind="stable")
    everything = everything.isel(model=order)
    rules = tables[0].attrs
    title = _title(metric, tables[0], label)
    columns = {}
    for averaging, name in (("pooled", "pooled"), ("per_scene", "per scene")):
        columns[name] = _with_limits(everything.sel(averaging=averaging), metric, decimals=1)
    frame = pd.DataFrame(columns, index=pd.Index(everything["model"].values, name="model"))
    frame["n"] = everything[f"{metric}_scenes"].values
    frame["scenes"] = int(everything["scene_count"])
    frame["Mpx"] = [f"{pixels / 1e6:.1f}" for pixels in everything["pixel_count"].values]
    print_table(
        frame,
        f"Leaderboard: {title}, {_what(rules)}",
        caption=f"{_interval_caption(rules, metric)}. Mpx: millions of pixels of which there is a prediction",
    )
    for table in groups:
        ordered = table.sel(averaging="pooled", model=everything["model"].values)
        dims = ordered["scene_count"].dims
        index = ordered["scene_count"].to_series().index
        cells = {"scenes": ordered["scene_count"].to_series()}
        for model in ordered["model"].values:
            of = ordered.sel(model=model).transpose(*dims, ...)
            cells[str(model)] = pd.Series(_with_limits(of, metric, decimals=0), index=index)
        cells["few"] = ordered["few_scenes"].to_series()
        print_table(
            pd.DataFrame(cells),
            f"{title} by {', '.join(map(str, dims))}, pooled, with intervals",
            caption=_interval_caption(rules, metric),
        )


def print_comparison(tables: Sequence[xr.Dataset], metric: str, label: str = "cloud") -> None:
    """Print how two models differ.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        As `compare` gives them.
    metric : str
        Which of their metrics.
    label : str
        Of which class, if the metric is of single classes.
    """
    rules = tables[0].attrs
    first, second = rules["first"], rules["second"]
    for averaging, name in (("pooled", "pooled over pixels"), ("per_scene", "mean over scenes")):
        frames = []
        for table in tables:
            of = _of_label(table, metric, label).sel(averaging=averaging, drop=True)
            dims = of["scene_count"].dims
            frame = pd.DataFrame({"scenes": of["scene_count"].to_series()})
            for model in (first, second):
                frame[model] = _figures(of.sel(model=model).transpose(*dims, ...), metric, decimals=1)
            frame["difference"] = _figures(of, f"{metric}_difference", decimals=1, sign=True)
            frame["interval"] = _limits(of, f"{metric}_difference", decimals=1, sign=True)
            frame["p"] = [_p(value) for value in of[f"{metric}_difference_p_value"].values.ravel()]
            frame["p, Holm"] = [_p(value) for value in of[f"{metric}_difference_p_value_holm"].values.ravel()]
            frame["few"] = of["few_scenes"].to_series()
            frames.append(frame)
        print_table(
            pd.concat(frames),
            f"{first} less {second}: {_title(metric, tables[0], label)}, {_what(rules)}, {name}",
            caption=f"{_interval_caption(rules, metric)}. p: of no difference; Holm: corrected over the groups",
        )


def print_explanation(table: xr.Dataset) -> None:
    """Print what tags add to the error of each model.

    Parameters
    ----------
    table : xarray.Dataset
        As `explain` gives it.
    """
    rules = table.attrs
    without = f" Not explained: {rules['not_explained']}." if rules["not_explained"] else ""
    for model in table["model"].values[table["r_squared"].notnull().values]:
        of = table.sel(model=model)
        frame = pd.DataFrame({"scenes": of["tag_scene_count"].values}, index=pd.Index(of["tag"].values, name="tag"))
        frame["effect"] = _figures(of, "effect", decimals=1, sign=True)
        frame["interval"] = _limits(of, "effect", decimals=1, sign=True)
        frame["p"] = [_p(value) for value in of["p_value"].values]
        frame["p, Holm"] = [_p(value) for value in of["p_value_holm"].values]
        frame["few"] = of["few_scenes"].values
        print_table(
            frame.iloc[np.argsort(-of["effect"].values, kind="stable")],
            f"{model}: what each tag adds to the error, others held fixed",
            caption=(
                f"Percentage points of the error of a scene ({rules['metric']}, {_what(rules)}); without tags "
                f"{100 * float(of['intercept']):.1f} %. {int(of['scene_count'])} scenes in {int(of['group_count'])} "
                f"independent groups, R² {float(of['r_squared']):.2f}; {100 * rules['level']:g} % intervals. "
                f"{_policy(rules)} {_FEW}.{without}"
            ),
        )


_FEW = f"few: fewer than {FEW_SCENES} scenes"


def _rates(table: xr.Dataset) -> pd.DataFrame:
    if table.attrs["classes"] == "cloud":
        table = table.sel(label="cloud", drop=True)
    pooled = table.sel(averaging="pooled", drop=True)
    columns = {title: pooled[name] for name, title in _METRICS.items()}
    columns |= {
        "kappa": pooled["kappa"],
        "F1 per scene": table["f1"].sel(averaging="per_scene", drop=True),
        "n": table["f1_scenes"],
    }
    columns |= {"scenes": table["scene_count"], "few": table["few_scenes"]}
    frame = side_by_side(columns)
    frame["kappa"] = [_figure(value, "kappa", 1, False) for value in frame["kappa"]]
    return frame


def _of_label(table: xr.Dataset, metric: str, label: str) -> xr.Dataset:
    if "label" not in table[metric].dims:
        return table
    labels = table["label"].values.tolist()
    check_choice("label", label, labels)
    return table.sel(label=label, drop=True)


def _title(metric: str, table: xr.Dataset, label: str) -> str:
    title = _TITLES.get(metric, metric.replace("_", " "))
    return f"{title} of {label}" if "label" in table[metric].dims else title


def _what(rules: dict[str, object]) -> str:
    what = "cloud against the rest" if rules["classes"] == "cloud" else "three classes"
    tolerance = rules.get("tolerance", 0)
    return f"{what}, without {tolerance} pixels at boundaries" if tolerance else what


def _policy(rules: dict[str, object]) -> str:
    return f"Shadow policy: {rules['shadow_policy']}."


def _interval_caption(rules: dict[str, object], metric: str) -> str:
    unit = "" if metric in _COEFFICIENTS else "Percent. "
    return (
        f"{unit}{_policy(rules)} {100 * float(str(rules['level'])):g} % intervals: {rules['method']}, "
        f"{rules['replicates']:,} resamples of independent groups. n: scenes in the mean per scene. {_FEW}"
    )


def _figures(table: xr.Dataset, name: str, *, decimals: int, sign: bool = False) -> list[str]:
    return [_figure(value, name, decimals, sign) for value in table[name].values.ravel()]


def _with_limits(table: xr.Dataset, name: str, *, decimals: int) -> list[str]:
    pairs = zip(_figures(table, name, decimals=1), _limits(table, name, decimals=decimals), strict=True)
    return [figure if limits == "–" else f"{figure} {limits}" for figure, limits in pairs]


def _limits(table: xr.Dataset, name: str, *, decimals: int, sign: bool = False) -> list[str]:
    pairs = zip(table[f"{name}_lower"].values.ravel(), table[f"{name}_upper"].values.ravel(), strict=True)
    return [
        "–"
        if np.isnan(low)
        else f"({_figure(low, name, decimals, sign)}{' to ' if sign else '–'}{_figure(high, name, decimals, sign)})"
        for low, high in pairs
    ]


def _figure(value: float, name: str, decimals: int, sign: bool) -> str:
    if np.isnan(value):
        return "–"
    plus = "+" if sign else ""
    if name.removesuffix("_difference") in _COEFFICIENTS:
        return f"{value:{plus}.{decimals + 2}f}"
    return f"{100 * value:{plus}.{decimals}f}"


def _p(value: float) -> str:
    if np.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"

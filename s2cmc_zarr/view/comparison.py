"""Comparisons and explanations of scores as tables in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.view.figures import P_VALUE, PERCENT, SCENES, Format
from s2cmc_zarr.view.scoring import format_of, of_label, policy_of, rules_of, sentences, title_of, what_of
from s2cmc_zarr.view.tables import side_by_side, there, with_interval
from s2cmc_zarr.view.terminal import print_table, print_tables

_AVERAGES: Final = {"pooled": "pooled over pixels", "per_scene": "mean over scenes"}


def print_comparison(tables: Sequence[xr.Dataset], metric: str, label: str = "cloud", left_out: str = "") -> None:
    """Print how two models differ.

    Parameters
    ----------
    tables : sequence of xarray.Dataset
        As `compare` gives them.
    metric : str
        Which of their metrics.
    label : str
        Of which class, if the metric is of single classes.
    left_out : str
        A sentence on scenes that are not in them.
    """
    rules = tables[0].attrs
    models = (first, second) = rules["first"], rules["second"]

    def rows(table: xr.Dataset, averaging: str) -> pd.DataFrame:
        of = of_label(table, metric, label).sel(averaging=averaging, drop=True)
        columns = {"scenes": of["scene_count"]} | {model: of[metric].sel(model=model, drop=True) for model in models}
        return side_by_side(columns | _tested(of, f"{metric}_difference", f"{metric}_difference_p_value", "difference"))

    form = format_of(metric)
    title = f"{first} less {second}: {title_of(metric, tables[0], label)}"
    print_tables(
        {
            f"{title}, {name}": there(rows(table, averaging) for table in tables)
            for averaging, name in _AVERAGES.items()
        },
        formats=dict.fromkeys(models, form) | _tested_formats("difference", form),
        caption=sentences(rules_of(rules, metric), "p: of no difference; Holm: corrected over the groups.", left_out),
    )


def print_explanation(table: xr.Dataset, left_out: str = "") -> None:
    """Print what tags add to the error of each model.

    Parameters
    ----------
    table : xarray.Dataset
        As `explain` gives it.
    left_out : str
        Sentences on models and scenes that are not in it.
    """
    rules = table.attrs
    without = f"Not explained: {rules['not_explained']}." if rules["not_explained"] else ""
    for model in table["model"].values[table["r_squared"].notnull().values]:
        of = table.sel(model=model, drop=True)
        of = of.isel(tag=np.argsort(-of["effect"].values, kind="stable"))
        print_table(
            side_by_side({"scenes": of["tag_scene_count"]} | _tested(of, "effect", "p_value", "effect")),
            f"{model}: what each tag adds to the error",
            formats=_tested_formats("effect", PERCENT),
            caption=sentences(
                f"Percentage points of the error of a scene ({rules['metric']}; {what_of(rules).lower()}), other tags "
                f"held fixed; without tags it is {PERCENT.text(float(of['intercept']))} %. {int(of['scene_count'])} "
                f"scenes in {int(of['group_count'])} independent groups, R² {float(of['r_squared']):.2f}; in brackets "
                f"{100 * rules['level']:g} % intervals.",
                policy_of(rules),
                without,
                left_out,
            ),
        )


def _tested(table: xr.Dataset, name: str, p_value: str, head: str) -> dict[str, xr.DataArray]:
    """Columns of what was tested."""
    return {head: with_interval(table, name), "p": table[p_value], "p, Holm": table[f"{p_value}_holm"]}


def _tested_formats(head: str, form: Format) -> dict[str, Format]:
    return {head: form._replace(sign=True), "p": P_VALUE, "p, Holm": P_VALUE, "scenes": SCENES}

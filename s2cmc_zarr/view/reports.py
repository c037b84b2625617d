"""What the commands print: conversions, verifications, statistics and scores."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import xarray as xr
from rich.console import Console
from rich.markup import escape

from s2cmc_zarr.analysis.groups import By
from s2cmc_zarr.analysis.statistics import tabulate
from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.scoring.metrics import FEW_SCENES, Classes, ShadowPolicy, metrics
from s2cmc_zarr.store.conversion import Conversion
from s2cmc_zarr.store.verification import Verification
from s2cmc_zarr.view.terminal import print_table

_MOST = 20
"""Lines of defects or differences before the rest is only counted."""
_METRICS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
    "overall_accuracy": "accuracy",
    "balanced_accuracy": "balanced",
}
"""Metrics in the printed table, with the heads of their columns."""
_BANDS = ("B02", "B03", "B04", "B08", "B10", "B11")
"""Bands in the printed table: those that tell clouds, snow, water and cirrus apart."""


def print_conversion(done: Conversion, store: str) -> None:
    """Say what a conversion did."""
    console = Console()
    if done.written:
        console.print(f"{len(done.written)} scene(s) converted, {done.kept} there before: {escape(store)}")
    else:
        console.print(f"Nothing to convert: all {done.kept} scenes are in {escape(store)}")
    if done.packing_error is not None:
        console.print(f"Packed to 16 bits; the largest error of reflectance is {done.packing_error:.2e}")
    if done.lacking:
        console.print(f"Not in the source: {', '.join(done.lacking)}")
    if done.defects:
        console.print(f"[yellow]{len(done.defects)} scene(s) with defects[/], in the coordinate 'defects':")
        _print_lines([f"{scene}: {problem}" for scene, problem in done.defects.items()], console)


def print_verification(found: Verification, store: str, source: str | None) -> None:
    """Say what a verification found."""
    console = Console()
    against = "their digests" if source is None else f"their digests and {source}"
    if found.passed:
        console.print(
            f"[green]Verified:[/] {found.arrays} arrays of {found.scenes} scenes in {escape(store)} "
            f"equal {escape(against)}, bit by bit"
        )
        return
    console.print(f"[red]{len(found.differences)} difference(s)[/] between {escape(store)} and {escape(against)}:")
    _print_lines([": ".join(filter(None, difference)) for difference in found.differences], console)


def print_statistics(statistics: xr.Dataset, by: By) -> None:
    """Print class balance and mean reflectance, of all scenes and by group.

    Parameters
    ----------
    statistics : xarray.Dataset
        As `statistics` gives it, computed.
    by : str, xarray.DataArray or None
        As for `tabulate`.
    """
    tables = _all_and_groups(lambda groups: tabulate(statistics, groups), by)
    balance = pd.concat([_balance(table) for table in tables])
    print_table(balance, "Class balance", percent=LABELS, caption="fractions of the labelled pixels")
    means = pd.concat([_means(table) for table in tables]).dropna(how="all")
    print_table(means, "Mean reflectance", caption="pooled over the pixels of each class")


def print_metrics(scores: xr.Dataset, by: By, classes: Classes, shadow_policy: ShadowPolicy) -> None:
    """Print the metrics of scores, of all scenes and by group.

    Parameters
    ----------
    scores : xarray.Dataset
        As `score` gives it, computed.
    by, classes, shadow_policy
        As for `metrics`.
    """
    tables = _all_and_groups(lambda groups: metrics(scores, groups, classes, shadow_policy), by)
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


def _all_and_groups(make: Callable[[By], xr.Dataset], by: By) -> list[xr.Dataset]:
    """Make the table of all scenes and, if there are groups, theirs, with the same dimensions."""
    if by is None:
        return [make(None).expand_dims(selection=["all"])]
    groups = make(by)
    (dim,) = set(groups.dims) - {"label", "band", "averaging"}
    return [make(None).expand_dims({dim: ["all"]}), groups]


def _balance(table: xr.Dataset) -> pd.DataFrame:
    columns = {label: table["class_fraction"].sel(label=label, drop=True) for label in LABELS}
    columns |= {"unlabelled pixels": table["unlabelled_count"], "scenes": table["scene_count"]}
    return _frame(columns)


def _means(table: xr.Dataset) -> pd.DataFrame:
    bands = [band for band in _BANDS if band in table["band"].values]
    return _frame({band: table["mean"].sel(band=band, drop=True) for band in bands})


def _rates(table: xr.Dataset, classes: Classes) -> pd.DataFrame:
    if classes == "cloud":
        table = table.sel(label="cloud", drop=True)
    pooled = table.sel(averaging="pooled", drop=True)
    columns = {title: pooled[name] for name, title in _METRICS.items()}
    columns |= {"F1 per scene": table["f1"].sel(averaging="per_scene", drop=True), "n": table["f1_scenes"]}
    columns |= {"scenes": table["scene_count"], "few": table["few_scenes"]}
    return _frame(columns)


def _frame(columns: dict[str, xr.DataArray]) -> pd.DataFrame:
    """Put arrays side by side; those that lack a dimension of the others are repeated along it."""
    broadcast = xr.broadcast(*(array.reset_coords(drop=True) for array in columns.values()))
    return pd.DataFrame({name: array.to_series() for name, array in zip(columns, broadcast, strict=True)})


def _print_lines(lines: list[str], console: Console) -> None:
    for line in lines[:_MOST]:
        console.print(f"  {escape(line)}", highlight=False)
    if len(lines) > _MOST:
        console.print(f"  … and {len(lines) - _MOST} more")

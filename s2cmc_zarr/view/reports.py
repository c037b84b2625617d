"""What the commands print: conversions, verifications, statistics and scores."""

from __future__ import annotations

import pandas as pd
import xarray as xr
from rich.console import Console
from rich.markup import escape

from s2cmc_zarr.analysis.groups import By
from s2cmc_zarr.analysis.statistics import tabulate
from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.scoring.metrics import Classes, ShadowPolicy, metrics
from s2cmc_zarr.store.conversion import Conversion
from s2cmc_zarr.store.verification import Verification
from s2cmc_zarr.view.terminal import print_table

_MOST = 20
"""Lines of defects or differences before the rest is only counted."""
_METRICS = ("precision", "recall", "f1", "iou", "overall_accuracy", "balanced_accuracy")
_BANDS = ("B02", "B03", "B04", "B08", "B10", "B11")
"""Bands in the printed table: those that tell clouds, snow, water and cirrus apart."""


def print_conversion(done: Conversion, store: str) -> None:
    """Say what a conversion did."""
    console = Console()
    if done.written:
        console.print(f"{len(done.written)} scene(s) converted, {done.kept} there before: {escape(store)}")
    else:
        console.print(f"Nothing to convert: all {done.kept} scenes are in {escape(store)}")
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
    """Print class balance and mean reflectance: of all scenes, and by group.

    Parameters
    ----------
    statistics : xarray.Dataset
        As `statistics` gives it, computed.
    by : str, xarray.DataArray or None
        As for `tabulate`.
    """
    overall = tabulate(statistics, None)
    bands = [band for band in _BANDS if band in overall["band"].values]
    means = overall["mean"].sel(band=bands).to_dataset("band").to_dataframe()[bands]
    print_table(means, "Mean reflectance of all scenes", caption="pooled over the pixels of each class")
    if by is None:
        print_table(_balance(overall.expand_dims(scenes=["all"])), "Class balance", percent=LABELS)
        return
    table = tabulate(statistics, by)
    print_table(_balance(table), "Class balance", percent=LABELS, caption="fractions of the labelled pixels")
    means = table["mean"].sel(band=bands).to_dataset("band").to_dataframe()[bands].dropna(how="all")
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
    overall = metrics(scores, None, classes, shadow_policy).expand_dims(scenes=["all"])
    tables = [_rates(overall, classes)]
    if by is not None:
        tables.append(_rates(metrics(scores, by, classes, shadow_policy), classes))
    caption = (
        f"shadow policy: {shadow_policy}. Pooled: of all pixels together; per scene: mean over the n scenes in which "
        "it is defined. few: fewer than 20 scenes"
    )
    what = "cloud against the rest" if classes == "cloud" else "three classes"
    for table in tables:
        print_table(
            table,
            f"{scores['model'].item()}: {what}",
            percent=[name for name in table.columns if table[name].dtype.kind == "f"],
            caption=caption if table is tables[-1] else None,
        )


def _balance(table: xr.Dataset) -> pd.DataFrame:
    fractions = table["class_fraction"].to_dataset("label").to_dataframe()[list(LABELS)]
    return fractions.assign(scenes=table["scene_count"].to_series(), unlabelled=table["unlabelled_count"].to_series())


def _rates(table: xr.Dataset, classes: Classes) -> pd.DataFrame:
    if classes == "cloud":
        table = table.sel(label="cloud", drop=True)
    rates = table[list(_METRICS)]
    columns = {name: rates[name].sel(averaging="pooled", drop=True) for name in _METRICS}
    columns |= {"f1 per scene": rates["f1"].sel(averaging="per_scene", drop=True), "n": table["f1_scenes"]}
    columns |= {"scenes": table["scene_count"], "few": table["few_scenes"]}
    return xr.Dataset(columns).to_dataframe()[list(columns)].astype({"n": int})


def _print_lines(lines: list[str], console: Console) -> None:
    for line in lines[:_MOST]:
        console.print(f"  {escape(line)}", highlight=False)
    if len(lines) > _MOST:
        console.print(f"  … and {len(lines) - _MOST} more")

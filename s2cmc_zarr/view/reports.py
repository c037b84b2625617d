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
from s2cmc_zarr.store.convert import Conversion
from s2cmc_zarr.store.verify import Verification
from s2cmc_zarr.view.terminal import print_table

_MOST = 20
"""Lines of defects or differences before the rest is only counted."""
_METRICS = ("precision", "recall", "f1", "iou")
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
    """Print class balance and mean reflectance by group."""
    table = tabulate(statistics, by)
    balance = _frame(table[["scenes", "class_fraction"]], "label")
    print_table(balance, "Class balance", percent=LABELS, caption="fractions of the labelled pixels")
    bands = [band for band in _BANDS if band in table["band"].values]
    means = table["mean"].sel(band=bands).to_dataset("band").to_dataframe()[bands]
    overall = tabulate(statistics, None)["mean"].sel(band=bands).to_dataset("band").to_dataframe()[bands]
    print_table(overall, "Mean reflectance of all scenes")
    if by is not None:
        print_table(means.dropna(how="all"), "Mean reflectance", caption="pooled over the pixels of each class")


def print_metrics(scores: xr.Dataset, by: By, classes: Classes, shadow_policy: ShadowPolicy) -> None:
    """Print pooled and per-scene metrics by group."""
    table = metrics(scores, by, classes, shadow_policy)
    positive = "cloud" if classes == "cloud" else None
    caption = (
        f"classes: {classes}; shadow policy: {shadow_policy}; pooled over pixels, and the mean over scenes "
        "(n: scenes in which F1 is defined); *: fewer than 20 scenes"
    )
    del positive, caption
    raise NotImplementedError


def _frame(table: xr.Dataset, columns: str) -> pd.DataFrame:
    raise NotImplementedError


def _print_lines(lines: list[str], console: Console) -> None:
    for line in lines[:_MOST]:
        console.print(f"  {escape(line)}", highlight=False)
    if len(lines) > _MOST:
        console.print(f"  … and {len(lines) - _MOST} more")

"""Agreement of the annotators as tables in the terminal."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from s2cmc_zarr.analysis.agreement import agreement_rates
from s2cmc_zarr.analysis.confusions import Classes
from s2cmc_zarr.analysis.groups import By
from s2cmc_zarr.view.figures import PERCENT, SCENES
from s2cmc_zarr.view.tables import all_and_groups, side_by_side, there, with_interval
from s2cmc_zarr.view.terminal import print_tables

_TITLES = {"pooled": "pooled over pixels", "per_scene": "mean over scenes"}


def print_agreement(counts: xr.Dataset, by: By, classes: Classes) -> None:
    """Print accuracy, F1, IoU and kappa of the two annotators, of all scenes and by group.

    Parameters
    ----------
    counts : xarray.Dataset
        As `agreement` gives it, computed.
    by, classes
        As for `agreement_rates`.
    """
    tables = all_and_groups(lambda groups: agreement_rates(counts, groups, classes), by)
    frames = {
        f"Agreement of the annotators, {title}": there(
            _rates(table.sel(averaging=averaging), classes) for table in tables
        )
        for averaging, title in _TITLES.items()
    }
    what = "Cloud against the rest" if classes == "cloud" else "Three classes, where shadows were marked"
    print_tables(
        frames,
        formats=dict.fromkeys(["accuracy", "F1", "IoU"], PERCENT) | {"scenes": SCENES},
        caption=(
            f"{what}. Percent, except kappa; in brackets 95 % intervals over independent groups of scenes. n: scenes "
            "in kappa, which is undefined where both annotators see one class only."
        ),
    )


def _rates(table: xr.Dataset, classes: Classes) -> pd.DataFrame:
    if classes == "cloud":
        table = table.sel(label="cloud", drop=True)
    return side_by_side(
        {
            "accuracy": with_interval(table, "overall_accuracy"),
            "F1": with_interval(table, "f1"),
            "IoU": table["iou"],
            "kappa": table["kappa"],
            "n": table["kappa_scenes"],
            "scenes": table["scene_count"],
        }
    )

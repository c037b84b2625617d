"""Intervals of metrics, by resampling independent groups of scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.confusions import Classes
from s2cmc_zarr.analysis.estimates import (
    Method,
    averages,
    estimates,
    independent_groups,
    scene_counts,
    scene_values,
    with_limits,
)
from s2cmc_zarr.analysis.groups import By, group_dims, table_dataset
from s2cmc_zarr.analysis.resampling import REPLICATES
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.measures import metric_names, select_measures
from s2cmc_zarr.scoring.metrics import FEW_SCENES, ShadowPolicy, check_choice


def intervals(
    scores: xr.Dataset,
    by: By = "tags",
    classes: Classes = "cloud",
    shadow_policy: ShadowPolicy = "catalogue",
    *,
    metric: str | Sequence[str] = "f1",
    tolerance: int = 0,
    common: bool = False,
    level: float = 0.95,
    method: Method = "bca",
    replicates: int = REPLICATES,
    seed: int = 0,
) -> xr.Dataset:
    """Compute metrics with intervals that say how far they would differ on other scenes of the kind; reads no pixels.

    The independent groups of scenes (coordinate `group`) are drawn with replacement, not pixels, nor scenes of one tile
    or pass, which resemble one another. Tags keep their scenes, whose number varies from one resample to the next.
    The intervals say nothing of errors of the masks themselves, and are too narrow where there are few groups.

    Parameters
    ----------
    scores : xarray.Dataset
        As for `metrics`; computed, if it is lazy.
    by, classes, shadow_policy, tolerance
        As for `metrics`.
    metric : str or sequence of str
        One or more of those of `metrics`, such as ``"f1"`` or ``"kappa"``; or of those of `probability_metrics`:
        ``"roc_auc"``, ``"average_precision"``, ``"brier_score"``, ``"expected_calibration_error"``, which are of cloud
        against the rest and have no tolerance.
    common : bool
        Leave out scenes of which any of the models gave no mask, as the second annotator of most: then all models are
        judged on the same scenes.
    level : float
        Nominal coverage, between 0 and 1.
    method : {"bca", "percentile"}
        See `bca_interval` and `percentile_interval`.
    replicates, seed : int
        Number of resamples, and the seed that makes them.

    Returns
    -------
    xarray.Dataset
        In memory.

        * For each metric, e.g. ``f1``: the metric, ``f1_lower`` and ``f1_upper``, float64 with dims (averaging, …,
          group, label) as in `metrics`; the limits are NaN where a group has fewer than two independent groups.
        * ``f1_scenes``: the scenes in the per-scene mean. ``judged_scene_count`` and ``pixel_count``: the scenes and
          pixels in the metrics, which are not the same for models that give no mask of some scenes.
        * ``scene_count``, ``common_scene_count`` (judged of all models), ``few_scenes``, ``group_count`` (independent
          groups) with dims (group,).

    Raises
    ------
    CatalogueError
        As `metrics` or `probability_metrics`; if there is no such metric, or some are of masks and others of
        probabilities; if it is not known which scenes are independent; or if there are no common scenes.
    """
    names = metric_names(metric)
    tables, attributes, groups = estimated(
        scores, by, classes, shadow_policy, tolerance, names, level, method, replicates, seed, common=common
    )
    result = table_dataset(tables, ("averaging", ..., *groups, "label"))
    return result.assign_attrs(attributes)


def estimated(
    scores: xr.Dataset,
    by: By,
    classes: Classes,
    shadow_policy: ShadowPolicy,
    tolerance: int,
    names: Sequence[str],
    level: float,
    method: Method,
    replicates: int,
    seed: int,
    contrast: Callable[[xr.DataArray], xr.DataArray] | None = None,
    *,
    common: bool = False,
) -> tuple[dict[str, tuple[xr.DataArray, str]], dict[str, str | int | float], tuple[str, ...]]:
    """Estimate metrics with intervals, or with a contrast of models those of the contrast; arguments of `intervals`.

    Parameters
    ----------
    contrast : callable, optional
        Takes a metric with the dimension `model`, gives one without: then ``_difference`` is behind its name, and it is
        tested.
    common : bool
        As for `intervals`.

    Returns
    -------
    tables : dict
        For `table_dataset`.
    attributes : dict
        The rules that were followed.
    group_dims : tuple of str
        Dimensions of the groups.
    """
    check_choice("method", method, get_args(Method))
    independent = independent_groups(scores)
    counts, groups, attributes, of, long_names = select_measures(scores, by, classes, shadow_policy, tolerance, names)
    counts = counts.compute()
    pixels = counts["true"].sum("label")
    judged = (pixels > 0).astype(np.int64)
    of_all = judged.min("model") if "model" in judged.dims else judged
    if common:
        groups = groups & (of_all > 0)
        if not groups.any():
            models = ", ".join(map(str, np.atleast_1d(scores["model"].values)))
            raise CatalogueError(f"there is no scene of which all of {models} gave a mask: choose others to compare")
    values = scene_values(counts, of)

    def averaged(sums: xr.Dataset) -> xr.Dataset:
        found = averages(sums, of)
        return (
            found if contrast is None else xr.Dataset({f"{name}_difference": contrast(found[name]) for name in names})
        )

    exchanged = None if contrast is None else values.isel(model=[1, 0]).assign_coords(model=values["model"])
    found = estimates(
        values,
        groups,
        independent,
        averaged,
        by_group=True,
        level=level,
        replicates=replicates,
        seed=seed,
        method=method,
        exchanged=exchanged,
    )
    if contrast is not None:
        sums = values.map(lambda array: xr.dot(groups, array, dim="scene"))
        found = found.merge(averages(sums, of), compat="identical")
    tables: dict[str, tuple[xr.DataArray, str]] = {}
    for name, long_name in long_names.items():
        if contrast is None:
            tables |= with_limits(found, name, long_name)
        else:
            difference = f"{name}_difference"
            tables[name] = (found[name], long_name)
            tables |= with_limits(found, difference, f"{name} of the first model less that of the second")
            tables[f"{difference}_p_value"] = (found[f"{difference}_p_value"], f"p-value of no difference of {name}")
        in_mean = xr.dot(groups, values[f"{name}_scenes"], dim="scene")
        tables[f"{name}_scenes"] = (in_mean, f"scenes in the per-scene mean of {name}")
    tables["judged_scene_count"] = (xr.dot(groups, judged, dim="scene"), "scenes with pixels in the metrics")
    tables["common_scene_count"] = (
        xr.dot(groups, of_all, dim="scene"),
        "scenes with pixels in the metrics of all models",
    )
    tables["pixel_count"] = (xr.dot(groups, pixels, dim="scene"), "pixels in the metrics")
    tables |= scene_counts(groups, independent)
    few = tables["scene_count"][0] < FEW_SCENES
    tables["few_scenes"] = (few, f"whether there are fewer than {FEW_SCENES} scenes")
    rules = {"level": level, "method": method, "replicates": replicates, "seed": seed, "common": common}
    return tables, attributes | rules, group_dims(groups)

"""Metrics of probabilities of cloud, from their histograms by true class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.confusions import rates
from s2cmc_zarr.analysis.estimates import averages, scene_values
from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset, without_scene_coords
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.probability import BIN_COUNT, BIN_EDGES
from s2cmc_zarr.scoring.metrics import AVERAGING, FEW_SCENES, Selection, ShadowPolicy, check_choice, shadows_marked
from s2cmc_zarr.scoring.probability_rates import (
    CALIBRATION_BINS,
    PROBABILITY_RATES,
    cloud_or_not,
    fold_probabilities,
    needed_counts,
    probability_rates,
)


def probability_metrics(
    scores: xr.Dataset,
    by: By = "tags",
    shadow_policy: ShadowPolicy = "catalogue",
    *,
    calibration_bins: int = CALIBRATION_BINS,
) -> xr.Dataset:
    """Compute metrics of the probability of cloud against the rest over groups of scenes; reads no pixels.

    Parameters
    ----------
    scores : xarray.Dataset
        As `score` gives it, of models that give probabilities.
    by, shadow_policy
        As for `metrics`.
    calibration_bins : int
        Bins of equal width for the calibration error, a divisor of 200.

    Returns
    -------
    xarray.Dataset
        In memory if `scores` is.

        * ``roc_auc`` (Fawcett 2006, doi 10.1016/j.patrec.2005.10.010), with probabilities in one bin of 0.005 taken as
          equal: that of the probabilities themselves differs by at most ``roc_auc_error``. ``average_precision``, with
          the same bins. ``brier_score`` (Brier 1950) and ``expected_calibration_error`` (Naeini et al. 2015,
          doi 10.1609/aaai.v29i1.9602), which are exact. All float64, dims (averaging, group); NaN where cloud or the
          rest are absent, for the last two where there are no pixels.
        * ``roc_auc_scenes`` and so on: the scenes in the per-scene mean. ``scene_count`` and ``few_scenes``;
          ``probability_pixel_count``, the labelled pixels with a probability.

    Raises
    ------
    CatalogueError
        If a model gives no probabilities, there are no such groups, or the bins do not divide 200. If `scores` is
        lazy, a model that does not say so beforehand is NaN throughout instead.
    """
    counts, groups, attributes = select_probabilities(scores, by, shadow_policy, calibration_bins=calibration_bins)
    weights = groups.astype(np.int64)

    def total(count: xr.DataArray) -> xr.DataArray:
        summed: xr.DataArray = xr.dot(weights, count, dim="scene")
        return summed

    sums = scene_values(counts, probability_rates).map(total)
    averaged = averages(sums, probability_rates)
    scene_count = weights.sum("scene")
    tables = {name: (averaged[name], rate.long_name) for name, rate in PROBABILITY_RATES.items()}
    tables |= {
        f"{name}_scenes": (sums[f"{name}_scenes"], f"scenes in the per-scene mean of {name}")
        for name in PROBABILITY_RATES
    }
    tables |= {
        "scene_count": (scene_count, "scenes"),
        "few_scenes": (scene_count < FEW_SCENES, f"whether there are fewer than {FEW_SCENES} scenes"),
        "probability_pixel_count": (sums["true"].sum("label"), "labelled pixels with a probability"),
    }
    result = table_dataset(tables, ("averaging", ..., *group_dims(groups)))
    return result.assign_attrs(attributes)


def select_probabilities(
    scores: xr.Dataset,
    by: By,
    shadow_policy: ShadowPolicy,
    names: Sequence[str] | None = None,
    calibration_bins: int = CALIBRATION_BINS,
) -> Selection:
    """Apply the rules of scoring to probabilities, as `select` does to masks.

    Parameters
    ----------
    names : sequence of str, optional
        Metrics of `PROBABILITY_RATES` for which to keep what they need; default: all.
    """
    if calibration_bins < 1 or BIN_COUNT % calibration_bins:
        raise CatalogueError(f"calibration_bins is {calibration_bins}, expected a divisor of {BIN_COUNT}")
    histograms, groups = _select(scores, by, shadow_policy)
    counts = fold_probabilities(histograms, calibration_bins)
    attributes: dict[str, str | int] = {
        "classes": "cloud",
        "shadow_policy": shadow_policy,
        "averaging": AVERAGING,
        "calibration_bins": calibration_bins,
    }
    return Selection(needed_counts(counts, names or list(PROBABILITY_RATES)), groups, attributes)


def probability_curves(scores: xr.Dataset, by: By = None, shadow_policy: ShadowPolicy = "catalogue") -> xr.Dataset:
    """Give the curves behind `probability_metrics`, pooled over groups of scenes; reads no pixels.

    Parameters
    ----------
    scores, by, shadow_policy
        As for `probability_metrics`.

    Returns
    -------
    xarray.Dataset
        In memory if `scores` is. float64.

        * ``true_positive_rate`` (recall), ``false_positive_rate`` and ``precision`` with dims (…, group, threshold),
          where cloud is what has a probability not below the threshold: from 0 in steps of 0.005, and infinity.
        * ``mean_probability`` and ``cloud_frequency`` with dims (…, group, probability): of the pixels in each bin
          of 0.005 (the reliability diagram), NaN in empty bins; ``probability_count``, the pixels.

    Raises
    ------
    CatalogueError
        As `probability_metrics`.
    """
    histograms, groups = _select(scores, by, shadow_policy)
    pooled = cloud_or_not(histograms).map(lambda count: xr.dot(groups.astype(np.int64), count, dim="scene"))
    of_threshold = rates(_folded(pooled["probability_count"]), ["precision", "recall"])
    cloud = of_threshold.sel(label="cloud", drop=True)
    both = pooled.sum("label")
    filled = both["probability_count"].where(both["probability_count"] > 0)
    tables = {
        "true_positive_rate": (cloud["recall"], "true positive rate, recall"),
        "false_positive_rate": (1 - of_threshold["recall"].sel(label="not_cloud", drop=True), "false positive rate"),
        "precision": (cloud["precision"], "precision: true positives / predicted"),
        "mean_probability": (both["probability_sum"] / filled, "mean probability of the pixels in the bin"),
        "cloud_frequency": (
            pooled["probability_count"].sel(label="cloud", drop=True) / filled,
            "fraction of cloud among the pixels in the bin",
        ),
        "probability_count": (both["probability_count"], "labelled pixels with a probability in the bin"),
    }
    result = table_dataset(tables, (..., *group_dims(groups), "threshold", "probability"))
    return result.assign_attrs(shadow_policy=shadow_policy, averaging=AVERAGING.split(";")[0], classes="cloud")


def at_thresholds(scores: xr.Dataset) -> xr.Dataset:
    """Count per scene what each threshold of the probability would give.

    Parameters
    ----------
    scores : xarray.Dataset
        As `score` gives it, of models that give probabilities.

    Returns
    -------
    xarray.Dataset
        As `fold` gives it for cloud against the rest, dims (scene, …, label, threshold).

    Raises
    ------
    CatalogueError
        If a model gives no probabilities.
    """
    return _folded(cloud_or_not(_histograms(scores))["probability_count"])


def _folded(count: xr.DataArray) -> xr.Dataset:
    """Count what is at or above each threshold, and above all."""
    threshold = np.append(BIN_EDGES[:-1], np.inf)
    above = count.sum("probability") - count.cumsum("probability") + count
    cloud = above.pad(probability=(0, 1), constant_values=0).rename(probability="threshold")
    cloud = cloud.assign_coords(threshold=threshold)
    true = count.sum("probability")
    everything = true.sum("label")
    hit, alarm = cloud.sel(label="cloud", drop=True), cloud.sel(label="not_cloud", drop=True)
    label = xr.Variable("label", ["not_cloud", "cloud"])
    rejected = true.sel(label="not_cloud", drop=True) - alarm
    return xr.Dataset(
        {
            "true_positives": xr.concat([rejected, hit], label),
            "true": true,
            "predicted": xr.concat([everything - hit - alarm, hit + alarm], label),
        }
    )


def _select(scores: xr.Dataset, by: By, shadow_policy: ShadowPolicy) -> tuple[xr.Dataset, xr.DataArray]:
    check_choice("shadow_policy", shadow_policy, get_args(ShadowPolicy))
    groups = members(scores, by)
    if shadow_policy == "marked_scenes":
        groups = groups & shadows_marked(scores)
    return _histograms(scores), groups


def _histograms(scores: xr.Dataset) -> xr.Dataset:
    names = ["probability_count", "probability_sum", "probability_square_sum"]
    if lacking := [name for name in names if name not in scores]:
        raise CatalogueError(f"no {lacking[0]} in the scores; score the scenes again")
    check_probabilities(scores)
    return without_scene_coords(scores)[names]


def check_probabilities(scores: xr.Dataset) -> None:
    """Refuse scores of models that give no probabilities."""
    given = gives_probability(scores)
    if not given.all():
        models = np.unique(scores["model"].broadcast_like(given).values[~given.values])
        raise CatalogueError(f"model {', '.join(map(str, models))} gives no probabilities; choose others")


def gives_probability(scores: xr.Dataset) -> xr.DataArray:
    """Say which models give probabilities: of lazy scores what the models say, so that nothing is computed twice."""
    count = scores["probability_count"]
    if count.chunks is None or "gives_probability" not in scores:
        return (count.sum(["scene", "truth", "probability"]) > 0).compute()
    said = scores["gives_probability"].compute()
    return said.any("scene") if "scene" in said.dims else said

"""Metrics of probabilities of cloud, from their histograms by true class."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Final, get_args

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.confusions import rates
from s2cmc_zarr.analysis.estimates import averages, scene_values
from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset, without_scene_coords
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.probability import BIN_COUNT, BIN_EDGES
from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.scoring.metrics import AVERAGING, FEW_SCENES, ShadowPolicy, check_choice, shadows_marked

_LONG_NAMES: Final = MappingProxyType(
    {
        "roc_auc": "area under the receiver operating characteristic",
        "roc_auc_error": "largest error of the area that the bins can have made",
        "average_precision": "average precision: sum of precision times the step of recall",
        "brier_score": "Brier score: mean square of probability less truth",
        "expected_calibration_error": "mean distance of probability and frequency of cloud over bins of probability",
    }
)


def probability_metrics(
    scores: xr.Dataset, by: By = "tags", shadow_policy: ShadowPolicy = "catalogue", *, calibration_bins: int = 10
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
    if calibration_bins < 1 or BIN_COUNT % calibration_bins:
        raise CatalogueError(f"calibration_bins is {calibration_bins}, expected a divisor of {BIN_COUNT}")
    counts, groups = _select(scores, by, shadow_policy)
    weights = groups.astype(np.int64)

    def total(count: xr.DataArray) -> xr.DataArray:
        summed: xr.DataArray = xr.dot(weights, count, dim="scene")
        return summed

    of = partial(_rates, calibration_bins=calibration_bins)
    sums = scene_values(counts, of).map(total)
    averaged = averages(sums, of)
    scene_count = weights.sum("scene")
    pixels = sums["probability_count"].sum(["truth", "probability"])
    tables = {name: (averaged[name], long_name) for name, long_name in _LONG_NAMES.items()}
    tables |= {
        f"{name}_scenes": (sums[f"{name}_scenes"], f"scenes in the per-scene mean of {name}") for name in _LONG_NAMES
    }
    tables |= {
        "scene_count": (scene_count, "scenes"),
        "few_scenes": (scene_count < FEW_SCENES, f"whether there are fewer than {FEW_SCENES} scenes"),
        "probability_pixel_count": (pixels, "labelled pixels with a probability"),
    }
    result = table_dataset(tables, ("averaging", ..., *group_dims(groups)))
    return result.assign_attrs(
        shadow_policy=shadow_policy, averaging=AVERAGING, classes="cloud", calibration_bins=calibration_bins
    )


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
    counts, groups = _select(scores, by, shadow_policy)
    pooled = counts.map(lambda count: xr.dot(groups.astype(np.int64), count, dim="scene"))
    of_threshold = rates(_folded(pooled["probability_count"]), ["precision", "recall"])
    cloud = of_threshold.sel(label="cloud", drop=True)
    both = pooled.sum("truth")
    filled = both["probability_count"].where(both["probability_count"] > 0)
    tables = {
        "true_positive_rate": (cloud["recall"], "true positive rate, recall"),
        "false_positive_rate": (1 - of_threshold["recall"].sel(label="not_cloud", drop=True), "false positive rate"),
        "precision": (cloud["precision"], "precision: true positives / predicted"),
        "mean_probability": (both["probability_sum"] / filled, "mean probability of the pixels in the bin"),
        "cloud_frequency": (
            pooled["probability_count"].sel(truth="cloud", drop=True) / filled,
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
    return _folded(_cloud_or_not(scores)["probability_count"])


def _folded(count: xr.DataArray) -> xr.Dataset:
    """Count what is at or above each threshold, and above all."""
    threshold = np.append(BIN_EDGES[:-1], np.inf)
    cloud = _from_above(count).pad(probability=(0, 1), constant_values=0).rename(probability="threshold")
    cloud = cloud.assign_coords(threshold=threshold)
    true = count.sum("probability").rename(truth="label")
    everything = true.sum("label")
    hit, alarm = cloud.sel(truth="cloud", drop=True), cloud.sel(truth="not_cloud", drop=True)
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
    return _cloud_or_not(scores), groups


def _cloud_or_not(scores: xr.Dataset) -> xr.Dataset:
    """Fold the true classes, and leave out unlabelled pixels."""
    names = ["probability_count", "probability_sum", "probability_square_sum"]
    if lacking := [name for name in names if name not in scores]:
        raise CatalogueError(f"no {lacking[0]} in the scores; score the scenes again")
    counts = without_scene_coords(scores)[names]
    given = _gives_probability(scores)
    if not given.all():
        models = np.unique(scores["model"].broadcast_like(given).values[~given.values])
        raise CatalogueError(f"model {', '.join(map(str, models))} gives no probabilities; choose others")
    rest = counts.sel(truth=[label for label in LABELS if label != "cloud"]).sum("truth")
    return xr.concat([rest, counts.sel(truth="cloud", drop=True)], xr.Variable("truth", ["not_cloud", "cloud"]))


def _gives_probability(scores: xr.Dataset) -> xr.DataArray:
    """Say which models give probabilities: of lazy scores what the models say, so that nothing is computed twice."""
    count = scores["probability_count"]
    if count.chunks is None or "gives_probability" not in scores:
        return (count.sum(["scene", "truth", "probability"]) > 0).compute()
    said = scores["gives_probability"].compute()
    return said.any("scene") if "scene" in said.dims else said


def _rates(counts: xr.Dataset, calibration_bins: int) -> xr.Dataset:
    count, total = counts["probability_count"], counts["probability_sum"]
    cloud, rest = count.sel(truth="cloud", drop=True), count.sel(truth="not_cloud", drop=True)
    clouds, others = cloud.sum("probability"), rest.sum("probability")
    pixels = (clouds + others).where(clouds + others > 0)
    pairs = (clouds * 1.0 * others).where((clouds > 0) & (others > 0))
    hits, alarms = (_from_above(part) for part in (cloud, rest))
    precision = hits / (hits + alarms).where(hits + alarms > 0)
    surplus = (cloud - total.sum("truth")).coarsen(probability=BIN_COUNT // calibration_bins).sum()
    square = counts["probability_square_sum"].sum("truth")
    return xr.Dataset(
        {
            "roc_auc": ((hits - cloud / 2) * rest).sum("probability") / pairs,
            "roc_auc_error": (cloud * rest / 2).sum("probability") / pairs,
            "average_precision": (precision.fillna(0) * cloud).sum("probability") / clouds.where(pairs > 0),
            "brier_score": (square - 2 * total.sel(truth="cloud", drop=True).sum("probability") + clouds) / pixels,
            "expected_calibration_error": abs(surplus).sum("probability") / pixels,
        }
    )


def _from_above(count: xr.DataArray) -> xr.DataArray:
    """Count what is in each bin and those above it."""
    return count.sum("probability") - count.cumsum("probability") + count

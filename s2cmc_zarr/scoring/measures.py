"""Metrics by name, of masks or of probabilities, and what they are computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import xarray as xr

from s2cmc_zarr.analysis.confusions import RATES, Classes, rates
from s2cmc_zarr.analysis.groups import By
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.metrics import ShadowPolicy, check_choice, select
from s2cmc_zarr.scoring.probabilities import select_probabilities
from s2cmc_zarr.scoring.probability_rates import PROBABILITY_RATES, probability_rates

PROBABILITY_METRICS: Final = tuple(name for name in PROBABILITY_RATES if name != "roc_auc_error")


class Measures(NamedTuple):
    """Metrics, and the counts of scenes that they are computed from.

    Attributes
    ----------
    counts : xarray.Dataset
        Additive, dims (scene, …); ``true``, dims (scene, …, label), has the pixels in the metrics.
    groups : xarray.DataArray
        bool, dims (group…, scene): the scenes of each group that the policy scores.
    attributes : dict
        The rules, for the attributes of results.
    of : callable
        Gives the metrics of sums of `counts`.
    long_names : dict
        What the metrics are.
    """

    counts: xr.Dataset
    groups: xr.DataArray
    attributes: dict[str, str | int]
    of: Callable[[xr.Dataset], xr.Dataset]
    long_names: dict[str, str]


def metric_names(metric: str | Sequence[str]) -> list[str]:
    """Check names of metrics: all of masks, or all of probabilities."""
    names = [metric] if isinstance(metric, str) else list(metric)
    for name in names:
        check_choice("metric", name, [*RATES, *PROBABILITY_METRICS])
    if len({name in RATES for name in names}) > 1:
        raise CatalogueError(
            f"metrics are {', '.join(names)}, some of masks and some of probabilities, whose pixels can differ; "
            "ask for the ones, then for the others"
        )
    return names


def mask_metric_name(metric: str) -> str:
    """Check the name of a metric of masks."""
    check_choice("metric", metric, list(RATES))
    return metric


def smaller_is_better(metric: str) -> bool:
    """Say whether a metric is an error."""
    return metric == "brier_score" or metric.endswith("_error")


def select_measures(
    scores: xr.Dataset,
    by: By,
    classes: Classes,
    shadow_policy: ShadowPolicy,
    tolerance: int,
    names: Sequence[str],
) -> Measures:
    """Apply the rules of scoring for metrics that `metric_names` has checked; arguments as for `metrics`.

    Raises
    ------
    CatalogueError
        As `metrics` or `probability_metrics`; or if probabilities cannot be judged as asked.
    """
    if all(name in RATES for name in names):
        selection = select(scores, by, classes, shadow_policy, tolerance)
        return Measures(*selection, partial(rates, names=names), {name: RATES[name].long_name for name in names})
    if classes != "cloud" or tolerance:
        raise CatalogueError(
            f"{names[0]} is of cloud against the rest, and of all pixels: "
            f"classes is {classes!r} and tolerance {tolerance}, expected 'cloud' and 0"
        )
    selection = select_probabilities(scores, by, shadow_policy, names)
    long_names = {name: PROBABILITY_RATES[name].long_name for name in names}
    return Measures(*selection, partial(probability_rates, names=names), long_names)

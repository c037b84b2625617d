"""Intervals of metrics, by resampling independent groups of scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.confusions import RATES, Classes, rates
from s2cmc_zarr.analysis.estimates import group_count, independent_groups
from s2cmc_zarr.analysis.groups import By, table_dataset
from s2cmc_zarr.analysis.resampling import (
    REPLICATES,
    bca_interval,
    leave_one_out,
    percentile_interval,
    resample,
    resampled_sum,
)
from s2cmc_zarr.scoring.metrics import FEW_SCENES, ShadowPolicy, average, check_choice, select

Method: TypeAlias = Literal["bca", "percentile"]


class Resampled(NamedTuple):
    """Rates of the sample, of its resamples, and without each independent group.

    Attributes
    ----------
    estimate : xarray.Dataset
        Rates, dims (averaging, group…, …).
    replicates, jackknife : xarray.Dataset
        The same with the dimension `replicate`.
    counted : xarray.Dataset
        For each rate the scenes in its per-scene mean.
    scene_count, group_count : xarray.DataArray
        Scenes and independent groups, dims (group…).
    attributes : dict
        The rules of scoring.
    """

    estimate: xr.Dataset
    replicates: xr.Dataset
    jackknife: xr.Dataset
    counted: xr.Dataset
    scene_count: xr.DataArray
    group_count: xr.DataArray
    attributes: dict[str, str | int]

    @property
    def group_dims(self) -> tuple[str, ...]:
        """Dimensions of the groups of scenes."""
        return tuple(map(str, self.scene_count.dims))

    def interval(
        self, of: Callable[[xr.Dataset], xr.DataArray], level: float, method: Method
    ) -> tuple[xr.DataArray, xr.DataArray]:
        """Give the limits of what follows from the rates; NaN where fewer than two independent groups say something."""
        estimate, replicates = of(self.estimate), of(self.replicates).transpose("replicate", ...)
        replicates = replicates.transpose("replicate", *estimate.dims)
        if method == "percentile":
            limits = percentile_interval(replicates.values, level)
        else:
            jackknife = of(self.jackknife).transpose("replicate", *estimate.dims).values
            limits = bca_interval(replicates.values, estimate.values, jackknife, level)
        lower, upper = (estimate.copy(data=limit).where(self.group_count > 1) for limit in limits)
        return lower, upper


def intervals(
    scores: xr.Dataset,
    by: By = "tags",
    classes: Classes = "cloud",
    shadow_policy: ShadowPolicy = "catalogue",
    *,
    metric: str | Sequence[str] = "f1",
    tolerance: int = 0,
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
        One or more of those of `metrics`, such as ``"f1"`` or ``"kappa"``.
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
        * ``f1_scenes``: the scenes in the per-scene mean.
        * ``scene_count``, ``few_scenes``, ``group_count`` (independent groups) with dims (group,).

    Raises
    ------
    CatalogueError
        As `metrics`; if there is no such metric; or if it is not known which scenes are independent.
    """
    check_choice("method", method, get_args(Method))
    names = metric_names(metric)
    found = resampled(scores, by, classes, shadow_policy, names, tolerance, replicates, seed)
    tables: dict[str, tuple[xr.DataArray, str]] = {}
    for name in names:
        lower, upper = found.interval(lambda rates, name=name: rates[name], level, method)  # type: ignore[misc]
        tables |= {
            name: (found.estimate[name], RATES[name].long_name),
            f"{name}_lower": (lower, f"lower limit of {name}"),
            f"{name}_upper": (upper, f"upper limit of {name}"),
            f"{name}_scenes": (found.counted[name], f"scenes in the per-scene mean of {name}"),
        }
    tables |= scene_tables(found)
    result = table_dataset(tables, ("averaging", ..., *found.group_dims, "label"))
    return result.assign_attrs(found.attributes | {"level": level, "method": method})


def metric_names(metric: str | Sequence[str]) -> list[str]:
    """Check names of metrics."""
    names = [metric] if isinstance(metric, str) else list(metric)
    for name in names:
        check_choice("metric", name, list(RATES))
    return names


def scene_tables(found: Resampled) -> dict[str, tuple[xr.DataArray, str]]:
    """Say of how many scenes a result is."""
    return {
        "scene_count": (found.scene_count, "scenes"),
        "few_scenes": (found.scene_count < FEW_SCENES, f"whether there are fewer than {FEW_SCENES} scenes"),
        "group_count": (found.group_count, "independent groups of scenes"),
    }


def resampled(
    scores: xr.Dataset,
    by: By,
    classes: Classes,
    shadow_policy: ShadowPolicy,
    names: Sequence[str],
    tolerance: int,
    replicates: int,
    seed: int,
) -> Resampled:
    """Compute rates of the sample and of its resamples, which are the same for all models; arguments of `intervals`."""
    unit = independent_groups(scores)
    counts, groups, attributes = select(scores, by, classes, shadow_policy, tolerance)
    counts = counts.compute()

    def rates_of(weights: npt.NDArray[np.int64]) -> tuple[xr.Dataset, xr.Dataset]:
        def total(count: xr.DataArray) -> xr.DataArray:
            within = (groups * count).transpose("scene", ...)
            return xr.DataArray(
                resampled_sum(weights, within.values),
                dims=("replicate", *within.dims[1:]),
                coords={dim: within[dim] for dim in within.dims[1:] if dim in within.coords},
            )

        return average(counts, total, lambda totals: rates(totals, names))

    estimate, counted = (rates.isel(replicate=0) for rates in rates_of(np.ones((1, len(unit)), dtype=np.int64)))
    return Resampled(
        estimate,
        rates_of(resample(unit, replicates, seed))[0],
        rates_of(leave_one_out(unit))[0],
        counted.astype(np.int64),
        groups.sum("scene"),
        group_count(groups, unit),
        attributes | {"replicates": replicates, "seed": seed},
    )

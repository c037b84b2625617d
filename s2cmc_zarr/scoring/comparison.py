"""Comparison of two models on the same scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.confusions import RATES, Classes
from s2cmc_zarr.analysis.groups import By, table_dataset
from s2cmc_zarr.analysis.resampling import REPLICATES, holm, two_sided_p_value
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.intervals import Method, metric_names, resampled, scene_tables
from s2cmc_zarr.scoring.metrics import ShadowPolicy, check_choice


def compare(
    scores: xr.Dataset,
    first: str,
    second: str,
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
    """Tell how two models differ, and whether the difference is more than that of the scenes; reads no pixels.

    Both models are judged on the same resamples, so that what makes scenes hard for both cancels. With many groups of
    scenes some p-values are small by chance: those of one metric, average and label are corrected together.

    Parameters
    ----------
    scores : xarray.Dataset
        Of several models, as `score` gives it; computed, if it is lazy.
    first, second : str
        Names of models.
    by, classes, shadow_policy, tolerance
        As for `metrics`.
    metric, level, method, replicates, seed
        As for `intervals`.

    Returns
    -------
    xarray.Dataset
        In memory; for each metric, e.g. ``f1``:

        * ``f1``, float64, dims (averaging, model, group, label): of the two models.
        * ``f1_difference``, ``f1_difference_lower``, ``f1_difference_upper``, float64, dims (averaging, group, label):
          the first model less the second. Per scene, it is the difference of the two means, each over the scenes in
          which its model's metric is defined.
        * ``f1_p_value`` of no difference (`two_sided_p_value`) and ``f1_p_value_holm``, corrected over all groups:
          NaN where a group has fewer than two independent groups.
        * ``f1_scenes``, int64, dims (model, group, label): the scenes in the per-scene mean.

        Also ``scene_count``, ``few_scenes`` and ``group_count`` as in `intervals`.

    Raises
    ------
    CatalogueError
        As `intervals`; or if the scores are not of these two models.
    """
    check_choice("method", method, get_args(Method))
    names = metric_names(metric)
    known = np.atleast_1d(scores["model"].values).tolist() if "model" in scores.coords else []
    for model in (first, second):
        if model not in known:
            raise CatalogueError(f"no scores of the model {model!r}; there are: {', '.join(map(str, known)) or 'none'}")
    if first == second:
        raise CatalogueError(f"{first} cannot be compared with itself; name two models")
    found = resampled(scores.sel(model=[first, second]), by, classes, shadow_policy, names, tolerance, replicates, seed)

    def difference_of(name: str) -> Callable[[xr.Dataset], xr.DataArray]:
        return lambda rates: rates[name].sel(model=first, drop=True) - rates[name].sel(model=second, drop=True)

    tables: dict[str, tuple[xr.DataArray, str]] = {}
    for name in names:
        difference = difference_of(name)
        lower, upper = found.interval(difference, level, method)
        resamples = difference(found.replicates).transpose("replicate", *lower.dims).values
        p_value = lower.copy(data=two_sided_p_value(resamples)).where(found.group_count > 1)
        tables |= {
            name: (found.estimate[name], RATES[name].long_name),
            f"{name}_difference": (difference(found.estimate), f"{name} of {first} less that of {second}"),
            f"{name}_difference_lower": (lower, f"lower limit of the difference of {name}"),
            f"{name}_difference_upper": (upper, f"upper limit of the difference of {name}"),
            f"{name}_p_value": (p_value, f"p-value of no difference of {name}"),
            f"{name}_p_value_holm": (_corrected(p_value, found.group_dims), "the same, corrected over the groups"),
            f"{name}_scenes": (found.counted[name], f"scenes in the per-scene mean of {name}"),
        }
    tables |= scene_tables(found)
    result = table_dataset(tables, ("averaging", "model", ..., *found.group_dims, "label"))
    rules = {"level": level, "method": method, "first": first, "second": second}
    return result.assign_attrs(found.attributes | rules)


def _corrected(p_value: xr.DataArray, groups: tuple[str, ...]) -> xr.DataArray:
    """Correct over all groups together, whatever their dimensions."""
    others = [dim for dim in p_value.dims if dim not in groups]
    ordered = p_value.transpose(*others, *groups)
    tests = ordered.values.reshape(*(ordered.sizes[dim] for dim in others), -1)
    return ordered.copy(data=holm(tests).reshape(ordered.shape)).transpose(*p_value.dims)

"""Comparison of two models on the same scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.confusions import Classes
from s2cmc_zarr.analysis.estimates import Method
from s2cmc_zarr.analysis.groups import By, table_dataset
from s2cmc_zarr.analysis.resampling import REPLICATES, holm
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.intervals import estimated
from s2cmc_zarr.scoring.measures import metric_names
from s2cmc_zarr.scoring.metrics import ShadowPolicy


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
    method: Method = "percentile",
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
        As for `intervals`; `replicates` also of the exchanges for the p-values.

    Returns
    -------
    xarray.Dataset
        In memory; for each metric, e.g. ``f1``:

        * ``f1``, float64, dims (averaging, model, group, label): of the two models.
        * ``f1_difference``, ``f1_difference_lower``, ``f1_difference_upper``, float64, dims (averaging, group, label):
          the first model less the second. Per scene, it is the difference of the two means, each over the scenes in
          which its model's metric is defined.
        * ``f1_difference_p_value`` of no difference (see `exchange_p_value`) and ``f1_difference_p_value_holm``,
          corrected over all groups: NaN where a group has fewer than two independent groups.
        * ``f1_scenes``, int64, dims (model, group, label): the scenes in the per-scene mean.

        Also the counts of `intervals`: ``scene_count``, ``group_count`` and so on, of the scenes of which both models
        gave a mask. Others count for neither.

    Raises
    ------
    CatalogueError
        As `intervals`; or if the scores are not of these two models.
    """
    names = metric_names(metric)
    known = np.atleast_1d(scores["model"].values).tolist() if "model" in scores.coords else []
    for model in (first, second):
        if model not in known:
            raise CatalogueError(f"no scores of the model {model!r}; there are: {', '.join(map(str, known)) or 'none'}")
    if first == second:
        raise CatalogueError(f"{first} cannot be compared with itself; name two models")

    def less(found: xr.DataArray) -> xr.DataArray:
        return found.sel(model=first, drop=True) - found.sel(model=second, drop=True)

    both = scores.sel(model=[first, second])
    tables, attributes, groups = estimated(
        both, by, classes, shadow_policy, tolerance, names, level, method, replicates, seed, less, common=True
    )
    for name in names:
        p_value, long_name = tables[f"{name}_difference_p_value"]
        tables[f"{name}_difference_p_value_holm"] = (_corrected(p_value, groups), f"{long_name}, corrected over groups")
    result = table_dataset(tables, ("averaging", "model", ..., *groups, "label"))
    return result.assign_attrs(attributes | {"first": first, "second": second})


def _corrected(p_value: xr.DataArray, groups: tuple[str, ...]) -> xr.DataArray:
    """Correct over all groups together, whatever their dimensions."""
    others = [dim for dim in p_value.dims if dim not in groups]
    ordered = p_value.transpose(*others, *groups)
    tests = ordered.values.reshape(*(ordered.sizes[dim] for dim in others), -1)
    return ordered.copy(data=holm(tests).reshape(ordered.shape)).transpose(*p_value.dims)

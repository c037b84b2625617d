"""The threshold of a probability, chosen on some scenes and judged on others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.confusions import rates
from s2cmc_zarr.analysis.estimates import independent_groups
from s2cmc_zarr.analysis.groups import members, scene_table
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.selection import evaluate
from s2cmc_zarr.scoring.measures import mask_metric_name, smaller_is_better
from s2cmc_zarr.scoring.probabilities import at_thresholds


def calibrate_threshold(scores: xr.Dataset, calibration: str | xr.DataArray, *, metric: str = "f1") -> xr.Dataset:
    """Choose the threshold of each model's probability that is best on some scenes, and score it on the others.

    Parameters
    ----------
    scores : xarray.Dataset
        As `score` gives it, of models that give probabilities, with the coordinate `group`; computed, if it is lazy.
    calibration : str or xarray.DataArray
        The scenes on which to choose: an expression as for `members`, e.g. ``"dataset != 'VALIDATION'"``, or bool, dims
        (scene,). Others of the same independent groups are used for neither.
    metric : str
        What is to be as large as possible: a metric of `metrics`, of cloud against the rest, pooled; of the label
        cloud if it has labels. An error is to be as small as possible.

    Returns
    -------
    xarray.Dataset
        In memory, dims (model,): ``threshold``, in steps of 0.005, where a pixel is cloud if its probability is not
        below it, the lowest one if several are best; the metric there, on both parts, e.g. ``f1_calibration`` and
        ``f1_test``. ``calibration_scene_count``, ``test_scene_count``, ``left_out_scene_count``.

    Raises
    ------
    CatalogueError
        If a part has no scenes, the metric is defined at no threshold, a model gives no probabilities, or it is not
        known which scenes are independent.
    """
    name = mask_metric_name(metric)
    chosen, test = split_scenes(scores, calibration)
    counts = at_thresholds(scores).compute()

    def pooled(part: npt.NDArray[np.bool_]) -> xr.DataArray:
        found = rates(counts.isel(scene=part).sum("scene"), [name])[name]
        return found.sel(label="cloud", drop=True) if "label" in found.dims else found

    on_calibration = pooled(chosen)
    if on_calibration.isnull().all("threshold").any():
        raise CatalogueError(f"{name} is defined at no threshold: do the scenes for calibration have cloud?")
    worth = -on_calibration if smaller_is_better(name) else on_calibration
    best = worth.argmax("threshold")
    result = xr.Dataset(
        {
            "threshold": on_calibration["threshold"][best].drop_vars("threshold"),
            f"{name}_calibration": on_calibration.isel(threshold=best, drop=True),
            f"{name}_test": pooled(test).isel(threshold=best, drop=True),
            "calibration_scene_count": ((), int(chosen.sum())),
            "test_scene_count": ((), int(test.sum())),
            "left_out_scene_count": ((), int((~chosen & ~test).sum())),
        }
    ).drop_attrs()
    return result.assign_attrs(classes="cloud", averaging="pooled", metric=name, shadow_policy="catalogue")


def split_scenes(
    scores: xr.Dataset, calibration: str | xr.DataArray
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Say which scenes are for calibration and which for the test; see `calibrate_threshold`.

    Returns
    -------
    calibration, test : numpy.ndarray
        bool, shape (scene,).
    """
    unit = independent_groups(scores)
    if isinstance(calibration, str):
        calibration = xr.DataArray(evaluate(scene_table(scores), calibration).to_numpy(), dims="scene")
    chosen = members(scores, calibration).values
    if chosen.ndim != 1:
        raise CatalogueError(f"calibration has dims {calibration.dims}, expected ('scene',)")
    test = ~np.isin(unit, unit[chosen])
    if not chosen.any() or not test.any():
        raise CatalogueError(
            f"{chosen.sum()} scenes are for calibration and {test.sum()} independent ones for the test; both are needed"
        )
    return chosen, test

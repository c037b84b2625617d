"""Estimates for groups of scenes, with intervals over independent groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.resampling import REPLICATES, bca_interval, leave_one_out, resample, resampled_sum
from s2cmc_zarr.errors import CatalogueError

_ROUNDING: Final = 1e-12
"""Of sums in another order, relative."""


def estimates(
    values: xr.Dataset,
    groups: xr.DataArray,
    independent: npt.NDArray[np.int64],
    of: Callable[[xr.Dataset], xr.Dataset],
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> xr.Dataset:
    """Compute what follows from sums over scenes, with bias-corrected and accelerated intervals.

    Parameters
    ----------
    values : xarray.Dataset
        In memory, finite, dims (scene, …): what each scene adds, in each group that it is in.
    groups : xarray.DataArray
        bool, dims (group…, scene), as `members` gives it.
    independent : numpy.ndarray
        int64, shape (scene,): scenes of equal value are drawn together; see `independent_groups`.
    of : callable
        Takes a Dataset of the sums of `values`, with the dimension `replicate` in place of `scene`; gives a Dataset of
        what follows, with that dimension in all variables.
    level : float
        Nominal coverage, between 0 and 1.
    replicates, seed : int
        Number of resamples, and the seed that makes them.

    Returns
    -------
    xarray.Dataset
        Each variable of `of`, without `replicate`, and the limits of its interval, with ``_lower`` and ``_upper``
        behind the name; they are NaN for groups of fewer than two independent ones, and where all resamples agree: of
        what occurs never, or always, they cannot tell how far it might be otherwise.
    """

    def resampled(weights: npt.NDArray[np.int64]) -> xr.Dataset:
        return of(values.map(lambda array: _sums(array.transpose("scene", ...), weights)))

    estimate = resampled(np.ones((1, len(independent)), dtype=np.int64)).isel(replicate=0)
    drawn, left_out = resampled(resample(independent, replicates, seed)), resampled(leave_one_out(independent))
    known = group_count(groups, independent) > 1
    result = {}
    for name, array in estimate.items():
        of_drawn, of_left_out = (found[name].transpose("replicate", *array.dims).values for found in (drawn, left_out))
        limits = bca_interval(of_drawn, array.values, of_left_out, level)
        result[str(name)] = array
        varies = limits[1] - limits[0] > _ROUNDING * np.abs(limits[1])
        for side, limit in zip(("lower", "upper"), limits, strict=True):
            result[f"{name}_{side}"] = array.copy(data=limit).where(varies).where(known)
    return xr.Dataset(result)


def with_limits(found: xr.Dataset, name: str, long_name: str) -> dict[str, tuple[xr.DataArray, str]]:
    """Give an estimate and the limits of its interval with their meanings, for `table_dataset`."""
    return {
        name: (found[name], long_name),
        f"{name}_lower": (found[f"{name}_lower"], f"lower limit of {name}"),
        f"{name}_upper": (found[f"{name}_upper"], f"upper limit of {name}"),
    }


def scene_counts(groups: xr.DataArray, independent: npt.NDArray[np.int64]) -> dict[str, tuple[xr.DataArray, str]]:
    """Say of how many scenes a table is, for `table_dataset`."""
    return {
        "scene_count": (groups.sum("scene"), "scenes"),
        "group_count": (group_count(groups, independent), "independent groups of scenes"),
    }


def independent_groups(ds: xr.Dataset) -> npt.NDArray[np.int64]:
    """Number the independent group of each scene, from the coordinate `group`.

    Raises
    ------
    CatalogueError
        If it is not there.
    """
    if "group" not in ds.coords or ds["group"].dims != ("scene",):
        raise CatalogueError(
            "no coordinate group: which scenes are independent is not known; open the catalogue with open_store or "
            "open_release, or assign the coordinate, different for each scene if all are independent"
        )
    return np.unique(ds["group"].values, return_inverse=True)[1].astype(np.int64)


def group_count(groups: xr.DataArray, independent: npt.NDArray[np.int64]) -> xr.DataArray:
    """Count the independent groups that have a scene in each group."""
    there = xr.DataArray(independent, dims="scene") == xr.DataArray(np.unique(independent), dims="independent")
    return (there & groups).any("scene").sum("independent")


def ratio(numerator: xr.DataArray, denominator: xr.DataArray) -> xr.DataArray:
    """Divide; NaN where the denominator is 0."""
    return numerator / denominator.where(denominator > 0)


def _sums(values: xr.DataArray, weights: npt.NDArray[np.int64]) -> xr.DataArray:
    dims = values.dims[1:]
    coords = {dim: values[dim] for dim in dims if dim in values.coords}
    return xr.DataArray(resampled_sum(weights, values.values), coords, ("replicate", *dims))

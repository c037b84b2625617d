"""Estimates for groups of scenes, with intervals over independent groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.resampling import (
    REPLICATES,
    bca_interval,
    exchange,
    exchange_p_value,
    leave_one_out,
    percentile_interval,
    resample,
    resampled_sum,
)
from s2cmc_zarr.choices import Method as Method
from s2cmc_zarr.errors import CatalogueError

_ROUNDING: Final = 1e-12
"""Of sums in another order, relative."""
_BLOCK: Final = 2**23
"""Sums that are held at a time, 64 MiB: products of smaller matrices are slow where cores are shared."""


def estimates(
    values: xr.Dataset,
    groups: xr.DataArray,
    independent: npt.NDArray[np.int64],
    of: Callable[[xr.Dataset], xr.Dataset],
    *,
    by_group: bool = False,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
    method: Method = "bca",
    exchanged: xr.Dataset | None = None,
) -> xr.Dataset:
    """Compute what follows from sums over scenes, with intervals and tests over independent groups of scenes.

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
    by_group : bool
        Whether `values` are of scenes, without the dimensions of groups, and are to be added up over the scenes of each
        group: they need not be held for every group then.
    level : float
        Nominal coverage, between 0 and 1.
    replicates, seed : int
        Number of resamples, and the seed that makes them.
    method : {"bca", "percentile"}
        Kind of interval: see `bca_interval` and `percentile_interval`.
    exchanged : xarray.Dataset, optional
        `values` with the two models exchanged of which `of` gives a contrast: then it is tested whether that is 0.

    Returns
    -------
    xarray.Dataset
        Each variable of `of`, without `replicate`, and the limits of its interval, with ``_lower`` and ``_upper``
        behind the name; of a contrast also ``_p_value`` (`exchange_p_value`). All of this is NaN for groups of fewer
        than two independent ones. Of what is not tested, the limits are NaN also where all resamples agree: of what
        occurs never, or always, they cannot tell how else it might be. The attributes say how the intervals were made.
    """
    arrays = _arrays(values)
    cells = groups if by_group else None
    size = sum(array[0].size for array in arrays.values()) * (groups[..., 0].size if by_group else 1)
    step = max(1, _BLOCK // size)

    def resampled(
        weights: npt.NDArray[np.int64],
        arrays: Mapping[str, xr.DataArray] = arrays,
        onto: Mapping[str, xr.DataArray] | None = None,
    ) -> xr.Dataset:
        scale = weights.astype(np.float64)
        parts = []
        for start in range(0, len(weights), step):
            block = scale[start : start + step]
            sums = {name: _sums(array, block, cells) for name, array in arrays.items()}
            if onto is not None:
                sums = {name: onto[name] + array for name, array in sums.items()}
            parts.append(of(xr.Dataset(sums)))
        return xr.concat(parts, "replicate", data_vars="all", coords="minimal", compat="override", join="override")

    everything = np.ones((1, len(independent)), dtype=np.int64)
    estimate = resampled(everything).isel(replicate=0)
    drawn = resampled(resample(independent, replicates, seed))
    left_out = resampled(leave_one_out(independent)) if method == "bca" else None
    known = group_count(groups, independent) > 1
    after_exchange = None
    if exchanged is not None:
        change = _arrays(exchanged - values)
        one = everything.astype(np.float64)
        total = {name: _sums(array, one, cells).isel(replicate=0) for name, array in arrays.items()}
        after_exchange = resampled(exchange(independent, replicates, seed), change, total)
    result = {}
    for name, array in estimate.items():
        of_drawn = drawn[name].transpose("replicate", *array.dims).values
        if left_out is None:
            limits = percentile_interval(of_drawn, level)
        else:
            of_left_out = left_out[name].transpose("replicate", *array.dims).values
            limits = bca_interval(of_drawn, array.values, of_left_out, level)
        result[str(name)] = array
        varies = (limits[1] - limits[0] > _ROUNDING * np.abs(limits[1])) | (after_exchange is not None)
        for side, limit in zip(("lower", "upper"), limits, strict=True):
            result[f"{name}_{side}"] = array.copy(data=limit).where(varies).where(known)
        if after_exchange is not None:
            of_exchanged = after_exchange[name].transpose("replicate", *array.dims).values
            p_value = exchange_p_value(array.values, of_exchanged, independent, replicates)
            result[f"{name}_p_value"] = array.copy(data=p_value).where(known)
    return xr.Dataset(result, attrs={"level": level, "method": method, "replicates": replicates, "seed": seed})


def _arrays(values: xr.Dataset) -> dict[str, xr.DataArray]:
    return {str(name): array.transpose("scene", ...).astype(np.float64) for name, array in values.items()}


def scene_values(counts: xr.Dataset, of: Callable[[xr.Dataset], xr.Dataset]) -> xr.Dataset:
    """Put beside counts what each scene adds to means over scenes: its rates, and whether they are defined.

    Parameters
    ----------
    counts : xarray.Dataset
        Additive, dims (scene, …).
    of : callable
        Gives rates of counts, NaN where they are undefined.

    Returns
    -------
    xarray.Dataset
        The counts, the rates with 0 where they are undefined, and int64 with ``_scenes`` behind their names: 1 where
        they are defined.
    """
    rates = of(counts)
    defined = rates.notnull().astype(np.int64).rename({name: f"{name}_scenes" for name in rates})
    return counts.merge(rates.fillna(0), compat="identical").merge(defined, compat="identical")


def averages(sums: xr.Dataset, of: Callable[[xr.Dataset], xr.Dataset]) -> xr.Dataset:
    """Average in both ways: rates of the summed counts, and means of the scenes' rates.

    Parameters
    ----------
    sums : xarray.Dataset
        Over scenes, of what `scene_values` gives.
    of : callable
        The same.

    Returns
    -------
    xarray.Dataset
        The rates, with the dimension `averaging`: ``"pooled"``, ``"per_scene"``.
    """
    pooled = of(sums)
    means = xr.Dataset({name: ratio(sums[name], sums[f"{name}_scenes"]) for name in pooled})
    averaging = xr.Variable("averaging", ["pooled", "per_scene"])
    return xr.concat([pooled, means], averaging, data_vars="all", coords="minimal", compat="override")


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


def _sums(values: xr.DataArray, weights: npt.NDArray[np.float64], groups: xr.DataArray | None) -> xr.DataArray:
    """Sum over the scenes of each replicate, and of each group if there are any."""
    dims = values.dims[1:]
    coords = {dim: values[dim] for dim in dims if dim in values.coords}
    if groups is None:
        return xr.DataArray(resampled_sum(weights, values.values), coords, ("replicate", *dims))
    coords |= {dim: groups[dim] for dim in groups.dims[:-1] if dim in groups.coords}
    cells = groups.values.reshape(-1, groups.sizes["scene"])
    summed = np.empty((len(weights), len(cells), *values.shape[1:]))
    for number, there in enumerate(cells):
        summed[:, number] = resampled_sum(weights[:, there], values.values[there])
    shape = (len(weights), *groups.shape[:-1], *values.shape[1:])
    return xr.DataArray(summed.reshape(shape), coords, ("replicate", *groups.dims[:-1], *dims))

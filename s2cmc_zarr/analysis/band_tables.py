"""Tables of reflectance: quantiles, constants for normalisation, separability of classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset
from s2cmc_zarr.analysis.statistics import tabulate
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS

Floats: TypeAlias = npt.NDArray[np.float64]

PROBABILITIES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
PAIRS: Final = tuple(combinations(LABELS, 2))


def quantiles(statistics: xr.Dataset, by: By = None, probabilities: Sequence[float] = PROBABILITIES) -> xr.Dataset:
    """Give quantiles of reflectance in each class and band, exact to a bin of the histogram; reads no pixels.

    The quantile of p is the smallest value that at least the share p of the values does not exceed, which NumPy calls
    ``inverted_cdf``. The bin in which it lies is exact; within, values are taken to be spread evenly.

    Parameters
    ----------
    statistics : xarray.Dataset
        With "histogram", as `statistics` gives it; computed, if it is lazy.
    by : str, xarray.DataArray or None
        Groups of scenes, as for `members`.
    probabilities : sequence of float
        From 0 to 1.

    Returns
    -------
    xarray.Dataset
        In memory: ``quantile``, ``bin_lower`` and ``bin_upper`` (float64: the value is at least the one and below the
        other) with dims (group, label, band, probability); ``count`` (int64) with dims (group, label, band). NaN where
        there are no values. In the first and the last bin, which have one limit, the quantile is that limit.

    Raises
    ------
    CatalogueError
        If there is no histogram or no such group, or a probability is not between 0 and 1.
    """
    if not all(0 <= probability <= 1 for probability in probabilities):
        raise CatalogueError(f"probabilities are {list(probabilities)}, expected numbers from 0 to 1")
    _require(statistics, "histogram")
    groups = members(statistics, by)
    pooled = _pooled_histogram(groups, statistics["histogram"].compute())
    lower, upper = statistics["bin_lower"].values, statistics["bin_upper"].values
    reached = pooled.values.cumsum(axis=-1)
    count = reached[..., -1]
    edges = np.full((3, *count.shape, len(probabilities)), np.nan)
    for cell in np.ndindex(*count.shape):
        if count[cell]:
            rank = np.maximum(np.ceil(np.multiply(probabilities, count[cell]) - 1e-9), 1)
            position = np.searchsorted(reached[cell], rank, side="left")
            edges[(0, *cell)], edges[(1, *cell)] = lower[position], upper[position]
            within = pooled.values[cell][position]
            share = (rank - 0.5 - (reached[cell][position] - within)) / within
            edges[(2, *cell)] = _between(lower[position], upper[position], share)
    dims = (*pooled.dims[:-1], "probability")
    coords = {dim: pooled[dim] for dim in pooled.dims[:-1] if dim in pooled.coords} | {
        "probability": list(probabilities)
    }
    tables = {
        "quantile": (xr.DataArray(edges[2], coords, dims), "quantile of reflectance"),
        "bin_lower": (xr.DataArray(edges[0], coords, dims), "smallest reflectance in the quantile's bin"),
        "bin_upper": (xr.DataArray(edges[1], coords, dims), "smallest reflectance above the quantile's bin"),
        "count": (pooled.sum("bin"), "values of reflectance"),
    }
    return table_dataset(tables, (*group_dims(groups), "label", "band", "probability"))


def moments(statistics: xr.Dataset, by: By = None) -> xr.Dataset:
    """Pool moments and pixels of classes alone, whatever else was counted: `tabulate` without other dimensions."""
    _require(statistics, "mean")
    return tabulate(statistics.drop_dims(["bin", "other_band", "patch_size", "distance"], errors="ignore"), by)


def normalisation(statistics: xr.Dataset, by: By = None) -> xr.Dataset:
    """Give the constants by which reflectance is normalised for training: of each band, all labelled pixels together.

    To keep test scenes out of them, take statistics of the training scenes, or group by what divides the two.

    Parameters
    ----------
    statistics : xarray.Dataset
        With "moments", as `statistics` gives it; computed, if it is lazy.
    by : str, xarray.DataArray or None
        Groups of scenes, as for `members`.

    Returns
    -------
    xarray.Dataset
        In memory: ``mean``, ``standard_deviation`` (of the population), ``minimum``, ``maximum`` (float64) and
        ``count`` (int64) with dims (group, band); ``scene_count`` with dims (group,). NaN where there are no values.

    Raises
    ------
    CatalogueError
        If there are no moments or no such group.
    """
    of_classes = moments(statistics, by).compute()
    count = of_classes["count"]
    total = count.sum("label")
    filled = total.where(total > 0)
    mean = (count * of_classes["mean"]).sum("label") / filled
    square = of_classes["standard_deviation"] ** 2 + (of_classes["mean"] - mean) ** 2
    tables = {
        "mean": (mean, "mean reflectance"),
        "standard_deviation": (
            ((count * square).sum("label") / filled) ** 0.5,
            "population standard deviation of reflectance",
        ),
        "minimum": (of_classes["minimum"].min("label").astype(np.float64), "minimum reflectance"),
        "maximum": (of_classes["maximum"].max("label").astype(np.float64), "maximum reflectance"),
        "count": (total, "finite values of reflectance in labelled pixels with data"),
        "scene_count": (of_classes["scene_count"], "scenes"),
    }
    return table_dataset(tables, (..., "band"))


def separability(statistics: xr.Dataset, by: By = None) -> xr.Dataset:
    """Say how well classes can be told apart by a band, two bands, or all: the Jeffries–Matusita distance.

    JM = 2 · (1 − exp(−B)) of the Bhattacharyya distance B of two normal distributions with the means and covariances of
    the classes (Kailath 1967, doi 10.1109/TCOM.1967.1089532; Bruzzone, Roli and Serpico 1995, doi 10.1109/36.477187):
    from 0, where the two are the same, to 2. Reflectance of classes is not normal, so it serves to compare bands.

    Parameters
    ----------
    statistics : xarray.Dataset
        With "covariance", as `statistics` gives it; computed, if it is lazy.
    by : str, xarray.DataArray or None
        Groups of scenes, as for `members`.

    Returns
    -------
    xarray.Dataset
        In memory, float64: ``jeffries_matusita`` with dims (group, pair, band, other_band), for two bands together, and
        for one where both are the same; ``all_bands`` with dims (group, pair). ``pair`` is for example
        ``"clear, cloud"``. NaN where a class has too few pixels for a covariance that can be inverted.

    Raises
    ------
    CatalogueError
        If there are no covariances or no such group.
    """
    _require(statistics, "covariance")
    groups = members(statistics, by)
    pooled = tabulate(statistics.drop_dims("bin", errors="ignore"), by).compute()
    mean, covariance = pooled["covariance_mean"], pooled["covariance"]
    bands = mean["band"].values
    of_pairs, of_all = [], []
    for one, other in PAIRS:
        first, second = ((mean.sel(label=label).values, covariance.sel(label=label).values) for label in (one, other))
        of_all.append(jeffries_matusita(*first, *second))
        distances = np.empty((*of_all[-1].shape, len(bands), len(bands)))
        for band, other_band in np.ndindex(len(bands), len(bands)):
            which = [band] if band == other_band else [band, other_band]
            parts = [
                part
                for means, covariances in (first, second)
                for part in (means[..., which], covariances[..., which, :][..., which])
            ]
            distances[..., band, other_band] = jeffries_matusita(*parts)
        of_pairs.append(distances)
    dims, axis = group_dims(groups), len(group_dims(groups))
    coords = {dim: groups[dim] for dim in dims if dim in groups.coords} | {"pair": [", ".join(pair) for pair in PAIRS]}
    band_coords = {"band": bands, "other_band": bands}
    tables = {
        "jeffries_matusita": (
            xr.DataArray(np.stack(of_pairs, axis), coords | band_coords, (*dims, "pair", "band", "other_band")),
            "Jeffries–Matusita distance of the classes in two bands, or in one where both are the same",
        ),
        "all_bands": (
            xr.DataArray(np.stack(of_all, axis), coords, (*dims, "pair")),
            "Jeffries–Matusita distance of the classes in all bands",
        ),
    }
    return table_dataset(tables, (*dims, "pair", "band", "other_band"))


def jeffries_matusita(mean: Floats, covariance: Floats, other_mean: Floats, other_covariance: Floats) -> Floats:
    """Jeffries–Matusita distance of normal distributions; see `separability`.

    Parameters
    ----------
    mean, other_mean : numpy.ndarray
        float64, shape (…, band).
    covariance, other_covariance : numpy.ndarray
        float64, shape (…, band, band).

    Returns
    -------
    numpy.ndarray
        float64, shape (…): from 0 to 2; NaN where a covariance is not positive definite.
    """
    between = (covariance + other_covariance) / 2
    matrices = np.stack([between, covariance, other_covariance])
    identity = np.eye(mean.shape[-1])
    spread = np.linalg.eigvalsh(np.where(np.isfinite(matrices), matrices, identity))
    regular = spread[..., 0] > spread[..., -1] * len(identity) * np.finfo(np.float64).eps
    valid = np.asarray((regular & np.isfinite(matrices).all(axis=(-1, -2))).all(axis=0))
    safe = np.where(valid[..., np.newaxis, np.newaxis], matrices, identity)
    logarithms = np.linalg.slogdet(safe)[1]
    difference = np.where(valid[..., np.newaxis], mean - other_mean, 0)
    mahalanobis = (difference * np.linalg.solve(safe[0], difference[..., np.newaxis])[..., 0]).sum(axis=-1)
    bhattacharyya = mahalanobis / 8 + (logarithms[0] - (logarithms[1] + logarithms[2]) / 2) / 2
    return np.where(valid, -2 * np.expm1(-bhattacharyya), np.nan)


def _pooled_histogram(groups: xr.DataArray, histogram: xr.DataArray) -> xr.DataArray:
    """Sum over the scenes of each group, int64, one group at a time: the histograms of all scenes may be large."""
    values, axis = (
        histogram.transpose("scene", "label", "band", "bin").values,
        groups.values.reshape(-1, groups.shape[-1]),
    )
    sums = np.stack([values[chosen].sum(axis=0, dtype=np.int64) for chosen in axis])
    dims = group_dims(groups)
    coords = {dim: groups[dim] for dim in dims if dim in groups.coords}
    coords |= {dim: histogram[dim] for dim in ("label", "band") if dim in histogram.coords}
    return xr.DataArray(sums.reshape(*groups.shape[:-1], *sums.shape[1:]), coords, (*dims, "label", "band", "bin"))


def _between(lower: Floats, upper: Floats, share: Floats) -> Floats:
    inside = np.where(np.isfinite(upper), upper, lower) - np.where(np.isfinite(lower), lower, upper)
    found: Floats = np.where(np.isfinite(lower), lower, upper) + share * inside
    return found


def _require(statistics: xr.Dataset, name: str) -> None:
    if name not in statistics:
        include = {"mean": "moments"}.get(name, name)
        raise CatalogueError(f"no {name} in these statistics; ask for it: statistics(ds, include=[…, {include!r}])")

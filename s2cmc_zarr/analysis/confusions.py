"""The algebra of confusion counts: classes folded together, and the rates that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from s2cmc_zarr.choices import Classes as Classes
from s2cmc_zarr.schema import LABELS

_FOLDINGS: Final = MappingProxyType(
    {
        "cloud": MappingProxyType({"not_cloud": ("clear", "cloud_shadow"), "cloud": ("cloud",)}),
        "three": MappingProxyType({label: (label,) for label in LABELS}),
    }
)


class Rate(NamedTuple):
    """A number that follows from folded counts."""

    long_name: str
    by_label: bool
    of: Callable[[xr.Dataset], xr.DataArray]


def fold(confusion: xr.DataArray, classes: Classes) -> xr.Dataset:
    """Count true positives, true and predicted pixels of each label: additive, and all that rates need.

    Parameters
    ----------
    confusion : xarray.DataArray
        Dims (…, truth, prediction), along both at least the classes of the schema; others are left out.
    classes : {"cloud", "three"}
        Cloud against the rest, in which clear and cloud shadow are one class; or all three classes.

    Returns
    -------
    xarray.Dataset
        ``true_positives``, ``true`` and ``predicted`` with dims (…, label).
    """
    folding = _FOLDINGS[classes]
    parts = np.array([[label in labels for label in LABELS] for labels in folding.values()], dtype=np.int64)
    true = xr.DataArray(parts, {"label": list(folding)}, ("label", "truth"))
    predicted = true.rename(truth="prediction")
    confusion = confusion.sel(truth=list(LABELS), prediction=list(LABELS)).drop_vars(["truth", "prediction"])
    return xr.Dataset(
        {
            "true_positives": xr.dot(confusion, true, predicted, dim=["truth", "prediction"]),
            "true": xr.dot(confusion, true, dim=["truth", "prediction"]),
            "predicted": xr.dot(confusion, predicted, dim=["truth", "prediction"]),
        }
    )


def rates(counts: xr.Dataset, names: Sequence[str] | None = None) -> xr.Dataset:
    """Divide counts; NaN where a denominator is 0.

    Parameters
    ----------
    counts : xarray.Dataset
        As `fold` gives it, or sums of such counts.
    names : sequence of str, optional
        Of `RATES`; default: all.

    Returns
    -------
    xarray.Dataset
        float64, dims (…, label) or, for rates of all classes together, (…).
    """
    return xr.Dataset({name: RATES[name].of(counts) for name in (RATES if names is None else names)})


def _ratio(numerator: xr.DataArray, denominator: xr.DataArray) -> xr.DataArray:
    return numerator / denominator.where(denominator > 0)


def _precision(counts: xr.Dataset) -> xr.DataArray:
    return _ratio(counts["true_positives"], counts["predicted"])


def _recall(counts: xr.Dataset) -> xr.DataArray:
    return _ratio(counts["true_positives"], counts["true"])


def _f_beta(counts: xr.Dataset, beta: int) -> xr.DataArray:
    weight = beta**2
    return _ratio((1 + weight) * counts["true_positives"], weight * counts["true"] + counts["predicted"])


def _iou(counts: xr.Dataset) -> xr.DataArray:
    return _ratio(counts["true_positives"], counts["true"] + counts["predicted"] - counts["true_positives"])


def _by_chance(counts: xr.Dataset) -> xr.DataArray:
    return (counts["true"] * counts["predicted"]).sum("label")


def _kappa(counts: xr.Dataset) -> xr.DataArray:
    pixels, by_chance = counts["true"].sum("label"), _by_chance(counts)
    return _ratio(pixels * counts["true_positives"].sum("label") - by_chance, pixels**2 - by_chance)


def _mcc(counts: xr.Dataset) -> xr.DataArray:
    pixels = counts["true"].sum("label")
    covariance = pixels * counts["true_positives"].sum("label") - _by_chance(counts)
    # The roots are taken apart: the product of the two exceeds 64 bits.
    true, predicted = ((pixels**2 - (counts[name] ** 2).sum("label")) ** 0.5 for name in ("true", "predicted"))
    return _ratio(covariance, true * predicted)


RATES: Final = MappingProxyType(
    {
        "precision": Rate("precision, user's accuracy: true positives / predicted", True, _precision),
        "recall": Rate("recall, producer's accuracy: true positives / true", True, _recall),
        "f1": Rate("F1 score: 2 · true positives / (true + predicted)", True, lambda counts: _f_beta(counts, 1)),
        "f2": Rate("F2 score: 5 · true positives / (4 · true + predicted)", True, lambda counts: _f_beta(counts, 2)),
        "iou": Rate("intersection over union: true positives / (true or predicted)", True, _iou),
        "commission_error": Rate("commission error: 1 - user's accuracy", True, lambda counts: 1 - _precision(counts)),
        "omission_error": Rate("omission error: 1 - producer's accuracy", True, lambda counts: 1 - _recall(counts)),
        "overall_accuracy": Rate(
            "overall accuracy: pixels of the right class / pixels",
            False,
            lambda counts: _ratio(counts["true_positives"].sum("label"), counts["true"].sum("label")),
        ),
        "balanced_accuracy": Rate(
            "balanced accuracy: mean recall of the classes that are there",
            False,
            lambda counts: _recall(counts).mean("label"),
        ),
        "mean_iou": Rate(
            "mean intersection over union of the classes that are there or predicted",
            False,
            lambda counts: _iou(counts).mean("label"),
        ),
        "kappa": Rate("Cohen's kappa: agreement beyond that of chance / the most there can be", False, _kappa),
        "mcc": Rate("Matthews correlation coefficient, of several classes as Gorodkin has it", False, _mcc),
    }
)
"""Rates by name. Kappa: Cohen (1960, doi 10.1177/001316446002000104); MCC: Gorodkin (2004,
doi 10.1016/j.compbiolchem.2004.09.006); user's and producer's accuracy: Congalton (1991,
doi 10.1016/0034-4257(91)90048-B)."""

"""The algebra of histograms of probability: cloud against the rest, and the metrics that follow."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.confusions import Rate
from s2cmc_zarr.analysis.estimates import ratio
from s2cmc_zarr.kernels.probability import BIN_COUNT
from s2cmc_zarr.schema import LABELS

CALIBRATION_BINS: Final = 10
"""Of equal width, of the calibration error: as many as Naeini et al. (2015) take."""
_NEEDED: Final = ("true", "square_error", "surplus")


def cloud_or_not(scores: xr.Dataset) -> xr.Dataset:
    """Fold the true classes of histograms into labels, cloud against the rest, and leave out unlabelled pixels."""
    rest = scores.sel(truth=[label for label in LABELS if label != "cloud"]).sum("truth")
    label = xr.Variable("label", ["not_cloud", "cloud"])
    return xr.concat([rest, scores.sel(truth="cloud", drop=True)], label)


def fold_probabilities(scores: xr.Dataset, calibration_bins: int = CALIBRATION_BINS) -> xr.Dataset:
    """Count what the metrics of probability need: additive.

    Parameters
    ----------
    scores : xarray.Dataset
        ``probability_count``, ``probability_sum`` and ``probability_square_sum``, dims (…, truth, probability).
    calibration_bins : int
        A divisor of the number of bins.

    Returns
    -------
    xarray.Dataset
        * ``true``, int64, dims (…, label): pixels with a probability.
        * ``probability_count``, int64, dims (…, label, probability): their histogram.
        * ``square_error``, float64, dims (…): sum of the squares of probability less truth.
        * ``surplus``, float64, dims (…, calibration_bin): pixels of cloud less the sum of the probabilities.
    """
    folded = cloud_or_not(scores)
    count, total = folded["probability_count"], folded["probability_sum"]
    true, cloud = count.sum("probability"), count.sel(label="cloud", drop=True)
    hits = total.sel(label="cloud", drop=True).sum("probability")
    surplus = (cloud - total.sum("label")).coarsen(probability=BIN_COUNT // calibration_bins).sum()
    return xr.Dataset(
        {
            "true": true,
            "probability_count": count,
            "square_error": folded["probability_square_sum"].sum("label")
            - 2 * hits
            + true.sel(label="cloud", drop=True),
            "surplus": surplus.drop_vars("probability").rename(probability="calibration_bin"),
        }
    )


def needed_counts(counts: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Keep of folded counts what these metrics need: histograms are a hundred times as large as the rest."""
    return counts if any(name in _OF_HISTOGRAM for name in names) else counts[list(_NEEDED)]


def probability_rates(counts: xr.Dataset, names: Sequence[str] | None = None) -> xr.Dataset:
    """Compute metrics; NaN where cloud or the rest are absent, or for those of all pixels where there are none.

    Parameters
    ----------
    counts : xarray.Dataset
        As `fold_probabilities` gives it, or sums of such counts.
    names : sequence of str, optional
        Of `PROBABILITY_RATES`; default: all.

    Returns
    -------
    xarray.Dataset
        float64, dims (…).
    """
    wanted = PROBABILITY_RATES if names is None else names
    return xr.Dataset({name: PROBABILITY_RATES[name].of(counts) for name in wanted})


def _pair_count(counts: xr.Dataset) -> xr.DataArray:
    true = counts["true"]
    return true.sel(label="cloud", drop=True) * 1.0 * true.sel(label="not_cloud", drop=True)


def _histograms(counts: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    count = counts["probability_count"]
    return count.sel(label="cloud", drop=True), count.sel(label="not_cloud", drop=True)


def _roc_auc(counts: xr.Dataset) -> xr.DataArray:
    """Share of the pairs of a pixel of cloud and one of the rest in which cloud has the higher probability."""
    cloud, rest = _histograms(counts)
    higher = xr.dot(cloud, rest.cumsum("probability"), dim="probability")
    return ratio(higher - xr.dot(cloud, rest, dim="probability") / 2, _pair_count(counts))


def _roc_auc_error(counts: xr.Dataset) -> xr.DataArray:
    """Half the share of the pairs whose order the bins do not tell."""
    return ratio(xr.dot(*_histograms(counts), dim="probability") / 2, _pair_count(counts))


def _average_precision(counts: xr.Dataset) -> xr.DataArray:
    cloud, rest = (part.isel(probability=slice(None, None, -1)) for part in _histograms(counts))
    hits = cloud.cumsum("probability")
    # Where nothing is at or above the threshold, there are no hits.
    precision = hits / np.maximum(hits + rest.cumsum("probability"), 1)
    clouds = counts["true"].sel(label="cloud", drop=True)
    gained: xr.DataArray = xr.dot(precision, cloud, dim="probability")
    return gained / clouds.where(_pair_count(counts) > 0)


def _brier_score(counts: xr.Dataset) -> xr.DataArray:
    return ratio(counts["square_error"], counts["true"].sum("label"))


def _calibration_error(counts: xr.Dataset) -> xr.DataArray:
    return ratio(abs(counts["surplus"]).sum("calibration_bin"), counts["true"].sum("label"))


PROBABILITY_RATES: Final = MappingProxyType(
    {
        "roc_auc": Rate("area under the receiver operating characteristic", False, _roc_auc),
        "roc_auc_error": Rate("largest error of the area that the bins can have made", False, _roc_auc_error),
        "average_precision": Rate(
            "average precision: sum of precision times the step of recall", False, _average_precision
        ),
        "brier_score": Rate("Brier score: mean square of probability less truth", False, _brier_score),
        "expected_calibration_error": Rate(
            "mean distance of probability and frequency of cloud over bins of probability", False, _calibration_error
        ),
    }
)
"""ROC AUC: Fawcett (2006, doi 10.1016/j.patrec.2005.10.010); Brier (1950); calibration error: Naeini et al. (2015,
doi 10.1609/aaai.v29i1.9602)."""
_OF_HISTOGRAM: Final = ("roc_auc", "roc_auc_error", "average_precision")

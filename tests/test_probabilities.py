from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from sklearn.metrics import average_precision_score, brier_score_loss, precision_recall_curve, roc_auc_score, roc_curve

from s2cmc_zarr.analysis.confusions import rates
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.probability import BIN_COUNT
from s2cmc_zarr.schema import UNLABELLED
from s2cmc_zarr.scoring.models import Prediction
from s2cmc_zarr.scoring.probabilities import at_thresholds, probability_curves, probability_metrics
from s2cmc_zarr.scoring.scores import score
from synthetic import synthetic, watched

Floats = npt.NDArray[np.float32]


class Brightness:
    """A model whose probability of cloud is the brightness of green, in steps too small for the bins."""

    name = "brightness"
    labels = ("clear", "cloud")
    digest = "0" * 64
    variables = ("reflectance",)

    def __call__(self, reflectance: Floats) -> npt.NDArray[np.uint8]:
        return self.predict_scene("", reflectance=reflectance).mask

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:  # noqa: ARG002
        probability = np.clip(arrays["reflectance"][2], 0, 1)
        return Prediction((probability > 0.3).astype(np.uint8), probability)


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return synthetic(5, 24)


@pytest.fixture(scope="module")
def scores(ds: xr.Dataset) -> xr.Dataset:
    return score(ds, Brightness()).compute()


def pixels(ds: xr.Dataset, scenes: Any) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Truth and probability of the pixels that count, as float64."""
    reflectance, mask = ds["reflectance"].values[scenes], ds["mask"].values[scenes]
    counted = np.isfinite(reflectance).all(axis=1) & (reflectance != 0).any(axis=1) & (mask != UNLABELLED)
    return mask[counted] == 1, np.clip(reflectance[:, 2][counted], 0, 1).astype(float)


def rounded(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    edges = np.arange(BIN_COUNT) / BIN_COUNT
    return edges[np.searchsorted(edges, probability, side="right") - 1]


def calibration_error(truth: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64], bins: int) -> float:
    """The definition: over bins, the share of pixels times the distance of mean probability and frequency."""
    position = np.minimum((rounded(probability) * bins + 1e-9).astype(int), bins - 1)
    terms = [
        (position == number).mean() * abs(truth[position == number].mean() - probability[position == number].mean())
        for number in np.unique(position)
    ]
    return float(np.sum(terms))


def test_pooled_metrics_are_those_of_scikit_learn(ds: xr.Dataset, scores: xr.Dataset) -> None:
    truth, probability = pixels(ds, slice(None))
    found = probability_metrics(scores, None).sel(averaging="pooled")
    np.testing.assert_allclose(found["roc_auc"], roc_auc_score(truth, rounded(probability)), rtol=1e-12)
    assert abs(found["roc_auc"] - roc_auc_score(truth, probability)) <= found["roc_auc_error"] < 0.01
    expected = average_precision_score(truth, rounded(probability))
    np.testing.assert_allclose(found["average_precision"], expected, rtol=1e-12)
    np.testing.assert_allclose(found["brier_score"], brier_score_loss(truth, probability), rtol=1e-10)
    assert found["probability_pixel_count"] == len(truth)
    for bins in (10, 20, 200):
        error = probability_metrics(scores, None, calibration_bins=bins).sel(averaging="pooled")
        np.testing.assert_allclose(
            error["expected_calibration_error"], calibration_error(truth, probability, bins), rtol=1e-9
        )


def test_means_of_scenes_leave_out_those_without_cloud(ds: xr.Dataset, scores: xr.Dataset) -> None:
    found = probability_metrics(scores, None).sel(averaging="per_scene")
    each = [pixels(ds, [scene]) for scene in range(5)]
    cloudy = [(truth, probability) for truth, probability in each if truth.any()]
    assert len(cloudy) == 4
    assert found["roc_auc_scenes"] == 4
    assert found["brier_score_scenes"] == 5
    areas = [roc_auc_score(truth, rounded(probability)) for truth, probability in cloudy]
    np.testing.assert_allclose(found["roc_auc"], np.mean(areas), rtol=1e-12)
    brier = [np.mean((probability - truth) ** 2) for truth, probability in each]
    np.testing.assert_allclose(found["brier_score"], np.mean(brier), rtol=1e-10)


def test_curves_are_those_of_scikit_learn(ds: xr.Dataset, scores: xr.Dataset) -> None:
    truth, probability = pixels(ds, slice(None))
    curves = probability_curves(scores)
    false, true, thresholds = roc_curve(truth, rounded(probability), drop_intermediate=False)
    at = curves.sel(threshold=thresholds)
    np.testing.assert_allclose(at["false_positive_rate"], false, atol=1e-12)
    np.testing.assert_allclose(at["true_positive_rate"], true, atol=1e-12)
    precision, recall, thresholds = precision_recall_curve(truth, rounded(probability))
    at = curves.sel(threshold=thresholds)
    np.testing.assert_allclose(at["precision"], precision[:-1], atol=1e-12)
    np.testing.assert_allclose(at["true_positive_rate"], recall[:-1], atol=1e-12)
    assert np.isnan(curves["precision"].sel(threshold=np.inf))
    bin_pixels = (probability >= 0.25) & (probability < 0.255)
    reliability = curves.sel(probability=0.25)
    np.testing.assert_allclose(reliability["mean_probability"], probability[bin_pixels].mean(), rtol=1e-10)
    np.testing.assert_allclose(reliability["cloud_frequency"], truth[bin_pixels].mean(), rtol=1e-12)


def test_a_threshold_is_exact(ds: xr.Dataset, scores: xr.Dataset) -> None:
    truth, probability = pixels(ds, slice(None))
    counts = at_thresholds(scores).sum("scene")
    for threshold in (0, 0.3, 0.405, 0.995):
        predicted = probability >= threshold
        at = counts.sel(threshold=threshold)
        assert at["true_positives"].values.tolist() == [(~truth & ~predicted).sum(), (truth & predicted).sum()]
        assert at["predicted"].values.tolist() == [(~predicted).sum(), predicted.sum()]
        accuracy = rates(at, ["overall_accuracy"])["overall_accuracy"]
        np.testing.assert_allclose(accuracy, (truth == predicted).mean(), rtol=1e-12)


def test_lazy_scores_give_lazy_metrics(ds: xr.Dataset, scores: xr.Dataset) -> None:
    lazy = probability_metrics(score(ds, Brightness()), "tags")
    assert lazy["roc_auc"].chunks
    xr.testing.assert_allclose(lazy.compute(), probability_metrics(scores, "tags"), rtol=1e-12)


def test_pixels_are_read_once(ds: xr.Dataset, scores: xr.Dataset) -> None:
    reads: list[tuple[str, int]] = []
    lazy = score(watched(ds, reads), Brightness())
    found = probability_metrics(lazy, None)
    assert not reads
    np.testing.assert_allclose(found["brier_score"], probability_metrics(scores, None)["brier_score"], rtol=1e-12)
    assert reads.count(("reflectance", 0)) == 1


def test_models_say_beforehand_that_they_give_only_classes(ds: xr.Dataset) -> None:
    lazy = score(ds, [Brightness(), "braaten", lambda reflectance: reflectance[0] > 0.3])
    assert lazy["gives_probability"].values.tolist() == [True, False, False]
    with pytest.raises(CatalogueError, match="model <lambda>, braaten gives no probabilities"):
        probability_metrics(lazy)


def test_refusals(ds: xr.Dataset, scores: xr.Dataset) -> None:
    with pytest.raises(CatalogueError, match="model braaten gives no probabilities"):
        probability_metrics(score(ds, [Brightness(), "braaten"]).compute())
    with pytest.raises(CatalogueError, match="calibration_bins is 7, expected a divisor of 200"):
        probability_metrics(scores, None, calibration_bins=7)
    with pytest.raises(CatalogueError, match="no probability_count in the scores"):
        probability_metrics(scores.drop_vars("probability_count"))

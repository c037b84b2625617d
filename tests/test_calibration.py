from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import f1_score

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.calibration import calibrate_threshold
from s2cmc_zarr.scoring.scores import score
from synthetic import synthetic, watched
from test_probabilities import Brightness, pixels


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return synthetic(12, 24, seed=2)


@pytest.fixture(scope="module")
def scores(ds: xr.Dataset) -> xr.Dataset:
    return score(ds, Brightness()).compute()


def test_the_best_threshold_is_that_of_trying_all(ds: xr.Dataset, scores: xr.Dataset) -> None:
    calibration = xr.DataArray(np.arange(12) < 6, dims="scene")
    found = calibrate_threshold(scores, calibration)
    truth, probability = pixels(ds, slice(None, 6))
    thresholds = np.arange(1, 200) / 200
    values = [f1_score(truth, probability >= threshold) for threshold in thresholds]
    assert float(found["threshold"]) == thresholds[np.argmax(values)]
    np.testing.assert_allclose(found["f1_calibration"], max(values), rtol=1e-12)
    truth, probability = pixels(ds, slice(6, None))
    np.testing.assert_allclose(found["f1_test"], f1_score(truth, probability >= float(found["threshold"])), rtol=1e-12)
    assert found.attrs["metric"] == "f1"


def test_scenes_of_one_group_are_not_in_both_parts(scores: xr.Dataset) -> None:
    calibration = xr.DataArray(np.arange(12) < 5, dims="scene")  # groups are pairs
    found = calibrate_threshold(scores, calibration, metric="overall_accuracy")
    counts = [int(found[f"{name}_scene_count"]) for name in ("calibration", "test", "left_out")]
    assert counts == [5, 6, 1]
    whole = calibrate_threshold(scores.isel(scene=slice(6, None)), xr.ones_like(calibration[6:]) & (np.arange(6) < 2))
    assert int(whole["test_scene_count"]) == 4


def test_an_error_is_made_small(scores: xr.Dataset) -> None:
    calibration = xr.DataArray(np.arange(12) < 6, dims="scene")
    found = calibrate_threshold(scores, calibration, metric="omission_error")
    assert float(found["threshold"]) == 0
    assert float(found["omission_error_calibration"]) == 0


def test_several_models(ds: xr.Dataset) -> None:
    class Half(Brightness):
        name = "half"

    found = calibrate_threshold(
        score(ds, [Brightness(), Half()]).compute(), xr.DataArray(np.arange(12) < 6, dims="scene")
    )
    assert found["threshold"].dims == ("model",)
    assert found["model"].values.tolist() == ["brightness", "half"]


def test_pixels_are_read_once(ds: xr.Dataset, scores: xr.Dataset) -> None:
    reads: list[tuple[str, int]] = []
    calibration = xr.DataArray(np.arange(12) < 6, dims="scene")
    found = calibrate_threshold(score(watched(ds, reads), Brightness()), calibration)
    assert sorted(reads) == sorted((name, scene) for name in ("reflectance", "mask") for scene in range(12))
    xr.testing.assert_identical(found, calibrate_threshold(scores, calibration))


def test_scenes_are_chosen_by_an_expression(scores: xr.Dataset) -> None:
    scores = scores.assign_coords(difficulty=("scene", np.arange(12) // 2))
    found = calibrate_threshold(scores, "difficulty < 3")
    xr.testing.assert_identical(found, calibrate_threshold(scores, xr.DataArray(np.arange(12) < 6, dims="scene")))
    with pytest.raises(CatalogueError, match="12 scenes are for calibration and 0 independent ones"):
        calibrate_threshold(scores, "difficulty >= 0")


def test_refusals(scores: xr.Dataset) -> None:
    with pytest.raises(CatalogueError, match="0 scenes are for calibration and 12 independent ones for the test"):
        calibrate_threshold(scores, xr.DataArray(np.zeros(12, dtype=bool), dims="scene"))
    cloudless = scores.assign(probability_count=scores["probability_count"].where(scores["truth"] != "cloud", 0))
    calibration = xr.DataArray(np.arange(12) < 6, dims="scene")
    with pytest.raises(CatalogueError, match="recall is defined at no threshold"):
        calibrate_threshold(cloudless, calibration, metric="recall")

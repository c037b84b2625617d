from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import UNLABELLED
from s2cmc_zarr.scoring.models import load_model
from synthetic import reference

package = pytest.importorskip("s2cloudless")


@pytest.fixture(scope="module")
def crop(real_data: Path) -> dict[str, npt.NDArray[Any]]:
    """A real scene of the package's own tests, with what it published for it."""
    with np.load(real_data / "l1c_s2cloudless_crop.npz") as arrays:
        return {name: arrays[name][0] for name in ("s2_im", "cl_probs", "cl_mask")}


def test_as_published(crop: dict[str, npt.NDArray[Any]]) -> None:
    model = load_model("s2cloudless", threshold=0.4, average_over=1, dilation_size=1)
    found = model.predict_scene("crop", reflectance=np.ascontiguousarray(crop["s2_im"].transpose(2, 0, 1)))
    assert found.probability is not None
    np.testing.assert_allclose(found.probability, crop["cl_probs"], atol=1e-7)
    # The crop was cut after the disks had seen what lies outside.
    inner = slice(2, -2)
    np.testing.assert_array_equal(found.mask[inner, inner], crop["cl_mask"][inner, inner])
    assert 0.05 < (found.mask == 1).mean() < 0.95


@pytest.mark.parametrize(("average_over", "dilation_size", "threshold"), [(4, 2, 0.4), (0, 0, 0.4), (3, 0, 0.7)])
def test_as_the_package(
    crop: dict[str, npt.NDArray[Any]], average_over: int, dilation_size: int, threshold: float
) -> None:
    pixels = crop["s2_im"][:64, :70]
    detector = package.S2PixelCloudDetector(threshold, True, average_over, dilation_size)
    probability = detector.get_cloud_probability_maps(pixels[np.newaxis])
    mask = detector.get_mask_from_prob(probability)[0]
    model = load_model("s2cloudless", average_over=average_over, dilation_size=dilation_size, threshold=threshold)
    found = model.predict_scene("crop", reflectance=np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    np.testing.assert_array_equal(found.probability, probability[0])
    np.testing.assert_array_equal(found.mask, mask)


def test_defaults_are_those_of_the_documentation() -> None:
    model = load_model("s2cloudless")
    assert model.digest == load_model("s2cloudless", threshold=0.4, average_over=4, dilation_size=2).digest
    assert model.digest != load_model("s2cloudless", average_over=1).digest


def test_cloudy_and_clear_scenes() -> None:
    model = load_model("s2cloudless")
    predictions = [model.predict_scene("", reflectance=scene) for scene in reference()["reflectance"].values]
    means = [float(np.mean(prediction.probability)) for prediction in predictions]  # type: ignore[arg-type]
    np.testing.assert_allclose(means, [0.97, 0.75, 0.03, 0.02, 0.01], atol=0.006)


def test_pixels_without_data(crop: dict[str, npt.NDArray[Any]]) -> None:
    reflectance = np.ascontiguousarray(crop["s2_im"][:40, :40].transpose(2, 0, 1))
    reflectance[:, 10:20] = 0
    found = load_model("s2cloudless").predict_scene("", reflectance=reflectance)
    detector = package.S2PixelCloudDetector(0.4, True, 4, 2)
    expected = detector.get_cloud_masks(reflectance.transpose(1, 2, 0)[np.newaxis])[0]
    assert (found.mask[10:20] == UNLABELLED).all()
    np.testing.assert_array_equal(np.delete(found.mask, slice(10, 20), 0), np.delete(expected, slice(10, 20), 0))


def test_it_is_pickled_without_its_tables() -> None:
    model = load_model("s2cloudless")
    model(reference()["reflectance"].values[0])
    assert len(pickle.dumps(model)) < 10_000


def test_refusals() -> None:
    with pytest.raises(CatalogueError, match="s2cloudless got threshold=4, average_over=4"):
        load_model("s2cloudless", threshold=4)

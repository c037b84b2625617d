from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from s2cmc_zarr.schema import BAND_NAMES
from s2cmc_zarr.scoring.models import load_model

package = pytest.importorskip("ukis_csmask.mask")
NAMES = ["blue", "green", "red", "nir", "swir16", "swir22"]
BANDS = [BAND_NAMES.index(name) for name in ("B02", "B03", "B04", "B08", "B11", "B12")]


@pytest.fixture(scope="module")
def labelled(real_data: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Real pixels of the package's own tests, (y, x, band), and its labels."""
    with np.load(real_data / "l1c_labelled_6band.npz") as arrays:
        return arrays["img"], arrays["msk"][..., 0]


def all_bands(image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    reflectance = np.full((len(BAND_NAMES), *image.shape[:2]), 0.1, dtype=np.float32)
    reflectance[BANDS] = image.transpose(2, 0, 1)
    return reflectance


def test_accuracy_is_that_of_the_package(labelled: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> None:
    image, truth = labelled
    mask = load_model("ukis-csmask", threads=2)(all_bands(image))
    truth = np.array([2, 0, 0, 0, 1])[truth]
    assert round(cohen_kappa_score(truth.ravel(), mask.ravel()), 2) == 0.81
    assert round(accuracy_score(truth.ravel(), mask.ravel()), 2) == 0.90


@pytest.mark.parametrize("shape", [(300, 260), (256, 256)])
def test_labels_are_those_of_the_package(
    labelled: tuple[npt.NDArray[Any], npt.NDArray[Any]], shape: tuple[int, int]
) -> None:
    image = np.ascontiguousarray(labelled[0][: shape[0], -shape[1] :])
    expected = package.CSmask(image.copy(), NAMES, nodata_value=0).csm[..., 0]
    found = load_model("ukis-csmask").predict_scene("", reflectance=all_bands(image))
    np.testing.assert_array_equal(found.mask, expected)
    assert len(np.unique(expected)) == 3
    assert found.probability is not None
    assert found.probability.min() >= 0
    assert found.probability.max() <= 1 + 1e-5


def test_threads_do_not_matter(labelled: tuple[npt.NDArray[Any], npt.NDArray[Any]]) -> None:
    reflectance = all_bands(labelled[0][:210, :210])
    one, two = (load_model("ukis-csmask", threads=n).predict_scene("", reflectance=reflectance) for n in (1, 2))
    np.testing.assert_array_equal(one.probability, two.probability)


def test_it_is_pickled_without_its_session() -> None:
    assert len(pickle.dumps(load_model("ukis-csmask"))) < 10_000

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.confusion import confusion
from s2cmc_zarr.kernels.pixels import count_values, has_data
from s2cmc_zarr.kernels.statistics import scene_statistics
from s2cmc_zarr.schema import LABELS, UNLABELLED
from synthetic import reference

MASK_VALUES = [0, 1, 2, UNLABELLED]
masks = hnp.arrays(np.uint8, (4, 5), elements=st.sampled_from(MASK_VALUES))
reflectances = hnp.arrays(
    np.float32,
    (3, 4, 5),
    elements=st.one_of(st.sampled_from([0.0, np.nan, np.inf, -np.inf]), st.floats(-1, 2, width=32)),
)


def plain_statistics(reflectance: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """The same as `scene_statistics`, pixel by pixel."""
    pixels = [
        (label, spectrum)
        for label, spectrum in zip(mask.ravel(), reflectance.reshape(len(reflectance), -1).T, strict=True)
    ]
    observed = [(label, spectrum) for label, spectrum in pixels if any(np.isfinite(v) and v != 0 for v in spectrum)]
    cells = [
        [[float(spectrum[band]) for label, spectrum in observed if label == value] for band in range(len(reflectance))]
        for value in range(len(LABELS))
    ]
    finite = [[[v for v in cell if np.isfinite(v)] for cell in row] for row in cells]

    def each(function: Any) -> npt.NDArray[np.float64]:
        return np.array([[function(np.array(cell)) if cell else np.nan for cell in row] for row in finite])

    return {
        "count": np.array([[len(cell) for cell in row] for row in finite]),
        "mean": each(np.mean),
        "variance": each(np.var),
        "minimum": each(np.min),
        "maximum": each(np.max),
        "non_finite_count": np.array(
            [[len(a) - len(b) for a, b in zip(*rows, strict=True)] for rows in zip(cells, finite, strict=True)]
        ),
        "class_count": np.array([sum(label == value for label, _ in pixels) for value in range(len(LABELS))]),
        "unlabelled_count": np.array(sum(label == UNLABELLED for label, _ in pixels)),
        "no_data_count": np.array(len(pixels) - len(observed)),
    }


@given(reflectances, masks)
def test_statistics_of_a_scene(reflectance: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8]) -> None:
    expected = plain_statistics(reflectance, mask)
    # Released scenes have the band as last axis in memory.
    strided = np.ascontiguousarray(reflectance.transpose(1, 2, 0)).transpose(2, 0, 1)
    for layout in (reflectance, strided):
        found = scene_statistics(layout, mask)
        assert list(found) == list(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-13, atol=1e-15, err_msg=name)


def test_statistics_do_not_cancel() -> None:
    random = np.random.default_rng(0)
    reflectance = (1e4 + random.integers(0, 8, (1, 500, 500)) / 1024).astype(np.float32)
    found = scene_statistics(reflectance, np.zeros((500, 500), dtype=np.uint8))
    exact = reflectance.astype(np.longdouble)
    assert found["mean"][0, 0] == pytest.approx(float(exact.mean()), rel=1e-15)
    assert found["variance"][0, 0] == pytest.approx(float(exact.var()), rel=1e-9)


def test_statistics_of_real_pixels() -> None:
    for pixels in reference()["reflectance"].values:
        bright = (pixels[2] > np.median(pixels[2])).astype(np.uint8)
        found = scene_statistics(pixels, bright)
        for label in (0, 1):
            values = pixels[:, bright == label].astype(np.float64)
            assert (found["count"][label] == values.shape[1]).all()
            np.testing.assert_allclose(found["mean"][label], values.mean(axis=1), rtol=1e-13)
            np.testing.assert_allclose(found["variance"][label], values.var(axis=1), rtol=1e-13)
            np.testing.assert_array_equal(found["minimum"][label], values.min(axis=1))
            np.testing.assert_array_equal(found["maximum"][label], values.max(axis=1))


def test_statistics_refuse_other_values() -> None:
    mask = np.array([[0, 3], [7, 255]], dtype=np.uint8)
    with pytest.raises(CatalogueError, match=r"\[3, 7\], expected 0 \(clear\), 1 \(cloud\), 2 \(cloud_shadow\) or 255"):
        scene_statistics(np.ones((2, 2, 2), dtype=np.float32), mask)


def test_has_data() -> None:
    pixels = np.array([[0, 0], [np.nan, 0], [np.inf, np.nan], [0, 1], [np.nan, 1], [-1, 1]], dtype=np.float32)
    reflectance = pixels.T[:, np.newaxis, :]
    assert has_data(reflectance).tolist() == [[False, False, False, True, True, True]]
    assert has_data(reflectance, every_band=True).tolist() == [[False, False, False, True, False, True]]


@given(masks)
def test_count_values(mask: npt.NDArray[np.uint8]) -> None:
    assert count_values(mask).tolist() == [np.count_nonzero(mask == value) for value in MASK_VALUES]


@given(masks, masks)
def test_confusion(truth: npt.NDArray[np.uint8], prediction: npt.NDArray[np.uint8]) -> None:
    expected = confusion_matrix(truth.ravel(), prediction.ravel(), labels=MASK_VALUES)
    np.testing.assert_array_equal(confusion(truth, prediction), expected)

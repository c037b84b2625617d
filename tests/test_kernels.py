from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix

from plain_statistics import plain_patches, plain_statistics
from s2cmc_zarr.analysis.counts import ALWAYS, INCLUDED
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.bins import bin_edges
from s2cmc_zarr.kernels.boundaries import distance_classes
from s2cmc_zarr.kernels.confusion import confusion, confusion_by_distance
from s2cmc_zarr.kernels.pixels import count_values, has_data, select_bands
from s2cmc_zarr.kernels.statistics import PATCH_SIZES, distance_counts, patches, scene_statistics
from s2cmc_zarr.schema import UNLABELLED
from synthetic import reference

MASK_VALUES = [0, 1, 2, UNLABELLED]
masks = hnp.arrays(np.uint8, (4, 5), elements=st.sampled_from(MASK_VALUES))
reflectances = hnp.arrays(
    np.float32,
    (3, 4, 5),
    elements=st.one_of(st.sampled_from([0.0, np.nan, np.inf, -np.inf, 6.5535]), st.floats(-1, 2, width=32)),
)
ALL: Any = ("moments", "histogram", "covariance", "pixels")
EDGES: dict[str, Any] = {
    "default": None,
    "exact": "exact",
    "linear": np.linspace(0, 1, 101),
    "uneven": [-1.0, 0.0, 1e-7, 0.1, 0.1000001, 0.5, 1.9],
    "one": [0.25],
}


@given(reflectances, masks, st.sampled_from(list(EDGES)))
def test_statistics_of_a_scene(reflectance: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8], bins: str) -> None:
    edges = bin_edges(EDGES[bins])
    expected = plain_statistics(reflectance, mask, edges.edges)
    # Released scenes have the band as last axis in memory.
    strided = np.ascontiguousarray(reflectance.transpose(1, 2, 0)).transpose(2, 0, 1)
    for layout in (reflectance, strided):
        found = scene_statistics(layout, mask, ALL, edges)
        assert set(found) == set(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=1e-15, err_msg=name)
            if values.dtype.kind == "i":
                assert found[name].dtype.kind in "iu"


def test_statistics_of_many_blocks() -> None:
    random = np.random.default_rng(0)
    mask = np.repeat(random.choice(np.array(MASK_VALUES, np.uint8), (150, 10)), 17, axis=1)
    mask[:40] = 1
    assert (np.bincount(mask.ravel())[[0, 1, 2]] > 4096).all()
    reflectance = (random.gamma(2, 0.2, (13, *mask.shape)) * (1 + mask % 5)).astype(np.float32)
    reflectance[:, 100:102] = 0
    reflectance[4, 50:60, 3] = np.nan
    reflectance[5, 20, :30] = -np.inf
    for bins in EDGES.values():
        edges = bin_edges(bins)
        expected = plain_statistics(reflectance, mask, edges.edges)
        found = scene_statistics(reflectance, mask, ALL, edges)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("included", [*[(name,) for name in ALL], ALL[:2], ()])
def test_only_what_is_asked_for(included: Any) -> None:
    random = np.random.default_rng(0)
    reflectance, mask = random.random((3, 9, 9)).astype(np.float32), random.integers(0, 3, (9, 9)).astype(np.uint8)
    whole = scene_statistics(reflectance, mask, ALL, bin_edges())
    found = scene_statistics(reflectance, mask, included, bin_edges() if "histogram" in included else None)
    outputs = set(ALWAYS).union(*(INCLUDED[name] for name in included))
    assert set(found) == outputs
    for name in outputs:
        np.testing.assert_array_equal(found[name], whole[name])


@pytest.mark.parametrize("offset", [0.25, 1e4])
def test_statistics_do_not_cancel(offset: float) -> None:
    random = np.random.default_rng(0)
    reflectance = (offset + random.integers(0, 8, (2, 500, 500)) / 1024).astype(np.float32)
    found = scene_statistics(reflectance, np.zeros((500, 500), dtype=np.uint8), ("moments", "covariance"))
    exact = reflectance.astype(np.longdouble)
    assert found["mean"][0, 0] == pytest.approx(float(exact[0].mean()), rel=1e-15)
    assert found["variance"][0, 0] == pytest.approx(float(exact[0].var()), rel=1e-9)
    np.testing.assert_allclose(found["covariance"][0, [0, 1], [0, 1]], found["variance"][0], rtol=1e-9)
    product = ((exact[0] - exact[0].mean()) * (exact[1] - exact[1].mean())).mean()
    assert found["covariance"][0, 0, 1] == pytest.approx(float(product), rel=1e-9)


def test_statistics_of_real_pixels() -> None:
    edges = bin_edges("exact")
    for pixels in reference()["reflectance"].values:
        bright = (pixels[2] > np.median(pixels[2])).astype(np.uint8)
        found = scene_statistics(pixels, bright, ALL, edges)
        for name, values in plain_statistics(pixels, bright, edges.edges).items():
            if values.dtype.kind == "f":
                # Covariances are compared with the variances: they may be as small as one likes.
                scale = np.nanmax(np.abs(values)) if name == "covariance" else 0
                np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=1e-12 * scale, err_msg=name)
            else:
                np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_real_pixels_lie_on_the_exact_bins() -> None:
    band = reference()["reflectance"].sel(band="B11").values[0]
    found = scene_statistics(band[np.newaxis], np.zeros(band.shape, np.uint8), ALL, bin_edges("exact"))
    numbers = np.rint(band.astype(np.float64) * 10_000).astype(int)
    expected = np.bincount(numbers.ravel(), minlength=20_001)
    np.testing.assert_array_equal(found["histogram"][0, 0, 1:-1], expected[:20_001])


@given(masks)
def test_patches_and_boundaries(mask: npt.NDArray[np.uint8]) -> None:
    found = patches(mask)
    for label, sizes in enumerate(plain_patches(mask)):
        for position, size in enumerate(PATCH_SIZES):
            of_size = [each for each in sizes if size <= each < 2 * size]
            assert found["patch_count"][label, position] == len(of_size)
            assert found["patch_pixel_count"][label, position] == sum(of_size)
        across = [(mask[:, :-1], mask[:, 1:]), (mask[:-1], mask[1:])]
        edges = sum(
            ((one == label) & (other != label) & (other != UNLABELLED)).sum()
            for pair in across
            for one, other in (pair, pair[::-1])
        )
        assert found["boundary_length"][label] == edges


@given(masks)
def test_distance_counts(mask: npt.NDArray[np.uint8]) -> None:
    distance = distance_classes(mask)
    for label, counts in enumerate(distance_counts(mask)):
        assert counts.tolist() == [((mask == label) & (distance == each)).sum() for each in range(len(counts))]


def test_statistics_refuse_other_values() -> None:
    mask = np.array([[0, 3], [7, 255]], dtype=np.uint8)
    with pytest.raises(CatalogueError, match=r"\[3, 7\], expected 0 \(clear\), 1 \(cloud\), 2 \(cloud_shadow\) or 255"):
        scene_statistics(np.ones((2, 2, 2), dtype=np.float32), mask)


def test_has_data() -> None:
    pixels = np.array([[0, 0], [np.nan, 0], [np.inf, np.nan], [0, 1], [np.nan, 1], [-1, 1]], dtype=np.float32)
    reflectance = pixels.T[:, np.newaxis, :]
    assert has_data(reflectance).tolist() == [[False, False, False, True, True, True]]
    assert has_data(reflectance, every_band=True).tolist() == [[False, False, False, True, False, True]]


@given(reflectances, st.lists(st.integers(0, 2), min_size=1, max_size=4), st.sampled_from([1.0, 10_000.0, 0.1]))
def test_select_bands(reflectance: npt.NDArray[np.float32], bands: list[int], scale: float) -> None:
    missing = ~has_data(reflectance) | ~np.isfinite(reflectance[bands]).all(axis=0)
    expected = np.where(missing, np.float32(0), reflectance[bands])
    strided = np.ascontiguousarray(reflectance.transpose(1, 2, 0)).transpose(2, 0, 1)
    for layout in (reflectance, strided):
        selected, found = select_bands(layout, bands, scale)
        assert selected.dtype == np.float32
        np.testing.assert_array_equal(selected, expected * np.float32(scale))
        np.testing.assert_array_equal(np.zeros_like(missing) if found is None else found, missing)


def test_select_bands_of_many_blocks() -> None:
    reflectance = np.random.default_rng(0).random((4, 100, 97), dtype=np.float32)
    reflectance[:, 60, 5:8], reflectance[2, 99, 96], reflectance[1, 0, 0] = 0, np.nan, np.inf
    selected, missing = select_bands(reflectance, [2, 0])
    assert missing is not None
    assert np.argwhere(missing).tolist() == [[60, 5], [60, 6], [60, 7], [99, 96]]
    np.testing.assert_array_equal(selected, np.where(missing, np.float32(0), reflectance[[2, 0]]))
    assert select_bands(reflectance[:, :50], [0, 3])[1] is None


@given(masks)
def test_count_values(mask: npt.NDArray[np.uint8]) -> None:
    assert count_values(mask).tolist() == [np.count_nonzero(mask == value) for value in MASK_VALUES]


@given(masks, masks)
def test_confusion(truth: npt.NDArray[np.uint8], prediction: npt.NDArray[np.uint8]) -> None:
    expected = confusion_matrix(truth.ravel(), prediction.ravel(), labels=MASK_VALUES)
    np.testing.assert_array_equal(confusion(truth, prediction), expected)


@given(masks, masks)
def test_confusion_by_distance(truth: npt.NDArray[np.uint8], prediction: npt.NDArray[np.uint8]) -> None:
    distance = distance_classes(truth)
    found = confusion_by_distance(truth, prediction, distance)
    for each, counts in zip([*range(len(found) - 1), UNLABELLED], found, strict=True):
        there = distance == each
        np.testing.assert_array_equal(counts, plain_confusion(truth[there], prediction[there]))


def plain_confusion(truth: npt.NDArray[np.uint8], prediction: npt.NDArray[np.uint8]) -> list[list[int]]:
    return [[int(((truth == one) & (prediction == other)).sum()) for other in MASK_VALUES] for one in MASK_VALUES]

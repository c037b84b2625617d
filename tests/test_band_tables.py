from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate
from scipy.stats import multivariate_normal, norm

from s2cmc_zarr import CatalogueError, normalisation, quantiles, separability, statistics
from s2cmc_zarr.analysis.band_tables import jeffries_matusita
from s2cmc_zarr.schema import BAND_NAMES, LABELS
from synthetic import reference, synthetic

Array = npt.NDArray[Any]
PROBABILITIES = (0, 0.01, 0.3, 0.5, 0.9, 1)


def pixels(ds: xr.Dataset, scenes: Array, label: int | None, *, complete: bool = False) -> Array:
    """Labelled pixels with data, float64, shape (band, pixel); if complete, those that are finite in all bands."""
    values = ds["reflectance"].values[scenes].astype(np.float64).swapaxes(0, 1).reshape(len(BAND_NAMES), -1)
    mask = ds["mask"].values[scenes].ravel()
    chosen = (np.isfinite(values) & (values != 0)).any(axis=0) & (mask < 3 if label is None else mask == label)
    if complete:
        chosen &= np.isfinite(values).all(axis=0)
    return np.asarray(values[:, chosen])


@pytest.mark.parametrize("bins", [None, "exact", [0.0, 0.1, 0.2, 0.4, 0.8]], ids=str)
def test_quantiles_are_those_of_the_pixels_to_a_bin(bins: Any) -> None:
    ds = synthetic(6, dask=False)
    found = quantiles(statistics(ds, ["histogram"], bins=bins), "annotator", PROBABILITIES)
    for annotator in ("A", "B"):
        scenes = ds["annotator"].values == annotator
        for label, name in enumerate(LABELS):
            for band, values in zip(BAND_NAMES, pixels(ds, scenes, label), strict=True):
                cell = found.sel(annotator=annotator, label=name, band=band)
                values = values[np.isfinite(values)].astype(np.float32)
                assert cell["count"] == values.size
                exact = np.quantile(values, PROBABILITIES, method="inverted_cdf")
                assert (cell["bin_lower"].values.astype(np.float32) <= exact).all()
                assert (exact < cell["bin_upper"].values.astype(np.float32)).all()
                assert (cell["quantile"] >= cell["bin_lower"]).all()
                assert (cell["quantile"] <= cell["bin_upper"]).all()
                assert np.isfinite(cell["quantile"]).all()


def test_quantiles_of_an_absent_class_are_nan() -> None:
    found = quantiles(statistics(synthetic(1), ["histogram"])).sel(label="cloud")
    assert (found["count"] == 0).all()
    assert found["quantile"].isnull().all()


def test_normalisation_is_that_of_all_labelled_pixels() -> None:
    ds = synthetic(6, dask=False)
    found = normalisation(statistics(ds), "dataset")
    for dataset in ("CALIBRATION", "MAIN"):
        values = pixels(ds, ds["dataset"].values == dataset, None)
        part = found.sel(dataset=dataset)
        np.testing.assert_array_equal(part["count"], np.isfinite(values).sum(axis=1))
        np.testing.assert_allclose(part["mean"], np.nanmean(values, axis=1), rtol=1e-12)
        np.testing.assert_allclose(part["standard_deviation"], np.nanstd(values, axis=1), rtol=1e-12)
        np.testing.assert_array_equal(part["minimum"], np.nanmin(values, axis=1))
        np.testing.assert_array_equal(part["maximum"], np.nanmax(values, axis=1))


def test_normalisation_of_real_pixels() -> None:
    ds = reference()
    found = normalisation(statistics(ds))
    values = ds["reflectance"].values.astype(np.float64)
    np.testing.assert_allclose(found["mean"], values.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found["standard_deviation"], values.std(axis=(0, 2, 3)), rtol=1e-12)


def test_separability_is_that_of_the_pixels() -> None:
    ds = synthetic(6, dask=False)
    found = separability(statistics(ds, ["covariance"]), "annotator")
    scenes = ds["annotator"].values == "B"
    clear, cloud = (pixels(ds, scenes, label, complete=True) for label in (0, 1))
    part = found.sel(annotator="B", pair="clear, cloud")

    def distance(which: list[int]) -> Array:
        moments = [(x[which].mean(axis=1), np.atleast_2d(np.cov(x[which], bias=True))) for x in (clear, cloud)]
        return jeffries_matusita(*moments[0], *moments[1])

    np.testing.assert_allclose(part["all_bands"], distance(list(range(13))), rtol=1e-9)
    np.testing.assert_allclose(part["jeffries_matusita"].sel(band="B02", other_band="B02"), distance([1]), rtol=1e-9)
    np.testing.assert_allclose(
        part["jeffries_matusita"].sel(band="B11", other_band="B02"), distance([11, 1]), rtol=1e-9
    )
    together = part["jeffries_matusita"].values
    np.testing.assert_allclose(together, together.T, rtol=1e-9)
    assert (together >= np.diag(together) - 1e-9).all()
    assert (part["all_bands"].values >= together - 1e-9).all()


@pytest.mark.parametrize(("means", "deviations"), [((0, 1), (1, 1)), ((0.2, 0.3), (0.1, 0.4)), ((0, 0), (1, 3))])
def test_distance_of_one_band_by_integration(means: tuple[float, float], deviations: tuple[float, float]) -> None:
    first, second = (norm(mean, deviation) for mean, deviation in zip(means, deviations, strict=True))
    squared, _ = integrate.quad(lambda x: (first.pdf(x) ** 0.5 - second.pdf(x) ** 0.5) ** 2, -30, 30, points=[0.2])
    arrays = [
        np.array(x, dtype=float) for x in ([means[0]], [[deviations[0] ** 2]], [means[1]], [[deviations[1] ** 2]])
    ]
    np.testing.assert_allclose(jeffries_matusita(*arrays), squared, rtol=1e-7)


def test_distance_of_two_bands_by_integration() -> None:
    one = np.array([0.0, 0.5]), np.array([[1.0, 0.6], [0.6, 2.0]])
    two = np.array([1.0, -0.5]), np.array([[0.5, -0.2], [-0.2, 1.0]])
    grid = np.linspace(-12, 12, 801)
    points = np.stack(np.meshgrid(grid, grid), axis=-1)
    roots = [multivariate_normal(*each).pdf(points) ** 0.5 for each in (one, two)]
    squared = ((roots[0] - roots[1]) ** 2).sum() * (grid[1] - grid[0]) ** 2
    np.testing.assert_allclose(jeffries_matusita(*one, *two), squared, rtol=1e-6)


def test_a_class_without_spread_has_no_distance() -> None:
    ds = synthetic(2, dask=False)
    ds["reflectance"][:, 3] = 0.25
    found = separability(statistics(ds, ["covariance"]))
    assert found["all_bands"].isnull().all()
    assert found["jeffries_matusita"].sel(band="B04").isnull().all()
    assert found["jeffries_matusita"].sel(pair="clear, cloud", band="B02", other_band="B03").notnull()


@settings(deadline=None, max_examples=25)
@given(
    hnp.arrays(np.uint32, (2, 3, 1, 6), elements=st.integers(0, 20)),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_quantiles_of_any_histogram(counts: npt.NDArray[np.uint32], probabilities: list[float]) -> None:
    edges = np.array([-np.inf, 0, 0.1, 0.2, 0.5, 1, np.inf])
    ds = xr.Dataset(
        {"histogram": (("scene", "label", "band", "bin"), counts)},
        coords={
            "label": list(LABELS),
            "band": ["B02"],
            "bin_lower": ("bin", edges[:-1]),
            "bin_upper": ("bin", edges[1:]),
        },
    )
    found = quantiles(ds, None, probabilities)
    for label in range(3):
        bins = np.repeat(np.arange(6), counts[:, label, 0].sum(axis=0, dtype=np.int64))
        cell = found.isel(label=label, band=0)
        if not bins.size:
            assert cell["bin_lower"].isnull().all()
            continue
        where = np.quantile(bins, probabilities, method="inverted_cdf").astype(int)
        np.testing.assert_array_equal(cell["bin_lower"], edges[where])


def test_data_frames_and_refusals() -> None:
    counted = statistics(synthetic(4), ["moments", "histogram", "covariance"]).compute()
    assert quantiles(counted, "difficulty").to_dataframe().index.names == ["difficulty", "label", "band", "probability"]
    assert normalisation(counted, "difficulty,annotator").to_dataframe().index.names == [
        "difficulty",
        "annotator",
        "band",
    ]
    assert separability(counted).to_dataframe().index.names == ["pair", "band", "other_band"]
    with pytest.raises(CatalogueError, match=r"probabilities are \[95\], expected numbers from 0 to 1"):
        quantiles(counted, None, [95])
    moments = counted[["count", "mean", "variance"]]
    with pytest.raises(CatalogueError, match=r"no histogram in these statistics; ask for it: statistics\(ds, include="):
        quantiles(moments)
    with pytest.raises(CatalogueError, match="no covariance in these statistics"):
        separability(moments)
    with pytest.raises(CatalogueError, match=r"no mean in these statistics.*'moments'"):
        normalisation(counted[["histogram"]])

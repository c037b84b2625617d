from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.probability import BIN_COUNT, probability_counts


def test_bins_are_exact_at_their_edges() -> None:
    edges = (np.arange(BIN_COUNT + 1) / BIN_COUNT).astype(np.float32)
    values = np.concatenate([edges, np.nextafter(edges[1:], np.float32(0)), np.nextafter(edges[:-1], np.float32(1))])
    found = probability_counts(np.ones((1, len(values)), np.uint8), values[np.newaxis])
    # A bin's lower edge is the float64 next to the fraction.
    lower = [float(Fraction(number, BIN_COUNT)) for number in range(BIN_COUNT)]
    position = [max(number for number in range(BIN_COUNT) if lower[number] <= float(value)) for value in values]
    np.testing.assert_array_equal(found["probability_count"][1], np.bincount(position, minlength=BIN_COUNT))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(1, 11))
def test_counts_are_those_of_numpy_and_add_up(seed: int, cut: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.choice(np.array([0, 1, 2, 255], np.uint8), (12, 9))
    probability = random.random((12, 9), dtype=np.float32)
    probability[random.random((12, 9)) < 0.2] = np.nan
    found = probability_counts(truth, probability)
    edges = np.arange(BIN_COUNT + 1) / BIN_COUNT
    for row, value in enumerate((0, 1, 2, 255)):
        given_values = probability[(truth == value) & ~np.isnan(probability)].astype(float)
        np.testing.assert_array_equal(found["probability_count"][row], np.histogram(given_values, edges)[0])
        np.testing.assert_allclose(found["probability_sum"][row].sum(), given_values.sum(), rtol=1e-12)
        np.testing.assert_allclose(found["probability_square_sum"][row], (given_values**2).sum(), rtol=1e-12)
    parts = [probability_counts(truth[rows], probability[rows]) for rows in (slice(cut), slice(cut, None))]
    for name, count in found.items():
        together = np.sum([np.asarray(dict(part)[name]) for part in parts], axis=0)
        np.testing.assert_allclose(together, np.asarray(count), rtol=1e-12)


def test_a_model_without_probabilities_has_none() -> None:
    found = probability_counts(np.zeros((4, 4), np.uint8), None)
    assert found["probability_count"].shape == (4, BIN_COUNT)
    assert not found["probability_count"].any()


def test_what_is_off_by_rounding_counts_as_0_and_1() -> None:
    off, exact = (np.array([values], np.float32) for values in ([1.0000001, 1.000009, -1e-7, 0.5], [1, 1, 0, 0.5]))
    assert off.max() > 1
    truth = np.ones((1, 4), np.uint8)
    for name, count in probability_counts(truth, off).items():
        np.testing.assert_array_equal(np.asarray(count), np.asarray(dict(probability_counts(truth, exact))[name]))


@pytest.mark.parametrize("wrong", [-0.1, -1e-4, 1.0001, 1.1, np.inf])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    probability = np.full((2, 2), 0.5, np.float32)
    probability[0, 0] = wrong
    with pytest.raises(CatalogueError, match=r"probabilities go from .*, expected 0 to 1"):
        probability_counts(np.zeros((2, 2), np.uint8), probability)

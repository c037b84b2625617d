from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.bins import bin_edges


def test_bins_reach_to_infinity() -> None:
    bins = bin_edges([0.0, 0.5, 2.0])
    assert bins.lower.tolist() == [-np.inf, 0.0, 0.5, 2.0]
    assert bins.upper.tolist() == [0.0, 0.5, 2.0, np.inf]


def test_bins_that_are_not_the_users() -> None:
    assert bin_edges().edges[:3] == (0.0, 0.005, 0.01)
    assert bin_edges().edges[-1] == 2.0
    exact = bin_edges("exact")
    centres = (exact.lower[1:-1] + exact.upper[1:-1]) / 2
    np.testing.assert_allclose(centres, np.arange(20_001) / 10_000, atol=1e-12)


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ("fine", "bins are 'fine', expected edges"),
        ([], r"float64 of shape \(0,\), expected a list"),
        ([[0, 1]], r"of shape \(1, 2\)"),
        (["a"], "expected a list of edges"),
        ([0, 1, 1], "each larger than the one before"),
        ([0, np.nan], "must be finite"),
        ([0, np.inf], "must be finite"),
    ],
)
def test_refusals(bins: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        bin_edges(bins)

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s2cmc_zarr.kernels.merging import merge_covariances


@given(st.lists(st.integers(0, 7), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_merged_parts_are_the_whole(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = [random.normal(random.normal(0, 5, (3, 1)), 1, (3, size)) for size in sizes]
    empty = np.full((3, 3), np.nan)
    mean = np.array([part.mean(axis=1) if part.size else empty[0] for part in parts])[:, np.newaxis]
    covariance = np.array([np.cov(part, bias=True) if part.size else empty for part in parts])[:, np.newaxis]
    used = random.random((4, len(sizes))) < 0.7
    count = (used * sizes)[..., np.newaxis]
    found_mean, found_covariance = merge_covariances(count, mean, covariance)
    assert found_covariance.shape == (4, 1, 3, 3)
    for group in range(4):
        chosen = [part for part, use in zip(parts, used[group], strict=True) if use]
        whole = np.concatenate([np.empty((3, 0)), *chosen], axis=1)
        expected_mean = whole.mean(axis=1) if whole.size else empty[0]
        expected = np.cov(whole, bias=True) if whole.size else empty
        np.testing.assert_allclose(found_mean[group, 0], expected_mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found_covariance[group, 0], expected, rtol=1e-12, atol=1e-12)

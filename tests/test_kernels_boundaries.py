from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from s2cmc_zarr.kernels.boundaries import DISTANCE_EDGES, DISTANCE_NAMES, distance_classes
from s2cmc_zarr.schema import UNLABELLED

LAST = len(DISTANCE_EDGES) - 1


def plain_distances(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """From every pixel to every other one."""
    classes = np.full(mask.shape, UNLABELLED, dtype=np.uint8)
    rows, columns = np.indices(mask.shape)
    for (row, column), value in np.ndenumerate(mask):
        if value == UNLABELLED:
            continue
        other = (mask != value) & (mask != UNLABELLED)
        squares = ((rows - row) ** 2 + (columns - column) ** 2)[other]
        nearest = np.sqrt(squares.min()) - 1 if squares.size else np.inf
        classes[row, column] = sum(nearest >= edge for edge in DISTANCE_EDGES) - 1
    return classes


shapes = st.tuples(st.integers(1, 24), st.integers(1, 24))


@given(shapes.flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, UNLABELLED]))))
def test_distance_classes(mask: npt.NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(distance_classes(mask), plain_distances(mask))


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_distance_classes_far_from_few_pixels(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    mask = np.zeros((30, 27), dtype=np.uint8)
    mask[random.integers(30, size=count), random.integers(27, size=count)] = random.choice([1, 2, UNLABELLED], count)
    np.testing.assert_array_equal(distance_classes(mask), plain_distances(mask))


def test_distance_from_a_straight_boundary() -> None:
    mask = np.repeat([[0] * 20 + [1] * 3], 4, axis=0).astype(np.uint8)
    expected = [5] * 4 + [4] * 8 + [3] * 4 + [2] * 2 + [1, 0] + [0, 1, 2]
    assert (distance_classes(mask) == expected).all()
    assert len(DISTANCE_NAMES) == len(DISTANCE_EDGES)


def test_a_single_class_is_beyond() -> None:
    mask = np.ones((3, 3), dtype=np.uint8)
    mask[0, 0] = UNLABELLED
    expected = np.full((3, 3), LAST)
    expected[0, 0] = UNLABELLED
    np.testing.assert_array_equal(distance_classes(mask), expected)

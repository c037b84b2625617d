"""Forests of decision trees as LightGBM writes them, evaluated to the bit as LightGBM does, and many times faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.forest import WORD, add_leaves, find_bins, logistic, tabulate_tree

_ZERO: Final = np.float32(1e-35)
"""LightGBM takes values up to this size, `kZeroThreshold`, for 0."""
_DEFAULT_LEFT, _CATEGORICAL = 2, 1
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = range(3)
_CELLS: Final = 1 << 14
"""Cells of the lattice on which the bin of a value is looked up, 16 kB: as many as fit into the first-level cache."""
_BLOCK: Final = 1 << 16
"""Pixels that go through all trees together: more would not fit into the second-level cache, with fewer the tables are
fetched more often."""
_LARGEST_TABLES: Final = 1 << 30
"""Bytes."""


class UnsupportedForestError(CatalogueError):
    """The forest has something that only LightGBM itself can evaluate."""


class Tree(NamedTuple):
    """A tree; the first split is its root, and splits come before those below them.

    Attributes
    ----------
    feature : numpy.ndarray
        int64, shape (split,).
    threshold : numpy.ndarray
        float64, shape (split,): values up to it go to the left.
    decision : numpy.ndarray
        int64, shape (split,): LightGBM's `decision_type`; bit 1: missing values go to the left, bits 2 and 3: missing
        are none (0), zeros (1) or NaN (2). NaN that are not missing count as 0.
    left, right : numpy.ndarray
        int64, shape (split,): a split, or the complement (~) of a leaf.
    value : numpy.ndarray
        float64, shape (leaf,).
    frequency : numpy.ndarray
        float64, shape (leaf,): how many pixels it may expect; only speed depends on it.
    """

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    decision: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    frequency: npt.NDArray[np.float64]


class LightGBMText(NamedTuple):
    """A binary model of LightGBM: its trees, how many features it has, and the steepness of its logistic function."""

    trees: list[Tree]
    features: int
    sigmoid: float


def read_lightgbm(text: str) -> LightGBMText:
    """Read a binary model from the text that LightGBM's `save_model` writes.

    Raises
    ------
    UnsupportedForestError
        If it has several classes, categorical features, linear leaves, another objective, or averages its trees.
    CatalogueError
        If it is no such text.
    """
    header, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
    fields = _fields(header)
    if not blocks or "max_feature_idx" not in fields:
        raise CatalogueError("not a model of LightGBM in text form, which has `max_feature_idx=` and then `Tree=0`")
    if fields.get("num_tree_per_iteration", "1") != "1":
        raise UnsupportedForestError(f"the forest has {fields['num_class']} classes, expected a binary one")
    if "average_output" in header.splitlines():
        raise UnsupportedForestError("the forest averages its trees, expected one that adds them")
    name, *options = fields.get("objective", "none").split()
    sigmoid = dict(option.partition(":")[::2] for option in options).get("sigmoid")
    if name != "binary" or sigmoid is None:
        raise UnsupportedForestError(f"the objective is {fields.get('objective')!r}, expected 'binary sigmoid:…'")
    try:
        trees = [_tree(_fields(block)) for block in blocks]
        return LightGBMText(trees, int(fields["max_feature_idx"]) + 1, float(sigmoid))
    except (KeyError, ValueError) as error:
        if isinstance(error, CatalogueError):
            raise
        raise CatalogueError(f"a tree of the model of LightGBM cannot be read ({error}); is the file whole?") from None


def _fields(block: str) -> dict[str, str]:
    return {key: value for key, equals, value in (line.partition("=") for line in block.splitlines()) if equals}


def _tree(fields: Mapping[str, str]) -> Tree:
    if fields.get("num_cat", "0") != "0":
        raise UnsupportedForestError("the forest has categorical features, expected only numbers")
    if fields.get("is_linear", "0") != "0":
        raise UnsupportedForestError("the forest has linear leaves, expected constant ones")
    leaves = int(fields["num_leaves"])

    def numbers(name: str, count: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
        values = np.array(fields[name].split() if count else [], dtype=dtype)
        if len(values) != count:
            raise ValueError(f"{name} has {len(values)} values, expected {count}")
        return values

    splits = [numbers(name, leaves - 1, np.int64) for name in ("split_feature", "decision_type")]
    children = [numbers(name, leaves - 1, np.int64) for name in ("left_child", "right_child")]
    return Tree(
        feature=splits[0],
        threshold=numbers("threshold", leaves - 1, np.float64),
        decision=splits[1],
        left=children[0],
        right=children[1],
        value=numbers("leaf_value", leaves, np.float64),
        frequency=numbers("leaf_count", leaves, np.float64) if fields.get("leaf_count") else np.zeros(leaves),
    )


class Forest:
    """The sum of trees over few thresholds, tabulated; see `s2cmc_zarr.kernels.forest`.

    What it gives is equal, to the bit, to what LightGBM gives for the same float32 values: a value is compared with the
    largest float32 that is not above a threshold, and leaves are added as float64 in the order of the trees.

    Parameters
    ----------
    trees : sequence of Tree
        At least one.
    features : int
        How many features there are; not all need occur in a tree.
    sigmoid : float
        Steepness of the logistic function that makes probabilities of scores.

    Raises
    ------
    UnsupportedForestError
        If a feature is categorical or has more than 65,000 thresholds, or the tables would take more than 1 GiB.
    """

    def __init__(self, trees: Sequence[Tree], features: int, sigmoid: float = 1.0) -> None:
        self.features, self.sigmoid = features, sigmoid
        nodes = Tree(*(np.concatenate(parts) for parts in zip(*trees, strict=True)))
        if (nodes.decision & _CATEGORICAL).any():
            raise UnsupportedForestError("the forest has categorical features, expected only numbers")
        self.used: list[int] = np.unique(nodes.feature).tolist()
        self._lattices = [_Lattice.of(nodes, feature) for feature in self.used]
        sizes = [lattice.bins for lattice in self._lattices]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        words = -(-max(len(tree.value) for tree in trees) // WORD)
        if max(sizes, default=0) > 65_000 or (size := len(trees) * words * int(starts[-1]) * 8) > _LARGEST_TABLES:
            raise UnsupportedForestError(
                f"the forest has up to {max(sizes)} thresholds a feature, too many to be tabulated"
            )
        self.nbytes = size
        self._rows = tuple(np.uint64(start) for start in starts[:-1])
        self._dtype = np.dtype(np.uint8 if max(sizes, default=0) <= 256 else np.uint16)
        self._tables = np.full((len(trees), words, starts[-1]), ~np.uint64(0))
        self._values = np.zeros((len(trees), words, WORD + 1))
        representatives = np.full((features, max(sizes, default=0)), np.inf)
        row, bins = np.zeros((2, features), dtype=np.int64)
        for feature, lattice, start in zip(self.used, self._lattices, starts, strict=False):
            representatives[feature, : lattice.bins] = lattice.representatives()
            row[feature], bins[feature] = start, lattice.bins
        for tree, table, values in zip(trees, self._tables, self._values, strict=True):
            rank = np.empty(len(tree.value), dtype=np.int64)
            rank[np.argsort(-tree.frequency, kind="stable")] = np.arange(len(rank))
            values[rank // WORD, rank % WORD] = tree.value
            goes_left = _goes_left(representatives[tree.feature], tree)
            tabulate_tree(tree.left, tree.right, rank, goes_left, row[tree.feature], bins[tree.feature], table)

    def raw_scores(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Add the leaves.

        Parameters
        ----------
        values : numpy.ndarray
            float32, shape (feature, pixel).

        Returns
        -------
        numpy.ndarray
            float64, shape (pixel,).

        Raises
        ------
        CatalogueError
            If there are not as many features as the forest has, or the type is another.
        """
        if values.ndim != 2 or len(values) != self.features or values.dtype != np.float32:
            raise CatalogueError(
                f"the forest got {values.dtype} of shape {values.shape}, expected float32 ({self.features}, pixel)"
            )
        sums = np.zeros(values.shape[1])
        bins = np.empty((min(_BLOCK, len(sums)), len(self.used)), dtype=self._dtype)
        for start in range(0, len(sums), _BLOCK):
            block = values[:, start : start + _BLOCK]
            some = bins[: block.shape[1]]
            for at, (feature, lattice) in enumerate(zip(self.used, self._lattices, strict=True)):
                find_bins(block[feature], *lattice, some[:, at])
            if self.used:
                add_leaves(some, self._rows, self._tables, self._values, sums[start : start + _BLOCK])
            else:
                sums[start : start + _BLOCK] = sum(self._values[:, 0, 0])
        return sums

    def probabilities(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Compute the logistic function of `raw_scores`, float64, shape (pixel,)."""
        scores = self.raw_scores(values)
        logistic(scores, self.sigmoid, scores)
        return scores


class _Lattice(NamedTuple):
    """What `find_bins` needs for a feature."""

    thresholds: npt.NDArray[np.float32]
    low: np.float32
    scale: np.float32
    cells: npt.NDArray[np.uint16]
    missing: int

    @classmethod
    def of(cls, nodes: Tree, feature: int) -> _Lattice:
        """Find the thresholds of a feature in all trees."""
        here = nodes.feature == feature
        kinds = nodes.decision[here] >> 2
        edges = _last_left(nodes.threshold[here])
        if (kinds == _MISSING_ZERO).any():  # a bin of its own
            edges = np.concatenate([edges, [np.nextafter(-_ZERO, np.float32(-1)), _ZERO]])
        edges = np.unique(edges)
        # Nearly all of them, so that a few far away do not make the cells too large for the others.
        low, high = np.quantile(edges, [0.01, 0.99], method="nearest")
        with np.errstate(over="ignore", divide="ignore"):
            scale = np.float32(_CELLS - 1) / (high - low)
            scale = scale if 0 < scale < np.inf else np.float32(1)
            positions = np.clip((edges - low) * scale, 0, np.float32(_CELLS - 1)).astype(np.int64)
        cells = np.searchsorted(positions, np.arange(_CELLS))
        has_missing = (kinds == _MISSING_NAN).any()
        missing = len(edges) + 1 if has_missing else int(np.searchsorted(edges, 0))
        thresholds = np.append(edges, np.float32(np.inf))
        return cls(thresholds, low, scale, cells.astype(np.uint16), missing)

    @property
    def bins(self) -> int:
        return max(len(self.thresholds), self.missing + 1)

    def representatives(self) -> npt.NDArray[np.float64]:
        """One value of each bin: its upper edge."""
        values = np.full(self.bins, np.nan)
        values[: len(self.thresholds)] = self.thresholds
        return values


def _last_left(thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Give the largest float32 that goes to the left of each threshold."""
    with np.errstate(over="ignore"):
        edges = thresholds.astype(np.float32)
    edges = np.where(edges.astype(np.float64) > thresholds, np.nextafter(edges, np.float32(-np.inf)), edges)
    # Tiny values count as 0.
    edges = np.where((edges >= 0) & (edges < _ZERO), _ZERO, edges)
    return np.where((edges < 0) & (edges >= -_ZERO), np.nextafter(-_ZERO, np.float32(-1)), edges).astype(np.float32)


def _goes_left(values: npt.NDArray[np.float64], tree: Tree) -> npt.NDArray[np.bool_]:
    """Decide as LightGBM's `Tree::NumericalDecision` does, for values of shape (split, bin)."""
    kind = (tree.decision >> 2)[:, np.newaxis]
    nan = np.isnan(values)
    values = np.where((nan & (kind != _MISSING_NAN)) | (np.abs(values) <= _ZERO), 0, values)
    missing = np.where(kind == _MISSING_NAN, nan, (kind == _MISSING_ZERO) & (values == 0))
    default = (tree.decision & _DEFAULT_LEFT).astype(bool)[:, np.newaxis]
    return np.where(missing, default, values <= tree.threshold[:, np.newaxis])

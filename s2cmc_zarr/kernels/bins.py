"""Bins of histograms of reflectance."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError

Bins: TypeAlias = npt.ArrayLike | Literal["exact"] | None

QUANTIFICATION: Final = 10_000
"""Digital numbers per reflectance in Level-1C products."""
_PER_REFLECTANCE: Final = 200
_HIGHEST: Final = 2
"""Of reflectance, in the bins that are not the user's; the largest that was seen is 1.94."""


class BinEdges(NamedTuple):
    """Edges between the bins of a histogram, of which the first and the last bin have only one.

    Attributes
    ----------
    edges : tuple of float
        Increasing. A value that equals an edge is in the bin above it.
    uniform : tuple of float
        (scale, offset, first): the bin of a value is floor(value * scale + offset) - first, limited to the bins that
        there are. Scale 0: it has to be searched.
    """

    edges: tuple[float, ...]
    uniform: tuple[float, float, float]

    @property
    def lower(self) -> npt.NDArray[np.float64]:
        """Lower bounds, float64, shape (bin,); that of the first bin is minus infinity."""
        return np.array([-np.inf, *self.edges])

    @property
    def upper(self) -> npt.NDArray[np.float64]:
        """Upper bounds, float64, shape (bin,); that of the last bin is infinity."""
        return np.array([*self.edges, np.inf])


def bin_edges(bins: Bins = None) -> BinEdges:
    """Give the edges of the bins that are asked for.

    Parameters
    ----------
    bins : array_like, "exact" or None
        Edges of reflectance, increasing. ``"exact"``: one bin for each digital number of Level-1C products from 0 to
        20,000 (reflectance 0 to 2), so that nothing is lost of the bands of 20 m, whose values are whole digital
        numbers. None: 0 to 2 in steps of 0.005.

    Returns
    -------
    BinEdges

    Raises
    ------
    CatalogueError
        If the edges are not one or more increasing, finite numbers.
    """
    if bins is None:
        numbers = np.arange(_HIGHEST * _PER_REFLECTANCE + 1)
        return BinEdges(tuple((numbers / _PER_REFLECTANCE).tolist()), (float(_PER_REFLECTANCE), 0.0, -1.0))
    if isinstance(bins, str):
        if bins != "exact":
            raise CatalogueError(f"bins are {bins!r}, expected edges of reflectance, 'exact' or None")
        numbers = np.arange(_HIGHEST * QUANTIFICATION + 2)
        return BinEdges(tuple(((numbers - 0.5) / QUANTIFICATION).tolist()), (float(QUANTIFICATION), 0.5, -1.0))
    edges: npt.NDArray[Any] = np.asarray(bins)
    if edges.dtype.kind not in "iuf" or edges.ndim != 1 or not edges.size:
        raise CatalogueError(f"bins are {edges.dtype} of shape {edges.shape}, expected a list of edges of reflectance")
    edges = edges.astype(np.float64)
    if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise CatalogueError("the edges of bins must be finite and each larger than the one before")
    return BinEdges(tuple(edges.tolist()), (0.0, 0.0, 0.0))

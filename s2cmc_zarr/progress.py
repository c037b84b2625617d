"""Computing with a progress bar, on whichever Dask scheduler is active."""

from __future__ import annotations

from typing import Any

import distributed
from dask.base import compute as dask_compute
from dask.base import persist
from dask.diagnostics.progress import ProgressBar
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from s2cmc_zarr.errors import CatalogueError


def active_client() -> distributed.Client | None:
    """Give the `distributed.Client` that Dask would use now, if any."""
    try:
        return distributed.get_client()
    except ValueError:
        return None


def compute(*collections: Any, progress: bool = False) -> tuple[Any, ...]:
    """Compute Dask collections (delayed objects, arrays, xarray objects) in one go.

    Parameters
    ----------
    *collections
    progress : bool
        Whether to draw a bar on the terminal while computing.

    Returns
    -------
    tuple
        One result for each collection.

    Raises
    ------
    CatalogueError
        If the workers of a cluster died.
    """
    try:
        if progress and active_client() is not None:
            collections = persist(*collections)
            distributed.progress(*collections, notebook=False)
        elif progress:
            with ProgressBar(minimum=1.0):
                return tuple(dask_compute(*collections))
        return tuple(dask_compute(*collections))
    except (KilledWorker, FutureCancelledError) as error:
        raise CatalogueError(
            f"the workers of the Dask cluster died at their work ({str(error).splitlines()[0]}); a frequent cause is "
            "too little memory. Nothing that was finished is lost: run it again, with fewer threads a worker"
        ) from None

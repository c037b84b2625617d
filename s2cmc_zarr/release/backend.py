"""The xarray backend: ``xr.open_dataset(source, engine="s2cmc")``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint

from s2cmc_zarr import storage
from s2cmc_zarr.errors import CatalogueError, DefectWarning
from s2cmc_zarr.release import zenodo
from s2cmc_zarr.release.catalogue import OnDefect, Release, describe_defects, table_path
from s2cmc_zarr.release.dataset import chunk_by_scene, release_dataset
from s2cmc_zarr.release.tags import FILE_NAME


class ReleaseBackend(BackendEntrypoint):
    """Opens the published release of the Sentinel-2 Cloud Mask Catalogue."""

    description = "Sentinel-2 Cloud Mask Catalogue as released (zips or folders)"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "on_defect", "storage_options")

    def open_dataset(  # type: ignore[override]  # ours are keywords of our own, as xarray intends
        self,
        filename_or_obj: str | os.PathLike[str],
        *,
        drop_variables: str | Iterable[str] | None = None,
        on_defect: OnDefect = "raise",
        storage_options: Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Open a release; see `s2cmc_zarr.open_release` for the parameters."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            raise CatalogueError(f"a release is opened by its path or URL, not by {type(filename_or_obj).__name__}")
        source = os.fspath(filename_or_obj)
        release = Release.open(source, on_defect=on_defect, storage_options=storage_options).examine()
        if release.defects:
            warnings.warn(describe_defects(release.defects), DefectWarning, stacklevel=3)
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        return release_dataset(release).drop_vars(dropped, errors="ignore")

    def guess_can_open(self, filename_or_obj: object) -> bool:
        """Whether it is a local folder with the catalogue's tag table."""
        return isinstance(filename_or_obj, str | os.PathLike) and Path(filename_or_obj, FILE_NAME).is_file()


def open_release(
    source: str | os.PathLike[str],
    *,
    on_defect: OnDefect = "raise",
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Open the catalogue as released: a lazy Dataset, one Dask chunk a scene.

    Parameters
    ----------
    source : str or path
        The folder, at any fsspec URL, that holds ``classification_tags.csv`` and, each as a zip or as a folder,
        ``subscenes``, ``masks``, ``alt_masks``, ``shapefiles`` and ``thumbnails``. Zips are read in place. Whatever is
        missing is named in the attribute ``lacking``, and its variables are absent. Or ``zenodo:``, the published
        record, read over HTTP by ranges; or the tag table alone, a ``.csv`` file: a Dataset of coordinates.
    on_defect : {"raise", "skip", "mark"}
        What to do about scenes that contradict the published layout or the tag table. ``"raise"`` fails: ids, sizes and
        footprints when opening, masks when they are read. ``"skip"`` and ``"mark"`` read all masks now, warn, and leave
        such scenes out or keep them: what is wrong is said in the coordinate ``defects``, pixels without exactly one
        class are 255, arrays that are missing or unreadable are 255 or NaN. A subscene found to be damaged when
        it is read raises in any case.
    storage_options : mapping, optional
        For fsspec.

    Returns
    -------
    xarray.Dataset
        ``reflectance`` (scene, band, y, x) float32, ``mask`` and ``alt_mask`` (scene, y, x) uint8, ``thumbnail``
        (scene, ty, tx, rgb) uint8, backed by Dask; all coordinates in memory.

    Raises
    ------
    CatalogueError
        If the source is no release.
    DefectError
        See `on_defect`.

    Notes
    -----
    ``xarray.open_dataset(source, engine="s2cmc", chunks={})`` gives the same, with coordinates that Dask reads, too.
    Without ``chunks`` there is no Dask: arrays are read as a whole, in one thread, when their values are asked for.

    Examples
    --------
    >>> ds = open_release("/data/cloud_mask_catalogue")  # doctest: +SKIP
    >>> ds.isel(scene=ds.tags.sel(tag="snow/ice").values)  # doctest: +SKIP
    """
    dataset = xr.open_dataset(
        os.fspath(source), engine=ReleaseBackend, cache=False, on_defect=on_defect, storage_options=storage_options
    )
    for coordinate in dataset.coords.values():
        coordinate.variable.load()
    return chunk_by_scene(dataset)


def is_release(source: str, storage_options: Mapping[str, Any] | None = None) -> bool:
    """Whether a tag table lies at a URL, or the URL is that of a table."""
    fs, root = zenodo.open_source(source, storage_options)
    return root.endswith(".csv") or storage.exists(fs, table_path(root))

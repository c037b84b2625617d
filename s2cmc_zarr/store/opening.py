"""Opening a store: coordinates in memory, pixels lazy, one Dask chunk a scene."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
import zarr
from xarray.core import indexing
from zarr.abc.store import Store

from s2cmc_zarr.errors import CatalogueError, IncompleteStoreWarning
from s2cmc_zarr.release.backend import is_release, open_release
from s2cmc_zarr.release.catalogue import OnDefect
from s2cmc_zarr.release.dataset import chunk_by_scene
from s2cmc_zarr.schema import DIMS, DTYPES, SCHEMA_VERSION
from s2cmc_zarr.storage import surroundings
from s2cmc_zarr.store.objects import ROOT, connect, exists, get_json
from s2cmc_zarr.store.reading import ShardArray, codec_of
from s2cmc_zarr.store.records import read_records, record_coordinates

_OPTIONS = ("bands", "on_defect", "packed", "preset", "scene_size", "source_digests")
"""Attributes of every root: with which options, and from what, the store was converted."""


def root_attributes(store: Store) -> dict[str, Any] | None:
    """Attributes of the root, if this is a store of this package; None otherwise.

    Raises
    ------
    CatalogueError
        If the store has another schema version, or its root is damaged.
    """
    root = get_json(store, ROOT)
    if root is None and exists(store, ROOT):
        raise CatalogueError(
            f"{store}: its {ROOT} is damaged, expected JSON; copy the store again, or remove it and convert again"
        )
    attributes: Any = (root or {}).get("attributes")
    if not isinstance(attributes, dict) or "schema_version" not in attributes or "conversion" not in attributes:
        return None
    if attributes["schema_version"] != SCHEMA_VERSION:
        raise CatalogueError(
            f"the store has schema {attributes['schema_version']}, this version of s2cmc-zarr reads {SCHEMA_VERSION}"
        )
    complete = attributes["conversion"] == "complete"
    needed = _OPTIONS if complete else (*_OPTIONS, "planned_scenes")
    lost = [name for name in needed if name not in attributes]
    if lost or not (complete or attributes["conversion"] == "incomplete"):
        what = f"lacks {', '.join(lost)}" if lost else f"says that conversion is {attributes['conversion']!r}"
        raise CatalogueError(
            f"{store}: its {ROOT} is damaged and {what}; copy the store again, or remove it and convert again"
        )
    return attributes


def open_store(url: str | os.PathLike[str] | Store, *, storage_options: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Open a converted store: a lazy Dataset, one Dask chunk a scene.

    Parameters
    ----------
    url : str, path or zarr.abc.store.Store
        Where the store is, at any fsspec URL.
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
        If there is no such store, or its metadata or coordinates are damaged.

    Warns
    -----
    IncompleteStoreWarning
        If its conversion has not finished: scenes whose coordinate ``converted`` is false read as fill values.

    Examples
    --------
    >>> ds = open_store("catalogue.zarr")  # doctest: +SKIP
    >>> ds.reflectance.sel(band="B11").isel(scene=ds.tags.sel(tag="snow/ice").values)  # doctest: +SKIP
    """
    store = url if isinstance(url, Store) else connect(url, storage_options)
    attributes = root_attributes(store)
    if attributes is None:
        near = "" if isinstance(url, Store) else surroundings(os.fspath(url))
        raise CatalogueError(f"{url}: no store of the catalogue there; make one with s2cmc convert{near}")
    complete = attributes["conversion"] == "complete"
    laid_out = complete or bool(attributes.get("laid_out"))
    if laid_out:
        dataset = _open_arrays(store, consolidated=complete)
    else:
        dataset = xr.Dataset(coords={"scene": attributes["planned_scenes"]}, attrs=attributes)
    if not complete:
        dataset = record_coordinates(dataset, read_records(store) if laid_out else {})
        missing = dataset["scene"].values[~dataset["converted"].values]
        warnings.warn(
            f"the conversion to {url} has not finished: {missing.size} of {dataset.sizes['scene']} scenes are missing"
            + (f", the first is {missing[0]}" if missing.size else "")
            + "; run s2cmc convert again",
            IncompleteStoreWarning,
            stacklevel=2,
        )
    if laid_out:
        dataset = chunk_by_scene(_read_directly(dataset, store, consolidated=complete))
    if attributes.get("packed") and "reflectance" in dataset:
        dataset["reflectance"] = dataset["reflectance"].astype(DTYPES["reflectance"])
    return dataset


def _open_arrays(store: Store, *, consolidated: bool) -> xr.Dataset:
    """Open pixels lazily and read the coordinates, of which each that cannot be read is an error."""
    what = "metadata"
    # Or else, of a time that is damaged, xarray would ask for the package cftime.
    times = xr.coders.CFDatetimeCoder(use_cftime=False)
    try:
        # Without times and indexes nothing is read yet, so that below what cannot be read has a name.
        dataset = xr.open_dataset(
            store,  # type: ignore[arg-type]
            engine="zarr",
            chunks=None,
            cache=False,
            consolidated=consolidated,
            decode_times=False,
            create_default_indexes=False,
        )
        for name, variable in dataset.variables.items():
            if name not in DIMS:
                what = f"coordinate {name!r}"
                decoded = xr.conventions.decode_cf_variable(str(name), variable, decode_times=times)
                values = decoded.values
                if values.dtype.kind in "OT":
                    values = np.array(values.tolist(), dtype=str)
                dataset = dataset.assign_coords({name: xr.Variable(variable.dims, values, decoded.attrs)})
    except CatalogueError:
        raise
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise CatalogueError(
            f"{store}: its {what} cannot be read ({error}); copy the store again, or convert again with --overwrite "
            "(overwrite=True)"
        ) from None
    return dataset


def _read_directly(dataset: xr.Dataset, store: Store, *, consolidated: bool) -> xr.Dataset:
    """Read the arrays of pixels past Zarr, where their layout is known."""
    group = zarr.open_group(store, mode="r", use_consolidated=consolidated)
    for name in DIMS:
        array = group.get(name)
        if name in dataset and isinstance(array, zarr.Array) and (codec := codec_of(array)):
            variable = dataset[name].variable
            scenes = zip(dataset["scene"].values.tolist(), dataset[f"{name}_sha256"].values, strict=True)
            converted = {position: scene for position, (scene, digest) in enumerate(scenes) if digest}
            pixels = indexing.LazilyIndexedArray(ShardArray(store, array, codec, converted))
            dataset = dataset.assign({name: xr.Variable(variable.dims, pixels, variable.attrs, variable.encoding)})
    return dataset


def open_catalogue(
    url: str | os.PathLike[str],
    *,
    on_defect: OnDefect = "raise",
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Open a store, also one exported as a zip, or a release, whichever is there.

    See `open_store` and, for `on_defect`, `open_release`.
    """
    if is_release(os.fspath(url), storage_options):
        return open_release(url, on_defect=on_defect, storage_options=storage_options)
    return open_store(url, storage_options=storage_options)

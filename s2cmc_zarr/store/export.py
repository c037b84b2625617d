"""Exporting a store as one zip that Zarr reads in place."""

from __future__ import annotations

import itertools
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import DIMS
from s2cmc_zarr.store.objects import ROOT, connect, get_json
from s2cmc_zarr.store.opening import open_store, root_attributes
from s2cmc_zarr.store.shards import shard_key


def export_zip(
    store: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Write a complete store as one zip whose members are not compressed again, so that Zarr reads it in place.

    `open_store` and `verify` take its path, ``xarray.open_zarr`` takes a ``zarr.storage.ZipStore`` of it. The same
    store gives the same bytes, wherever it lies.

    Parameters
    ----------
    store : str or path
        At any fsspec URL.
    path : str or path
        The zip to write, with the suffix ``.zip``, on this machine. Until it is whole and read back, it is called
        ``.zip.partial``.
    storage_options : mapping, optional
        For fsspec, of the store.
    overwrite : bool
        Replace a file that is there.
    progress : bool
        Whether to draw a progress bar.

    Returns
    -------
    pathlib.Path
        The zip.

    Raises
    ------
    CatalogueError
        If the store is absent, incomplete or has lost a shard, the zip exists, or what was written does not read back.
    """
    target = Path(path)
    if "://" in os.fspath(path) or target.suffix != ".zip":
        raise CatalogueError(f"{path}: expected a local path that ends in .zip; a zip is exported here, then uploaded")
    if target.exists() and (target.is_dir() or not overwrite):
        raise CatalogueError(f"{target} exists; choose another name, or --overwrite (overwrite=True) to replace a file")
    source = connect(store, storage_options)
    attributes = root_attributes(source)
    if attributes is None:
        raise CatalogueError(f"{store}: no store of the catalogue there; make one with s2cmc convert")
    if attributes["conversion"] != "complete":
        raise CatalogueError(f"{store} is incomplete; run s2cmc convert again, then export it")
    converted, keys = _converted(source), _keys(source)
    with _partial(target) as partial:
        with zipfile.ZipFile(partial, "x", zipfile.ZIP_STORED) as archive:
            console = Console(stderr=True)
            for key in track(keys, "Exporting", console=console, disable=not progress, transient=True):
                buffer = sync(source.get(key, prototype=default_buffer_prototype()))
                if buffer is not None:
                    archive.writestr(_entry(key), buffer.to_bytes())
                elif key in converted:
                    raise CatalogueError(f"{store}: {key} is missing; see s2cmc verify, and convert again")
        with zipfile.ZipFile(partial) as archive:
            if damaged := archive.testzip():
                raise CatalogueError(f"{target}: {damaged} does not read back as written; check the disk")
    return target


def _keys(store: Store) -> list[str]:
    """Keys that a complete store may have, as its metadata say: not every storage can be listed.

    The root comes first, since readers begin there; then array by array its metadata and its chunks.
    """
    arrays = (get_json(store, ROOT) or {})["consolidated_metadata"]["metadata"]
    keys = [ROOT]
    for name, metadata in sorted(arrays.items()):
        chunk = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        grid = [range(-(-size // step)) for size, step in zip(metadata["shape"], chunk, strict=True)]
        places = ("/".join(map(str, ("c", *place))) for place in itertools.product(*grid))
        keys += [f"{name}/{ROOT}", *(f"{name}/{place}" for place in places)]
    return keys


def _converted(store: Store) -> set[str]:
    """Keys of the scenes' shards that a complete store must have."""
    dataset = open_store(store)
    return {
        shard_key(name, position, dataset[name].ndim)
        for name in DIMS
        if name in dataset
        for position, digest in enumerate(dataset[f"{name}_sha256"].values)
        if digest
    }


def _entry(key: str) -> zipfile.ZipInfo:
    """Name and constant attributes of a member: the time is the earliest that a zip can hold."""
    entry = zipfile.ZipInfo(key, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Give a name beside the target, which gets the target's own if all goes well and else is removed."""
    partial = target.with_name(f"{target.name}.partial")
    if partial.exists():
        raise CatalogueError(f"{partial} exists: another export is running, or was killed; if so, remove it")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)

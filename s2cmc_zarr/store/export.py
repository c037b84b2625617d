"""Exporting a store as one zip that Zarr reads in place."""

from __future__ import annotations

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
from s2cmc_zarr.store.objects import ROOT, connect, get_json
from s2cmc_zarr.store.opening import root_attributes


def export_zip(
    store: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Write a complete store as one zip whose members are not compressed again, so that Zarr reads it in place.

    `open_store` and `verify` take its path, ``xarray.open_zarr`` takes ``"zip::OUT.zarr.zip"``. The same store gives
    the same bytes, wherever it lies.

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
        If the store is absent or incomplete, the zip exists, or what was written does not read back.
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
    keys = _keys(source)
    with _partial(target) as partial:
        with zipfile.ZipFile(partial, "x", zipfile.ZIP_STORED) as archive:
            console = Console(stderr=True)
            for key in track(keys, "Exporting", console=console, disable=not progress, transient=True):
                buffer = sync(source.get(key, prototype=default_buffer_prototype()))
                if buffer is None:
                    raise CatalogueError(f"{store}: {key} was there and no longer is; is it being converted?")
                archive.writestr(_entry(key), buffer.to_bytes())
        with zipfile.ZipFile(partial) as archive:
            if damaged := archive.testzip():
                raise CatalogueError(f"{target}: {damaged} does not read back as written; check the disk")
    return target


def _keys(store: Store) -> list[str]:
    """Keys of a complete store's objects in the order of the zip: the root first, since readers begin there."""
    arrays = (get_json(store, ROOT) or {})["consolidated_metadata"]["metadata"]

    async def collect() -> list[str]:
        return [key async for key in store.list()]

    belonging = (key for key in sync(collect()) if key == ROOT or key.partition("/")[0] in arrays)
    own = (key for key in belonging if key.partition("/")[2].partition("/")[0] in ("", ROOT, "c"))
    return sorted(own, key=lambda key: (key != ROOT, key))


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

"""The objects of a store by key: the few operations that Zarr's synchronous interface does not have."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore

from s2cmc_zarr.errors import CatalogueError

ROOT = "zarr.json"


def connect(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None, *, read_only: bool = True
) -> Store:
    """Give the Zarr storage at a path or fsspec URL; nothing is read or created."""
    location = os.fspath(url)
    if "://" not in location or location.startswith("file://"):
        if storage_options:
            raise CatalogueError(f"storage options were given for the local path {location}, which takes none")
        return LocalStore(location.removeprefix("file://"), read_only=read_only)
    try:
        return FsspecStore.from_url(location, storage_options=dict(storage_options or {}), read_only=read_only)
    except (ImportError, ValueError) as error:
        raise CatalogueError(f"{location}: {error}") from None


def get_json(store: Store, key: str) -> dict[str, Any] | None:
    """Read an object as JSON; None if there is none, or if it was cut short."""
    try:
        buffer = sync(store.get(key, prototype=default_buffer_prototype()))
    except FileNotFoundError:  # a folder that does not exist, opened for reading
        return None
    if buffer is None:
        return None
    try:
        document: dict[str, Any] = json.loads(buffer.to_bytes())
    except ValueError:
        return None
    return document


def put_json(store: Store, key: str, document: Mapping[str, Any]) -> None:
    """Write an object as JSON, in one piece."""
    data = json.dumps(document, indent=2, allow_nan=False).encode()
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(data)))


def delete(store: Store, key: str) -> None:
    """Remove an object if it is there."""
    sync(store.delete(key))


def list_names(store: Store, prefix: str) -> list[str]:
    """List the names directly below a prefix."""

    async def collect() -> list[str]:
        return [name async for name in store.list_dir(prefix)]

    try:
        return sorted(sync(collect()))
    except FileNotFoundError:
        return []


def clear(store: Store) -> None:
    """Remove everything but the root's own metadata, by which a store that is half removed is still known as ours."""
    for name in list_names(store, ""):
        if name != ROOT:
            sync(store.delete_dir(name))

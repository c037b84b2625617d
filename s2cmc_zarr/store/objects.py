"""The objects of a store by key: the few operations that Zarr's synchronous interface does not have."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
import zipfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from zarr.abc.store import Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, ZipStore

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.store.remote import RemoteStore

ROOT = "zarr.json"
_PARTIAL = ".partial"
"""End of the name of a local file until it is whole, here as in Zarr."""
_AT_ONCE = 32
"""Requests for small objects."""


def connect(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None, *, read_only: bool = True
) -> Store:
    """Give the Zarr storage at a path or fsspec URL; nothing is created, and nothing read but the list of a zip.

    Parameters
    ----------
    url : str or path
        A folder, a URL, or a local ``.zip`` as made by `export_zip`, which is read-only in any case.
    storage_options : mapping, optional
        For fsspec; for S3 those of s3fs, although obstore is used.
    read_only : bool

    Raises
    ------
    CatalogueError
        If that is not how the place can be used.
    """
    location = os.fspath(url)
    if not location.startswith("file://") and ("://" in location or "::" in location):
        return RemoteStore.at(location, storage_options, read_only=read_only)
    if storage_options:
        raise CatalogueError(f"storage options were given for the local path {location}, which takes none")
    if not (place := location.removeprefix("file://")).strip():
        raise CatalogueError("the path of the store is empty; say . for the current folder")
    # Workers of a cluster may have another current directory.
    path = Path(place).absolute()
    if path.suffix != ".zip" and path.exists() and not path.is_dir():
        raise CatalogueError(f"{path} is a file, expected the folder of a store, one to be made, or a .zip")
    return _open_zip(path) if path.suffix == ".zip" else LocalStore(path, read_only=read_only)


def _open_zip(path: Path) -> ZipStore:
    if not path.is_file():
        raise CatalogueError(f"{path}: no such zip; one is made from a store by s2cmc export zip, not by converting")
    try:
        return sync(ZipStore.open(path, mode="r", read_only=True))
    except zipfile.BadZipFile as error:
        raise CatalogueError(f"{path} is not a whole zip archive ({error}); export or download it again") from None


def get_json(store: Store, key: str) -> dict[str, Any] | None:
    """Read an object as JSON; None if there is none, or if it is no JSON object, as one that was cut short."""
    return sync(_get_json(store, key))


def get_all_json(store: Store, keys: Iterable[str]) -> list[dict[str, Any] | None]:
    """Read objects as JSON, many at once; see `get_json`."""

    async def get_all() -> list[dict[str, Any] | None]:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def get(key: str) -> dict[str, Any] | None:
            async with limit:
                return await _get_json(store, key)

        return await asyncio.gather(*map(get, keys))

    return sync(get_all())


async def _get_json(store: Store, key: str) -> dict[str, Any] | None:
    try:
        buffer = await store.get(key, prototype=default_buffer_prototype())
    except FileNotFoundError:  # a folder that does not exist, opened for reading
        return None
    if buffer is None:
        return None
    try:
        document = json.loads(buffer.to_bytes())
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def exists(store: Store, key: str) -> bool:
    """Whether there is such an object."""
    return sync(store.exists(key))


def as_buffer(document: Mapping[str, Any]) -> Buffer:
    """Encode JSON as Zarr wants its objects."""
    return default_buffer_prototype().buffer.from_bytes(json.dumps(document, indent=2, allow_nan=False).encode())


def put_json(store: Store, key: str, document: Mapping[str, Any]) -> None:
    """Write an object as JSON, in one piece; see `put_parts`."""
    put_parts(store, key, [as_buffer(document).to_bytes()])


def put_parts(store: Store, key: str, parts: Collection[bytes]) -> None:
    """Write an object of several parts, so that it is there whole or not at all, also when the power fails."""
    if not isinstance(store, LocalStore):
        data = np.frombuffer(b"".join(parts), np.uint8)
        sync(store.set(key, default_buffer_prototype().buffer.from_array_like(data)))
        return
    # In this thread and without putting the parts together, which would copy a whole scene.
    path = store.root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
    try:
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def settle(store: Store) -> None:
    """Bring what was written without `put_parts` to the disk, too."""
    if isinstance(store, LocalStore):
        os.sync()


def copy(store: Store, key: str, new_key: str) -> bool:
    """Copy an object; whether there was one. Without one, remove what is at the new key."""
    buffer = sync(store.get(key, prototype=default_buffer_prototype()))
    if buffer is None:
        sync(store.delete(new_key))
        return False
    put_parts(store, new_key, [buffer.to_bytes()])
    return True


def copy_all(source: Store, target: Store, but: Collection[str] = ()) -> None:
    """Copy all objects of a store, but for some, to the same keys of another."""

    async def keys() -> list[str]:
        return [key async for key in source.list()]

    for key in sorted(sync(keys())):
        if key not in but and (buffer := sync(source.get(key, prototype=default_buffer_prototype()))) is not None:
            sync(target.set(key, buffer))


def delete(store: Store, key: str) -> None:
    """Remove an object if it is there."""
    sync(store.delete(key))


def delete_folder(store: Store, prefix: str) -> None:
    """Remove all objects below a prefix."""
    sync(store.delete_dir(prefix))


def list_names(store: Store, prefix: str) -> list[str]:
    """List the names directly below a prefix."""

    async def collect() -> list[str]:
        return [name async for name in store.list_dir(prefix)]

    try:
        return sorted(sync(collect()))
    except FileNotFoundError:
        return []


def whole_names(store: Store, prefix: str) -> list[str]:
    """As `list_names`, without what was being written when a run died."""
    return [name for name in list_names(store, prefix) if not name.endswith(_PARTIAL)]


def delete_partial(store: Store) -> None:
    """Remove what was being written directly below the root when a run died."""
    for name in list_names(store, ""):
        if name.endswith(_PARTIAL):
            delete(store, name)


def list_sizes(store: Store, prefix: str) -> dict[str, int]:
    """Bytes of all objects below a prefix, by key."""
    if isinstance(store, RemoteStore):
        return sync(store.list_sizes(prefix))
    if isinstance(store, ZipStore):
        with zipfile.ZipFile(store.path) as archive:
            return {member.filename: member.file_size for member in archive.infolist()}

    async def collect() -> dict[str, int]:
        return {key: await store.getsize(key) async for key in store.list_prefix(prefix)}

    return sync(collect())


def clear(store: Store, keep: Collection[str]) -> None:
    """Remove the objects of all folders, but for those of the keys to keep."""
    for folder in list_names(store, ""):
        for name in list_names(store, folder):
            key = f"{folder}/{name}"
            if key not in keep:
                (delete if name.endswith((".json", _PARTIAL)) else delete_folder)(store, key)

"""Stores that lie elsewhere: transient errors are tried again, and the others name the object."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from itertools import starmap
from typing import Any, Final, ParamSpec, TypeVar

from zarr.abc.store import ByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, WrapperStore

from s2cmc_zarr.errors import redact
from s2cmc_zarr.retrying import StorageError, attempt_async
from s2cmc_zarr.storage import connecting, file_system_options
from s2cmc_zarr.store.s3 import object_store

_turn: Final = asyncio.Lock()
"""Members of a zip are read in turn: side by side, some versions of Python read at wrong places (docs/store.md)."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class RemoteStore(WrapperStore[Store]):
    """A store at a URL in which transient errors are tried again, and the others are `StorageError` with the object.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Through which it is reached.
    url : str
        For messages.
    """

    def __init__(self, store: Store, url: str) -> None:
        super().__init__(store)
        self.url = url.rstrip("/")

    @classmethod
    def at(cls, url: str, storage_options: Mapping[str, Any] | None, *, read_only: bool) -> RemoteStore:
        """Give the store at an fsspec URL, in S3 through obstore where it can; nothing is read or created.

        Raises
        ------
        CatalogueError
            If there is no such file system, its package is not installed, or the URL contains a password.
        """
        options = file_system_options(url, storage_options)
        store: Store | None = None
        with connecting(url):
            if url.startswith(("s3://", "s3a://")):
                store = object_store(url, storage_options or {}, read_only=read_only)
            if store is None:
                store = FsspecStore.from_url(url, storage_options=options, read_only=read_only)
        return cls(store, url)

    def _with_store(self, store: Store) -> RemoteStore:
        return type(self)(store, self.url)

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({redact(self.url)!r})"

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """As `Store.get`; an answer longer than the range that was asked for is an error."""
        buffer = await self._attempt("read", key, self._store.get, key, prototype, byte_range)
        length = None
        if isinstance(byte_range, RangeByteRequest):
            length = byte_range.end - byte_range.start
        elif isinstance(byte_range, SuffixByteRequest):
            length = byte_range.suffix
        if buffer is not None and length is not None and len(buffer) > length:
            raise StorageError(
                f"cannot read {self.url}/{key}: the server does not give ranges of bytes; copy the store, or use a zip"
            )
        return buffer

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """As `Store.get_partial_values`."""
        return list(await asyncio.gather(*(self.get(key, prototype, within) for key, within in key_ranges)))

    async def exists(self, key: str) -> bool:
        """As `Store.exists`."""
        return await self._attempt("read", key, self._store.exists, key)

    async def set(self, key: str, value: Buffer) -> None:
        """As `Store.set`."""
        await self._attempt("write", key, self._store.set, key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """As `Store.set_if_not_exists`."""
        await self._attempt("write", key, self._store.set_if_not_exists, key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        await asyncio.gather(*starmap(self.set, values))

    async def delete(self, key: str) -> None:
        """As `Store.delete`."""
        await self._attempt("delete", key, self._store.delete, key)

    async def delete_dir(self, prefix: str) -> None:
        """As `Store.delete_dir`."""
        await self._attempt("delete", prefix, self._store.delete_dir, prefix)

    def list(self) -> AsyncIterator[str]:
        """As `Store.list`."""
        return self._listing("", self._store.list)

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """As `Store.list_prefix`."""
        return self._listing(prefix, self._store.list_prefix, prefix)

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """As `Store.list_dir`."""
        return self._listing(prefix, self._store.list_dir, prefix)

    async def list_sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of all objects below a prefix, by key: what a listing says, without a request for each."""

        async def collect() -> dict[str, int]:
            store: Any = self._store
            if isinstance(store, FsspecStore):
                paths = await store.fs._find(f"{store.path}/{prefix}", detail=True)
                return {path.removeprefix(f"{store.path}/"): found["size"] for path, found in paths.items()}
            return {found["path"]: found["size"] async for batch in store.store.list(prefix=prefix) for found in batch}

        return await self._attempt("list", prefix, collect)

    async def _listing(
        self,
        prefix: str,
        function: Callable[_Arguments, AsyncIterator[str]],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> AsyncIterator[str]:
        async def collect() -> tuple[str, ...]:
            return tuple([key async for key in function(*args, **kwargs)])

        for key in await self._attempt("list", prefix, collect):
            yield key

    async def _attempt(
        self,
        verb: str,
        key: str,
        function: Callable[_Arguments, Awaitable[_Result]],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        what = f"{verb} {self.url}/{key}".rstrip("/")
        try:
            async with _turn if self.url.startswith("zip::") else contextlib.nullcontext():
                return await attempt_async(what, function, *args, **kwargs)
        except FileNotFoundError:
            # Of an object that was only asked for, the store has said None.
            raise StorageError(f"cannot {what}: the bucket or folder is not there") from None

"""Storage at any fsspec URL: connecting, and reading by ranges."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import fsspec
from fsspec.asyn import sync
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem

from s2cmc_zarr.errors import PASSWORD, CatalogueError, suggestion
from s2cmc_zarr.retrying import StorageError, attempt, explain, status_of

SILENCE_SECONDS: Final = 30
"""A connection on which nothing arrives for so long has failed."""

_SHOWN: Final = 6
"""Names in a folder that a message repeats."""
_OBJECT_STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az"})


def open_file_system(
    url: str, storage_options: Mapping[str, Any] | None = None
) -> tuple[fsspec.AbstractFileSystem, str]:
    """Give the fsspec file system of a URL, and the path there; nothing is read.

    Raises
    ------
    CatalogueError
        If there is no such file system, its package is not installed, or the URL contains a password or no host.
    """
    options = file_system_options(url, storage_options)
    with connecting(url):
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises ValueError
        if parts.scheme in ("http", "https"):
            if not parts.hostname:
                raise ValueError("names no host")
            if parts.query:
                raise ValueError("has a query, expected the URL of a folder; a signature for one file opens no others")
        fs, path = fsspec.url_to_fs(url, **options)
    return fs, path


@contextlib.contextmanager
def connecting(url: str) -> Iterator[None]:
    """Make one `CatalogueError` of whatever fails while the file system of a URL is opened.

    Of chained URLs, such as ``zip::https://…``, the outer ones are read then.
    """
    try:
        yield
    except CatalogueError:
        raise
    except ImportError as error:
        raise CatalogueError(missing_package(url, error)) from None
    except (OSError, aiohttp.ClientError) as error:
        raise StorageError(f"cannot read {url}: {explain(error)}") from None
    except (ValueError, TypeError, zipfile.BadZipFile) as error:
        raise CatalogueError(f"{url}: {error}") from None


def file_system_options(url: str, storage_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add to a user's storage options what this package needs.

    Listings are not kept: other processes write to the same store. botocore does not retry, since `attempt` does.
    Of an HTTP connection not the length is bounded but the silence, and proxies of the environment are used.
    """
    if PASSWORD.search(url):
        raise CatalogueError("the URL contains a password, which would appear in messages; use storage options instead")
    options = dict(storage_options or {})
    protocol = url.partition("://")[0]
    if protocol in _OBJECT_STORES:
        options.setdefault("use_listings_cache", False)
    if protocol in ("s3", "s3a"):
        options["config_kwargs"] = {"retries": {"total_max_attempts": 1}} | dict(options.get("config_kwargs") or {})
    if protocol in ("http", "https"):
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_SECONDS, sock_read=SILENCE_SECONDS)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True} | dict(options.get("client_kwargs") or {})
    return options


def missing_package(url: str, error: ImportError) -> str:
    """Say what to install for a URL."""
    if url.startswith(("s3://", "s3a://")):
        return f"{url}: S3 needs packages that are not installed; pip install 's2cmc-zarr[s3]'"
    return f"{url}: {error}"


def surroundings(url: str) -> str:
    """Say, as the end of a sentence, what is at a local path or was perhaps meant; nothing about other URLs."""
    path = Path(url.removeprefix("file://"))
    if "::" in url or "://" in str(path):
        return ""
    try:
        if path.is_dir():
            names = sorted(child.name for child in path.iterdir())
            shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
            return f"; in it are {shown}" if names else "; it is empty"
        if path.exists():
            return "; it is a file"
        return "; there is no such path" + suggestion(str(path), map(str, path.parent.iterdir()))
    except OSError:
        return "; there is no such path"


def read(fs: fsspec.AbstractFileSystem, path: str, start: int | None = None, end: int | None = None) -> bytes:
    """Read a file, or its bytes from `start` to before `end`.

    Raises
    ------
    StorageError
        If it cannot be read, is not there, or lies on an HTTP server that does not give ranges.
    """
    try:
        if isinstance(fs, HTTPFileSystem) and start is not None and end is not None:
            data: bytes = attempt(f"read {path}", sync, fs.loop, _get_range, fs, path, start, end)
            return data
        return bytes(attempt(f"read {path}", fs.cat_file, path, start=start, end=end))
    except FileNotFoundError:
        raise StorageError(f"{path} is not there, or no longer") from None


def read_steps(path: str, start: int, end: int, step: int) -> Iterator[memoryview]:
    """Read the bytes of a local file from `start` to before `end`, as far as it goes, into one buffer again and again.

    Raises
    ------
    StorageError
        If it cannot be read or is not there.
    """
    buffer = memoryview(bytearray(step))
    try:
        with Path(path).open("rb", buffering=0) as file:
            file.seek(start)
            while read := file.readinto(buffer[: max(0, end - start)]):
                start += read
                yield buffer[:read]
    except FileNotFoundError:
        raise StorageError(f"{path} is not there, or no longer") from None


def size(fs: fsspec.AbstractFileSystem, path: str) -> int:
    """Bytes of a file.

    Raises
    ------
    FileNotFoundError
        If it is not there; if access is denied, or it is a pipe or a device, that is a `StorageError`.
    """
    info = attempt(f"read {path}", _info, fs, path)
    if info.get("type") == "other":
        raise StorageError(f"cannot read {path}: is no regular file")
    found: int | None = info["size"]
    if found is None:
        raise StorageError(f"cannot read {path}: the server does not say how large it is")
    return found


def exists(fs: fsspec.AbstractFileSystem, path: str) -> bool:
    """Whether there is such a file; unlike fsspec's own, not false where the server cannot be asked."""
    try:
        attempt(f"read {path}", _info, fs, path)
    except FileNotFoundError:
        return False
    return True


def open_raw(fs: fsspec.AbstractFileSystem, path: str) -> io.RawIOBase:
    """Open a file of which each read is one request; `FileNotFoundError` if it is not there."""
    return _RangeFile(fs, path, size(fs, path))


def find(fs: fsspec.AbstractFileSystem, path: str) -> dict[str, int]:
    """List all files below a folder, with their sizes; none, if it is not there or the file system has no folders.

    Of a local folder neither pipes and devices nor links to what is not there.
    """
    if isinstance(fs, HTTPFileSystem):
        return {}
    try:
        found: Mapping[str, Mapping[str, Any]] = attempt(f"list {path}", fs.find, path, detail=True)
    except FileNotFoundError:
        return {}
    local = isinstance(fs, LocalFileSystem)
    return {name: int(info["size"] or 0) for name, info in found.items() if not local or Path(name).is_file()}


class _RangeFile(io.RawIOBase):
    """A file of which each read is one request of that range."""

    def __init__(self, fs: fsspec.AbstractFileSystem, path: str, length: int) -> None:
        self._fs, self._path, self._length, self._position = fs, path, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._length)[whence]
        if self._position < 0:
            raise OSError(f"{self._path}: seek to before the file's start")
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._length)
        if end <= self._position:
            return 0
        data = read(self._fs, self._path, self._position, end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


async def _get_range(fs: HTTPFileSystem, url: str, start: int, end: int) -> bytes:
    """Get bytes `start` to before `end`; fsspec's own would read a whole file from a server that ignores ranges."""
    headers = {**fs.kwargs.get("headers", {}), "Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
    session = await fs.set_session()
    async with session.get(fs.encode_url(url), **{**fs.kwargs, "headers": headers}) as response:
        if response.status == 404:
            raise FileNotFoundError(url)
        response.raise_for_status()
        whole = start == 0 and (response.content_length or end + 1) <= end
        if response.status != 206 and not whole:
            # Leaving without reading closes the connection.
            raise StorageError(
                f"cannot read {url}: the server does not give ranges of bytes (status {response.status}, expected 206)"
                "; download the release and use the local copy"
            )
        data: bytes = await response.read()
    return data


def _info(fs: fsspec.AbstractFileSystem, path: str) -> Mapping[str, Any]:
    try:
        info: Mapping[str, Any] = fs.info(path)
    except NotADirectoryError:  # below what is a file, such as a zip
        raise FileNotFoundError(path) from None
    except FileNotFoundError as error:
        # fsspec takes every failure of an HTTP request for an absent file.
        if isinstance(error.__cause__, Exception) and status_of(error.__cause__) not in (404, 410):
            raise error.__cause__ from None
        raise
    return info

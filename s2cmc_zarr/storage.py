"""Storage at any fsspec URL: connecting, reading, and what may go wrong there.

Transient errors are tried again, with exponential backoff and jitter, for a minute in all; the others, and those that do
not pass, become one `StorageError` that says which object is concerned. Nothing here repeats options or credentials.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, ParamSpec, TypeVar

import aiohttp
import fsspec
import tenacity
from fsspec.asyn import sync
from fsspec.implementations.http import HTTPFileSystem

from s2cmc_zarr.errors import CatalogueError

RETRY_VARIABLE: Final = "S2CMC_RETRY_SECONDS"
"""Environment variable: for how long transient errors are tried again; 0 is not at all, the default is 60."""
SILENCE_SECONDS: Final = 30
"""A connection on which nothing arrives for so long has failed."""

_CLIENT_ERRORS: Final = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "obstore.exceptions": ("BaseError",),
    "gcsfs.retry": ("HttpError",),
    "azure.core.exceptions": ("AzureError",),
}
_TRANSIENT_CLIENT_ERRORS: Final = {
    "botocore.exceptions": ("HTTPClientError", "IncompleteReadError"),
    "azure.core.exceptions": ("ServiceRequestError", "ServiceResponseError"),
}
_TRANSIENT: Final = (
    ConnectionError,
    TimeoutError,
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    http.client.IncompleteRead,
)
_OBJECT_STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az"})
_PASSWORD: Final = re.compile(r"://[^/]*:[^/]*@")

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class StorageError(CatalogueError):
    """A file or object cannot be read or written: not reachable, not permitted, no longer there, no space left.

    It is no `OSError`, so that nobody takes it for a defect of what the file holds.
    """


def retry_seconds() -> float:
    """For how long transient errors are tried again, in seconds; see `RETRY_VARIABLE`."""
    text = os.environ.get(RETRY_VARIABLE, "60")
    try:
        return max(0.0, float(text))
    except ValueError:
        raise CatalogueError(f"{RETRY_VARIABLE} is {text!r}, expected a number of seconds") from None


def attempt(
    what: str, function: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """Call a function that uses storage; again, if it fails for a transient reason.

    Parameters
    ----------
    what : str
        For messages, e.g. ``"read bucket/masks.zip"``.
    function : callable
    *args, **kwargs
        Its arguments.

    Raises
    ------
    FileNotFoundError
        If the function does: only the caller knows whether what is absent is wanted.
    StorageError
        If it fails in any other way.
    """
    try:
        return tenacity.Retrying(**_policy())(function, *args, **kwargs)
    except FileNotFoundError:
        raise
    except _client_errors() as error:
        raise StorageError(f"cannot {what}: {explain(error)}") from None


async def attempt_async(
    what: str, function: Callable[_Arguments, Awaitable[_Result]], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """As `attempt`, for a coroutine function."""
    try:
        return await tenacity.AsyncRetrying(**_policy())(function, *args, **kwargs)
    except FileNotFoundError:
        raise
    except _client_errors() as error:
        raise StorageError(f"cannot {what}: {explain(error)}") from None


@contextlib.contextmanager
def naming(what: str) -> Iterator[None]:
    """Put what was being done, such as the scene, before the message of whatever fails in storage meanwhile.

    Raises
    ------
    StorageError
        For each `StorageError` and each error of the operating system or of a storage client.
    """
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{what}: {error}") from None
    except _client_errors() as error:
        raise StorageError(f"{what}: {explain(error)}") from None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later: no connection, no answer in time, an overloaded server."""
    status = _status(error)
    if status is not None:
        return status in (408, 425, 429) or (status >= 500 and status != 501)
    return isinstance(error, _TRANSIENT + _loaded(_TRANSIENT_CLIENT_ERRORS))


def explain(error: BaseException) -> str:
    """Say in a few words why a request failed, without anything of its headers, signature or query."""
    status = _status(error)
    kind = type(error).__name__
    if status in (401, 403) or kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return "access was denied; check the credentials and what they permit"
    if status is not None:
        return f"the server answered with status {status}" + _persistence(error)
    if isinstance(error, OSError) and error.errno is not None and error.strerror and not is_transient(error):
        return error.strerror + (f": {error.filename}" if error.filename else "")
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, PermissionError):
        return "access was denied; check the credentials and what they permit"
    # obstore tells how it tried, then why that failed, then the body of the answer.
    reason = str(error).partition("\n")[0].rpartition(" - ")[2].partition(": <")[0] or "no answer"
    return f"{reason} ({kind})" + _persistence(error)


def open_file_system(
    url: str, storage_options: Mapping[str, Any] | None = None
) -> tuple[fsspec.AbstractFileSystem, str]:
    """Give the fsspec file system of a URL, and the path there; nothing is read.

    Raises
    ------
    CatalogueError
        If there is no such file system, its package is not installed, or the URL contains a password.
    """
    try:
        fs, path = fsspec.url_to_fs(url, **file_system_options(url, storage_options))
    except (ImportError, ValueError, TypeError) as error:
        raise CatalogueError(_missing_package(url) if isinstance(error, ImportError) else f"{url}: {error}") from None
    return fs, path


def file_system_options(url: str, storage_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add to a user's storage options what this package needs.

    Listings are not kept: other processes write to the same store. botocore does not retry, since `attempt` does.
    Of an HTTP connection not the length is bounded but the silence, and proxies of the environment are used.
    """
    if _PASSWORD.search(url):
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


def read(fs: fsspec.AbstractFileSystem, path: str, start: int | None = None, end: int | None = None) -> bytes:
    """Read a file, or its bytes from `start` to before `end`.

    Raises
    ------
    StorageError
        If it cannot be read, is not there, or lies on an HTTP server that does not give ranges.
    """
    try:
        if isinstance(fs, HTTPFileSystem) and start is not None and end is not None:
            return attempt(f"read {path}", sync, fs.loop, _get_range, fs, path, start, end)
        return bytes(attempt(f"read {path}", fs.cat_file, path, start=start, end=end))
    except FileNotFoundError:
        raise StorageError(f"{path} is not there, or no longer") from None


def size(fs: fsspec.AbstractFileSystem, path: str) -> int:
    """Bytes of a file.

    Raises
    ------
    FileNotFoundError
        If it is not there; if access is denied, that is a `StorageError`.
    """
    found: int | None = attempt(f"read {path}", _info, fs, path)["size"]
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


def open_file(fs: fsspec.AbstractFileSystem, path: str) -> io.BufferedReader:
    """Open a file for reading here and there; `FileNotFoundError` if it is not there."""
    return io.BufferedReader(_RangeFile(fs, path, size(fs, path)), buffer_size=2**16)


def find(fs: fsspec.AbstractFileSystem, path: str) -> dict[str, int]:
    """List all files below a folder, with their sizes; none, if it is not there or the file system has no folders."""
    if isinstance(fs, HTTPFileSystem):
        return {}
    try:
        found: Mapping[str, Mapping[str, Any]] = attempt(f"list {path}", fs.find, path, detail=True)
    except FileNotFoundError:
        return {}
    return {name: int(info["size"] or 0) for name, info in found.items()}


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
                f"cannot read {url}: the server does not give ranges of bytes (status {response.status}, expected 206), "
                "so that the whole file would have to be read each time; download the release and use the local copy"
            )
        data: bytes = await response.read()
    return data


def _info(fs: fsspec.AbstractFileSystem, path: str) -> Mapping[str, Any]:
    try:
        info: Mapping[str, Any] = fs.info(path)
    except FileNotFoundError as error:
        # fsspec takes every failure of an HTTP request for an absent file.
        if isinstance(error.__cause__, Exception) and _status(error.__cause__) not in (404, 410):
            raise error.__cause__ from None
        raise
    return info


def _policy() -> dict[str, Any]:
    return {
        "retry": tenacity.retry_if_exception(is_transient),
        "wait": tenacity.wait_random_exponential(multiplier=0.2, max=10),
        "stop": tenacity.stop_before_delay(retry_seconds()),
        "reraise": True,
    }


def _persistence(error: BaseException) -> str:
    return f", also when tried again for {retry_seconds():g} s" if is_transient(error) else ""


def _client_errors() -> tuple[type[BaseException], ...]:
    return (OSError, aiohttp.ClientError, http.client.HTTPException, *_loaded(_CLIENT_ERRORS))


def _loaded(names: Mapping[str, tuple[str, ...]]) -> tuple[type[BaseException], ...]:
    """Classes of the modules that are in use: a client that was never imported raises nothing."""
    return tuple(getattr(sys.modules[module], name) for module in names if module in sys.modules for name in names[module])


def _status(error: BaseException) -> int | None:
    """HTTP status of an answer, as aiohttp, gcsfs and botocore give it; s3fs names botocore's error as the cause."""
    for candidate in (error, error.__cause__):
        for name in ("status", "status_code", "code"):
            if isinstance(value := getattr(candidate, name, None), int):
                return value
        response = getattr(candidate, "response", None)
        if isinstance(response, Mapping):
            value = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if isinstance(value, int):
                return value
    return None


def _missing_package(url: str) -> str:
    protocol = url.partition("://")[0]
    package = "'s2cmc-zarr[s3]'" if protocol in ("s3", "s3a") else f"the fsspec package for {protocol}://"
    return f"{protocol}:// needs a package that is not installed; pip install {package}"

"""One published file on its way from a web server to its verified place."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp

from s2cmc_zarr.errors import CatalogueError, DownloadWarning
from s2cmc_zarr.release.zenodo import PublishedFile, ZenodoFileSystem
from s2cmc_zarr.retrying import StorageError, attempt_async, is_transient

SUFFIX: Final = ".part"
_PAUSE: Final = 0.5
"""Seconds between a connection that broke off and the next."""
_BLOCK: Final = 2**22
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class Transfer:
    """A file that is fetched into ``<name>.part`` and gets its name when its MD5 is right.

    Parameters
    ----------
    fs : ZenodoFileSystem
    url : str
        Where it is served.
    path : pathlib.Path
        Where it is to be.
    file : PublishedFile
    advance : callable
        Told how many bytes more, or fewer, there are.
    """

    def __init__(
        self, fs: ZenodoFileSystem, url: str, path: Path, file: PublishedFile, advance: Callable[[int], None]
    ) -> None:
        self.fs, self.url, self.path, self.file, self.advance = fs, url, path, file, advance
        self.part = path.with_name(path.name + SUFFIX)

    async def run(self) -> None:
        """Fetch, verify, name; once more from the start if the bytes are wrong."""
        with self.part.open("ab", buffering=0) as part:
            self._lock(part)
            try:
                await self._fetch(part)
            finally:
                if os.fstat(part.fileno()).st_size == 0:
                    self.part.unlink()

    async def _fetch(self, part: Any) -> None:
        if await self._is_right(part):
            return
        warnings.warn(f"{self.url}: wrong bytes were received; fetched again", DownloadWarning, stacklevel=1)
        self._start_anew(part)
        if await self._is_right(part):
            return
        found = await md5_of(self.part)
        self._start_anew(part)
        raise CatalogueError(
            f"{self.url} is not the published file: its MD5 is {found}, also when fetched again, "
            f"expected {self.file.md5}"
        )

    async def _is_right(self, part: Any) -> bool:
        furthest = -1
        while not await attempt_async(f"download {self.url}", self._receive, part, furthest):
            furthest = max(furthest, length(self.part))
            await asyncio.sleep(_PAUSE)
        # Of what lies on the disk, which may be of several runs.
        if await md5_of(self.part) != self.file.md5:
            return False
        os.fsync(part.fileno())
        self.part.replace(self.path)
        return True

    async def _receive(self, part: Any, furthest: int) -> bool:
        """Receive what is missing; whether that is all, and if not, more than was ever there before."""
        start = length(self.part)
        if self.file.exact and start > self.file.size:
            self._start_anew(part)
            start = 0
        elif self.file.exact and start == self.file.size:
            return True
        # No If-Range: the MD5 says at the end whether the parts are of one file.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        session = await self.fs.set_session()
        async with session.get(self.fs.encode_url(self.url), headers=headers) as response:
            size = self._announced_size(response, start)
            if response.status == 416 and start:
                if size == start:
                    return True
                self._start_anew(part)
                return False
            response.raise_for_status()
            if self.file.exact and size not in (None, self.file.size):
                raise StorageError(f"{self.url} has {size:,} bytes, expected {self.file.size:,}; is it another file?")
            if start and response.status != 206:
                message = f"{self.url}: the server gives no ranges of bytes, so the file is fetched from its start"
                warnings.warn(message, DownloadWarning, stacklevel=1)
                self._start_anew(part)
            try:
                async for piece in response.content.iter_chunked(_BLOCK):
                    _write(part, piece)
                    self.advance(len(piece))
            except (OSError, aiohttp.ClientError) as error:
                if is_transient(error) and length(self.part) > max(start, furthest):
                    return False
                raise
        return size is None or length(self.part) >= size

    def _announced_size(self, response: aiohttp.ClientResponse, start: int) -> int | None:
        """Bytes of the whole file, as the answer says."""
        if response.status not in (206, 416):
            return response.content_length
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if response.status == 206 and (match is None or match[1] != str(start)):
            found = response.headers.get("Content-Range")
            raise StorageError(f"{self.url}: the server sent the range {found!r}, asked for was the one from {start}")
        return None if match is None or match[2] == "*" else int(match[2])

    def _lock(self, part: Any) -> None:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had the lock may have finished, and what is open here be the finished file.
            alone = self.part.exists() and os.path.samestat(os.fstat(part.fileno()), self.part.stat())
        except BlockingIOError:
            alone = False
        except OSError:  # some network file systems have no locks; the MD5 stands
            return
        if not alone:
            raise CatalogueError(f"{self.part}: another process is downloading this file; wait for it")

    def _start_anew(self, part: Any) -> None:
        self.advance(-length(self.part))
        part.truncate(0)


def length(path: Path) -> int:
    """Bytes of a file; 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write(file: Any, data: bytes) -> None:
    """Write all bytes to an unbuffered file, so that an error comes now and a killed process loses none."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


async def md5_of(path: Path, advance: Callable[[int], None] = lambda _: None) -> str:
    """MD5 of a file, as 32 hexadecimal digits."""
    digest = hashlib.md5(usedforsecurity=False)  # what Zenodo publishes
    with path.open("rb") as file:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            await asyncio.to_thread(digest.update, block)
            advance(len(block))
    return digest.hexdigest()

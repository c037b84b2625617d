"""Downloading the published files: resumed where it was interrupted, nothing under its name before its MD5 is right."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from s2cmc_zarr.errors import CatalogueError, DownloadWarning
from s2cmc_zarr.release import zenodo
from s2cmc_zarr.release.zenodo import PublishedFile, ZenodoFileSystem
from s2cmc_zarr.retrying import StorageError, attempt_async, is_transient

SUFFIX: Final = ".part"
CONNECTIONS: Final = 3
"""Files that are fetched at once, each through one connection: the largest, and the others beside it."""
_PAUSE: Final = 0.5
"""Seconds between a connection that broke off and the next."""
_BLOCK: Final = 2**22
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Download:
    """What `download` did.

    Attributes
    ----------
    fetched : tuple of str
        Files that were fetched and verified now.
    kept : tuple of str
        Files that were there and are the published ones.
    """

    fetched: tuple[str, ...]
    kept: tuple[str, ...]


def download(
    directory: str | os.PathLike[str],
    *,
    only: Iterable[str] | None = None,
    url: str | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Download:
    """Download the published files and verify them; nothing is unpacked.

    A file is fetched into ``<name>.part`` and gets its name once its MD5 is the published one. What is there of a
    ``.part`` is not fetched again. Three files are fetched at once; requests that fail for a passing reason are tried
    again, after the time that the server asks for.

    Parameters
    ----------
    directory : str or path
        A folder on this machine; made if it is not there.
    only : iterable of str, optional
        Names of files, such as ``"masks.zip"``; all seven by default.
    url : str, optional
        Folder at a web server that serves the same files, in place of Zenodo.
    overwrite : bool
        Replace files of these names that are not the published ones.
    progress : bool
        Whether to draw progress bars.

    Returns
    -------
    Download

    Raises
    ------
    CatalogueError
        If a name is none of the seven, a file is there and is another one, there is too little space on the disk, or
        files cannot be fetched or are not the published ones. Other files are fetched nevertheless.

    Warns
    -----
    DownloadWarning
        If a file is fetched from its start again.
    """
    if "://" in os.fspath(directory):
        raise CatalogueError(
            f"{os.fspath(directory)} is not a folder on this machine; to read the files without a copy, open or convert "
            f"{zenodo.SCHEME}"
        )
    files, base, folder = _choose(only), zenodo.address(url), Path(directory)
    fs = zenodo.file_system(base)
    folder.mkdir(parents=True, exist_ok=True)
    with _Bars(progress) as bars:
        kept, wrong = _run(fs.loop, _look(folder, files, bars))
        if wrong and not overwrite:
            raise CatalogueError(
                "\n".join([*wrong, "Move what is not published elsewhere, or choose overwrite=True (--overwrite)."])
            )
        missing = [file for file in files if file.name not in kept]
        if missing:
            missing = list(zenodo.as_listed(missing, zenodo.read_record(fs, base), base))
            _check_space(folder, missing)
            _run(fs.loop, _fetch_all(fs, base, folder, missing, bars))
    return Download(tuple(file.name for file in missing), tuple(kept))


def _choose(only: Iterable[str] | None) -> tuple[PublishedFile, ...]:
    if only is None:
        return zenodo.FILES
    known, wanted = {file.name for file in zenodo.FILES}, set(only)
    if unknown := sorted(wanted - known):
        raise CatalogueError(f"{unknown[0]!r} is no file of the catalogue; choose from: {', '.join(sorted(known))}")
    if not wanted:
        raise CatalogueError(f"no files are named; choose from: {', '.join(sorted(known))}")
    return tuple(file for file in zenodo.FILES if file.name in wanted)


async def _look(folder: Path, files: Sequence[PublishedFile], bars: _Bars) -> tuple[list[str], list[str]]:
    """Say which files are there and right, and what is wrong with others."""
    kept, wrong = [], []
    for file in files:
        path = folder / file.name
        if not path.exists():
            continue
        if not path.is_file():
            raise CatalogueError(f"{path} is there and is no file; move it elsewhere")
        found = await _md5(path, bars.add(f"{file.name}: MD5", path.stat().st_size))
        if found == file.md5:
            kept.append(file.name)
        else:
            wrong.append(f"{path} is not the published file: its MD5 is {found}, expected {file.md5}.")
    return kept, wrong


def _check_space(folder: Path, files: Iterable[PublishedFile]) -> None:
    needed = sum(max(0, file.size - _length(folder / (file.name + SUFFIX))) for file in files)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CatalogueError(
            f"{folder} has {free:,} bytes free, {needed:,} are needed; make room, choose another folder, or fewer "
            "files with only=... (--only)"
        )


async def _fetch_all(
    fs: ZenodoFileSystem, base: str, folder: Path, files: Sequence[PublishedFile], bars: _Bars
) -> None:
    bars.expect(files)
    slots = asyncio.Semaphore(CONNECTIONS)

    async def fetch(file: PublishedFile) -> None:
        async with slots:
            await _Transfer(fs, f"{base}/{file.name}", folder / file.name, file, bars).run()

    outcomes = await asyncio.gather(*map(fetch, files), return_exceptions=True)
    failures = [outcome for outcome in outcomes if outcome is not None]
    for failure in failures:
        if not isinstance(failure, CatalogueError):
            raise failure
    if failures:
        raise CatalogueError(
            "\n".join(
                [
                    f"{len(failures)} of {len(files)} files could not be downloaded:",
                    *(f"  {failure}" for failure in failures),
                    f"What was received is kept in {SUFFIX} files; download again to go on.",
                ]
            )
        )


class _Transfer:
    """One file on its way."""

    def __init__(self, fs: ZenodoFileSystem, url: str, path: Path, file: PublishedFile, bars: _Bars) -> None:
        self.fs, self.url, self.path, self.file = fs, url, path, file
        self.part = path.with_name(path.name + SUFFIX)
        self.advance = bars.add(file.name, file.size, counts=True)

    async def run(self) -> None:
        """Fetch, verify, name; once more from the start if the bytes are wrong."""
        with self.part.open("ab", buffering=0) as part:
            self._lock(part)
            self.advance(_length(self.part))
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
        found = await _md5(self.part)
        self._start_anew(part)
        raise CatalogueError(
            f"{self.url} is not the published file: its MD5 is {found}, also when fetched again, "
            f"expected {self.file.md5}"
        )

    async def _is_right(self, part: Any) -> bool:
        furthest = -1
        while not await attempt_async(f"download {self.url}", self._receive, part, furthest):
            furthest = max(furthest, _length(self.part))
            await asyncio.sleep(_PAUSE)
        # Of what lies on the disk, which may be of several runs.
        if await _md5(self.part) != self.file.md5:
            return False
        os.fsync(part.fileno())
        self.part.replace(self.path)
        return True

    async def _receive(self, part: Any, furthest: int) -> bool:
        """Receive what is missing; whether that is all, and if not, more than was ever there before."""
        start = _length(self.part)
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
                if is_transient(error) and _length(self.part) > max(start, furthest):
                    return False
                raise
        return size is None or _length(self.part) >= size

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
        self.advance(-_length(self.part))
        part.truncate(0)


class _Bars:
    """A progress bar for each file and one for all; none unless wanted."""

    def __init__(self, wanted: bool) -> None:
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        self._progress = Progress(TextColumn("{task.description}"), *columns, console=console, disable=not wanted)
        self._all: TaskID | None = None

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def expect(self, files: Sequence[PublishedFile]) -> None:
        """Add the bar for all files."""
        self._all = self._progress.add_task("all files", total=sum(file.size for file in files))

    def add(self, name: str, size: int, *, counts: bool = False) -> Callable[[int], None]:
        """Add a bar; what is given advances it by some bytes and, if it counts, the one for all files."""
        bar = self._progress.add_task(name, total=size)

        def advance(length: int) -> None:
            self._progress.advance(bar, length)
            if counts and self._all is not None:
                self._progress.advance(self._all, length)

        return advance


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _write(file: Any, data: bytes) -> None:
    """Write all bytes to an unbuffered file, so that an error comes now and a killed process loses none."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


async def _md5(path: Path, advance: Callable[[int], None] = lambda _: None) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # what Zenodo publishes
    with path.open("rb") as file:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            await asyncio.to_thread(digest.update, block)
            advance(len(block))
    return digest.hexdigest()


def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Wait for what fsspec's loop does; unlike `fsspec.asyn.sync`, Ctrl-C also ends it there."""
    ended = threading.Event()

    async def main() -> _Result:
        try:
            return await work
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(main(), loop)
    try:
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        ended.wait(5)
        raise

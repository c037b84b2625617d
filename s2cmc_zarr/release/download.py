"""Downloading the published files: resumed where it was interrupted, nothing under its name before its MD5 is right."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

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

from s2cmc_zarr.choices import split_names
from s2cmc_zarr.errors import CatalogueError, suggestion
from s2cmc_zarr.release import zenodo
from s2cmc_zarr.release.transfer import SUFFIX, Transfer, length, md5_of
from s2cmc_zarr.release.zenodo import PublishedFile, ZenodoFileSystem

CONNECTIONS: Final = 3
"""Files that are fetched at once, each through one connection: the largest, and the others beside it."""

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
    only: str | Iterable[str] | None = None,
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
    only : str or iterable of str, optional
        Names of files, such as ``"masks.zip"``, as a string separated by commas or white space; all seven by default.
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
            f"{os.fspath(directory)} is not a folder on this machine; "
            f"to read the files without a copy, open or convert {zenodo.SCHEME}"
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


def _choose(only: str | Iterable[str] | None) -> tuple[PublishedFile, ...]:
    if only is None:
        return zenodo.FILES
    known, wanted = {file.name for file in zenodo.FILES}, set(split_names(only))
    if unknown := sorted(wanted - known):
        raise CatalogueError(
            f"{unknown[0]!r} is no file of the catalogue; choose from: {', '.join(sorted(known))}"
            + suggestion(unknown[0], known)
        )
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
        found = await md5_of(path, bars.add(f"{file.name}: MD5", path.stat().st_size))
        if found == file.md5:
            kept.append(file.name)
        else:
            wrong.append(f"{path} is not the published file: its MD5 is {found}, expected {file.md5}.")
    return kept, wrong


def _check_space(folder: Path, files: Iterable[PublishedFile]) -> None:
    needed = sum(max(0, file.size - length(folder / (file.name + SUFFIX))) for file in files)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CatalogueError(
            f"{folder} has {free:,} bytes free, {needed:,} are needed; make room, choose another folder, or fewer "
            "files with only=... (--only)"
        )


async def _fetch_all(
    fs: ZenodoFileSystem, base: str, folder: Path, files: Sequence[PublishedFile], bars: _Bars
) -> None:
    there = {file.name: length(folder / (file.name + SUFFIX)) for file in files}
    bars.expect(sum(file.size for file in files), sum(there.values()))
    slots = asyncio.Semaphore(CONNECTIONS)

    async def fetch(file: PublishedFile) -> None:
        async with slots:
            advance = bars.add(file.name, file.size, there[file.name], counts=True)
            await Transfer(fs, f"{base}/{file.name}", folder / file.name, file, advance).run()

    outcomes = await asyncio.gather(*map(fetch, files), return_exceptions=True)
    failures = [outcome for outcome in outcomes if outcome is not None]
    for failure in failures:
        if not isinstance(failure, CatalogueError):
            raise failure
    if failures:
        lines = [f"{len(failures)} of {len(files)} files could not be downloaded:"]
        lines += [f"  {failure}" for failure in failures]
        if any((folder / (file.name + SUFFIX)).exists() for file in files):
            lines.append(f"What was received is kept in {SUFFIX} files; download again to go on.")
        raise CatalogueError("\n".join(lines))


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

    def expect(self, size: int, there: int) -> None:
        """Add the bar for all files."""
        self._all = self._progress.add_task("all files", total=size, completed=there)

    def add(self, name: str, size: int, there: int = 0, *, counts: bool = False) -> Callable[[int], None]:
        """Add a bar; what is given advances it by some bytes and, if it counts, the one for all files."""
        bar = self._progress.add_task(name, total=size, completed=there)

        def advance(length: int) -> None:
            self._progress.advance(bar, length)
            if counts and self._all is not None:
                self._progress.advance(self._all, length)

        return advance


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

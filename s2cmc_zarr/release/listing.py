"""Listing the members of a component of the release: of its folder, and of its zip by the zip's central directory."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Iterator
from typing import Final

import fsspec

from s2cmc_zarr import storage
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.archive import LOCAL_HEADER, Member

_DIRECTORY: Final = 16 * 2**20
"""Bytes of a zip's central directory; that of 513 members takes 70 thousand."""
_NAME_AND_EXTRA: Final = 2 * (2**16 - 1)
"""Bytes that may follow a local header before the data."""


def list_members(fs: fsspec.AbstractFileSystem, root: str, component: str) -> dict[str, Member] | None:
    """List a component of the release, from its zip, its folder or both.

    Returns
    -------
    dict of str to Member, or None
        By file name, sorted; None if neither the zip nor the folder is there.

    Raises
    ------
    CatalogueError
        If the zip is damaged, or a file is there twice.
    """
    prefix = f"{root}/" if root else ""
    in_zip = _list_zip(fs, f"{prefix}{component}.zip")
    in_folder = _list_folder(fs, f"{prefix}{component}")
    if in_zip is None and in_folder is None:
        return None
    named: dict[str, list[Member]] = {}
    for member in [*(in_folder or ()), *(in_zip or ())]:
        if not member.file_name.startswith("."):
            named.setdefault(member.file_name, []).append(member)
    if doubles := [members for members in named.values() if len(members) > 1]:
        first, second = (member.place for member in doubles[0][:2])
        raise CatalogueError(
            f"{component}: {len(doubles)} file(s) are there twice, the first as {first} and as {second}; "
            "expected one: remove one, or move it elsewhere"
        )
    return {name: member for name, (member,) in sorted(named.items())}


def _list_folder(fs: fsspec.AbstractFileSystem, path: str) -> list[Member] | None:
    component = path.rpartition("/")[2]
    members = [
        Member(path=name, name=f"{component}/{name.rpartition('/')[2]}", size=size)
        for name, size in storage.find(fs, path).items()
    ]
    return members or None


def _list_zip(fs: fsspec.AbstractFileSystem, path: str) -> list[Member] | None:
    try:
        file = _ArchiveFile(storage.open_raw(fs, path), buffer_size=2**16)
    except FileNotFoundError:
        return None
    try:
        with file, zipfile.ZipFile(file) as archive:
            entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
            starts = [*(entry.header_offset for entry in entries), archive.start_dir]
    except (zipfile.BadZipFile, EOFError, struct.error, UnicodeDecodeError, NotImplementedError) as error:
        raise CatalogueError(f"{path} is not a whole zip archive ({error}); download it again") from None
    # As a folder without files, a zip without members is no component.
    return list(_check_entries(path, entries, starts[1:])) or None


class _ArchiveFile(io.BufferedReader):
    """A zip of which no more than a central directory is read at a time, whatever length it claims to have."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As `io.BufferedReader.read`."""
        if size is not None and size > _DIRECTORY:
            raise zipfile.BadZipFile(f"its list of members has {size:,} bytes, expected at most {_DIRECTORY:,}")
        return super().read(size)


def _check_entries(path: str, entries: Iterable[zipfile.ZipInfo], nexts: Iterable[int]) -> Iterator[Member]:
    """Give the members, each of which must end before the next one, or the central directory, begins."""
    for entry, after in zip(entries, nexts, strict=True):
        start, least = entry.header_offset, LOCAL_HEADER.size + entry.compress_size
        problem = None
        if start < 0 or start + least > after:
            problem = f"claims the bytes from {start:,} to {start + least:,}, but the next part begins at {after:,}"
        elif entry.is_dir() or entry.filename.startswith("__MACOSX/"):
            continue
        elif entry.flag_bits & 0x1:
            problem = "is encrypted"
        elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            problem = f"has compression method {entry.compress_type}, expected 0 (stored) or 8 (deflated)"
        # Deflate stores what it cannot shrink at a cost of 5 bytes in 16 kB: more is not a deflated member.
        elif entry.compress_size > entry.file_size + entry.file_size // 1000 + 1024:
            problem = f"claims {entry.compress_size:,} compressed bytes for {entry.file_size:,}"
        if problem:
            raise CatalogueError(f"{path}: member {entry.filename!r} {problem}; download the archive again")
        yield Member(
            path=path,
            name=entry.filename,
            size=entry.file_size,
            offset=start,
            # What else lies before the next member may be any number of bytes.
            end=min(after, start + least + _NAME_AND_EXTRA),
            compressed_size=entry.compress_size,
            method=entry.compress_type,
            crc=entry.CRC,
        )

"""Members of the release, read in place: files in a folder, or byte ranges of a zip, at any fsspec URL."""

from __future__ import annotations

import hashlib
import itertools
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem
from isal import isal_zlib

from s2cmc_zarr import storage
from s2cmc_zarr.errors import DefectError
from s2cmc_zarr.retrying import naming

LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")
_InflateError: Final = cast("type[Exception]", isal_zlib.error)
_STEP: Final = 2**16
"""Bytes that are read, and at most inflated, at a time: they stay in the cache of a core, and glibc takes memory for
them from what was freed before, where it asks the system for 128 KiB or more (and Dask's workers give it back)."""
_SPAN: Final = 64 * 2**20
"""A zip up to this size is read in one request when many of its members are wanted."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the release.

    Attributes
    ----------
    path : str
        Path, on the release's file system, of the file or of the zip that holds it.
    name : str
        Name inside the release, e.g. ``masks/<scene>.npy``; for messages and look-ups, never a path to write to.
    size : int
        Bytes, once inflated.
    offset, end : int or None
        Byte range of the zip that holds the member's local header and data; None for a file of its own.
    compressed_size, method, crc : int
        As the zip's central directory says.
    """

    path: str
    name: str
    size: int
    offset: int | None = None
    end: int | None = None
    compressed_size: int = 0
    method: int = zipfile.ZIP_STORED
    crc: int = 0

    @property
    def file_name(self) -> str:
        """Name without folders."""
        return self.name.rpartition("/")[2]

    @property
    def place(self) -> str:
        """Where it lies, for messages."""
        return self.path if self.offset is None else f"{self.name} in {self.path}"

    @property
    def stem(self) -> str:
        """Name without folders and without the last suffix."""
        return self.file_name.rpartition(".")[0]

    @property
    def suffix(self) -> str:
        """Last suffix in lower case, with its dot."""
        return "." + self.name.rpartition(".")[2].lower()

    def read(self, fs: fsspec.AbstractFileSystem, limit: int) -> bytes:
        """Give the member's bytes, inflated and checked against the zip's CRC-32.

        Parameters
        ----------
        fs : fsspec.AbstractFileSystem
        limit : int
            The most bytes that the member may have; a larger one is refused before memory is taken.

        Raises
        ------
        DefectError
            If the member is larger than `limit`, truncated or damaged.
        StorageError
            If it cannot be read.
        """
        return b"".join(self.pieces(fs, limit))

    def pieces(self, fs: fsspec.AbstractFileSystem, limit: int) -> Iterator[bytes]:
        """Give the member's bytes in pieces of up to 64 KiB, as `read`; damage that only its end shows is raised there.

        A local file is read as it is consumed, any other in one request.
        """
        if self.size > limit:
            raise DefectError(f"{self.name}: {self.size:,} bytes, expected at most {limit:,}")
        if self.offset is not None:
            yield from self._inflate(self._spans(fs))
            return
        size = 0
        for span in self._spans(fs):
            size += len(span)
            yield bytes(span)
        if size != self.size:
            raise DefectError(f"{self.name}: {size:,} bytes, {self.size:,} when listed; it is being changed")

    def head(self, fs: fsspec.AbstractFileSystem, length: int) -> bytes:
        """Give the member's first bytes, at most `length`, reading little more than them."""
        if self.offset is None:
            return self._fetch(fs, 0, length)
        # Room for the local header's name and extra field and for deflate's block header.
        end = min(self.end or 0, self.offset + length + 2048)
        raw = memoryview(self._fetch(fs, self.offset, end))
        deflated = raw[self._data_start(raw) :]
        if self.method == zipfile.ZIP_STORED:
            return bytes(deflated[:length])
        try:
            return bytes(isal_zlib.decompressobj(-15).decompress(deflated, length))
        except _InflateError as error:
            raise DefectError(f"{self.name}: cannot be inflated ({error}); download {self.path} again") from None

    def _fetch(self, fs: fsspec.AbstractFileSystem, start: int | None = None, end: int | None = None) -> bytes:
        with naming(self.name):
            return storage.read(fs, self.path, start, end)

    def _spans(self, fs: fsspec.AbstractFileSystem) -> Iterator[memoryview]:
        if not isinstance(fs, LocalFileSystem):
            yield from _steps(memoryview(self._fetch(fs, self.offset, self.end)))
            return
        # One byte more than was listed shows that a file has grown.
        start, end = self.offset or 0, self.end or self.size + 1
        with naming(self.name):
            yield from storage.read_steps(self.path, start, end, _STEP)

    def _data_start(self, raw: memoryview) -> int:
        if len(raw) < LOCAL_HEADER.size or bytes(raw[:4]) != b"PK\x03\x04":
            raise DefectError(f"{self.name}: no member starts at byte {self.offset} of {self.path}; download it again")
        header = LOCAL_HEADER.unpack(raw[: LOCAL_HEADER.size])
        return int(LOCAL_HEADER.size + header[9] + header[10])

    def _inflate(self, spans: Iterator[memoryview]) -> Iterator[bytes]:
        """Inflate the spans of the member's range, of which the first holds the local header, and check the whole."""
        first = next(spans, memoryview(b""))
        data = itertools.chain([first[self._data_start(first) :]], spans)
        inflater = None if self.method == zipfile.ZIP_STORED else isal_zlib.decompressobj(-15)
        missing, size, crc = self.compressed_size, 0, 0
        for span in data:
            deflated = span[:missing]
            missing -= len(deflated)
            for piece in self._inflate_span(inflater, deflated):
                size += len(piece)
                crc = isal_zlib.crc32(piece, crc)
                if size <= self.size:
                    yield piece
        if missing:
            raise DefectError(
                f"{self.name}: {self.compressed_size - missing:,} bytes in {self.path}, "
                f"expected {self.compressed_size:,}; download it again"
            )
        if size != self.size:
            raise DefectError(f"{self.name}: does not inflate to the {self.size:,} bytes that {self.path} announces")
        if crc != self.crc:
            raise DefectError(f"{self.name}: its CRC-32 is not the one in {self.path}; download it again")

    def _inflate_span(self, inflater: Any, deflated: memoryview) -> Iterator[bytes]:
        if inflater is None:
            yield bytes(deflated)
            return
        rest: bytes | memoryview = deflated
        piece = b""
        # What did not fit into the last piece may be in the inflater, all its input consumed.
        while rest or len(piece) == _STEP:
            try:
                piece = inflater.decompress(rest, _STEP)
            except _InflateError as error:
                raise DefectError(f"{self.name}: cannot be inflated ({error}); download {self.path} again") from None
            if not piece and len(inflater.unconsumed_tail) == len(rest):
                return  # The deflated stream ended before its bytes did.
            rest = inflater.unconsumed_tail
            yield piece


def _steps(span: memoryview) -> Iterator[memoryview]:
    return (span[first : first + _STEP] for first in range(0, len(span), _STEP))


class Reader:
    """Reads members, each zip of up to 64 MiB in one request: for the many small members of a component."""

    def __init__(self, fs: fsspec.AbstractFileSystem, members: Iterable[Member]) -> None:
        self.fs = fs
        ends: dict[str, int] = {}
        for member in members:
            if member.end is not None:
                ends[member.path] = max(ends.get(member.path, 0), member.end)
        self._spans = {path: storage.read(fs, path, 0, end) for path, end in ends.items() if end <= _SPAN}

    def read(self, member: Member, limit: int) -> bytes:
        """As `Member.read`."""
        span = self._spans.get(member.path)
        if span is None or member.size > limit:
            return member.read(self.fs, limit)
        return b"".join(member._inflate(_steps(memoryview(span)[member.offset : member.end])))


def fingerprint(members: Iterable[Member]) -> str:
    """Digest what a listing knows: name, size and, for members of a zip, CRC-32 of every member.

    Returns
    -------
    str
        ``zip``, ``folder`` or ``both``, a colon and a SHA-256; only those of one kind can be compared.
    """
    members = sorted(members, key=lambda member: member.file_name)
    kinds = {member.offset is None for member in members}
    kind = "both" if len(kinds) == 2 else "folder" if True in kinds else "zip"
    digest = hashlib.sha256()
    for member in members:
        crc = "" if member.offset is None else f"{member.crc:08x}"
        digest.update(f"{member.file_name}\0{member.size}\0{crc}\n".encode())
    return f"{kind}:{digest.hexdigest()}"

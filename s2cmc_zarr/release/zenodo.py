"""Zenodo record 4172871: its seven files as published, where they are served, and the release read from there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.http import HTTPFileSystem

from s2cmc_zarr import storage
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release import tags
from s2cmc_zarr.retrying import StorageError, attempt

SCHEME: Final = "zenodo:"
RECORD: Final = "4172871"
URL_VARIABLE: Final = "S2CMC_ZENODO_URL"
"""Environment variable: folder at a web server that serves the files, in place of Zenodo's own."""

_HOST: Final = "https://zenodo.org"
_FOLDER: Final = f"/records/{RECORD}/files"
_DOWNLOAD: Final = "?download=1"


class PublishedFile(NamedTuple):
    """A file of the record.

    `size` is in bytes; where not `exact` it was published rounded, and only the record says it exactly.
    """

    name: str
    md5: str
    size: int
    exact: bool = True


FILES: tuple[PublishedFile, ...] = (
    PublishedFile("subscenes.zip", "0ad1de0ebeaff529782f456cad2e966f", 15_197_196_473),
    PublishedFile("thumbnails.zip", "ac054a7940e0680e768bdd824e0ee8af", 145_900_000, exact=False),
    PublishedFile("masks.zip", "c955efe74c52d07f8e8bb02d5143e182", 7_200_000, exact=False),
    PublishedFile("README.pdf", "48fb6afa0195a3736d4ce122d007be36", 1_900_000, exact=False),
    PublishedFile("shapefiles.zip", "3ed79b74eb84431e68f764457b1f00ac", 1_500_000, exact=False),
    PublishedFile("alt_masks.zip", "0140a8b500d85cc8553ec8ba0a304bde", 1_100_000, exact=False),
    PublishedFile(tags.FILE_NAME, tags.PUBLISHED_MD5, 77_940),
)
"""The seven files, the largest first. What the MD5 is not of is not the published file."""


class ZenodoFileSystem(HTTPFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Files of a record over HTTP, at the addresses from which Zenodo serves their bytes.

    Parameters
    ----------
    sizes : mapping of str to int, optional
        What the record lists: names, and sizes in bytes. Nothing else is there, and no file has another size.
    **options
        Those of `fsspec.implementations.http.HTTPFileSystem`.
    """

    def __init__(self, *args: Any, sizes: Mapping[str, int] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sizes = sizes

    def encode_url(self, url: str) -> Any:
        """Add what makes Zenodo send the file itself."""
        # Its own record and API have addresses without it.
        return super().encode_url(url if "/api/" in url else url + _DOWNLOAD)

    async def _info(self, url: str, **kwargs: Any) -> dict[str, Any]:
        name = url.rpartition("/")[2]
        if self._sizes is not None and name not in self._sizes:
            raise FileNotFoundError(url)
        info: dict[str, Any] = await super()._info(url, **kwargs)
        if self._sizes is not None and info["size"] not in (None, self._sizes[name]):
            raise StorageError(f"{url} has {info['size']:,} bytes, but the record lists {self._sizes[name]:,}")
        return info


def address(url: str | None = None) -> str:
    """URL of the folder that serves the files: what is given, or the environment variable, or Zenodo's own.

    Raises
    ------
    CatalogueError
        If it is not at a web server.
    """
    base = url or os.environ.get(URL_VARIABLE) or _HOST + _FOLDER
    if not base.startswith(("https://", "http://")):
        raise CatalogueError(f"{base} is not at a web server, expected https://… of the folder that has the files")
    if urlsplit(base).query:
        raise CatalogueError(f"{base.partition('?')[0]}?… has a query, expected the URL of a folder")
    return base.rstrip("/")


def file_system(
    base: str, storage_options: Mapping[str, Any] | None = None, sizes: Mapping[str, int] | None = None
) -> ZenodoFileSystem:
    """Give the file system for a folder that serves the files."""
    return ZenodoFileSystem(sizes=sizes, **storage.file_system_options(base, storage_options))


def open_source(source: str, storage_options: Mapping[str, Any] | None = None) -> tuple[fsspec.AbstractFileSystem, str]:
    """Give the file system of a release, and the path there, where ``zenodo:`` is the record itself.

    The files' MD5 cannot be checked without reading all of them. So Zenodo's own record must list the MD5 that this
    package knows, and each answer must have the size that is listed; members of zips have their CRC-32.

    Raises
    ------
    CatalogueError
        If the URL is wrong, or the record is not the published one.
    """
    if not source.strip():
        raise CatalogueError("the path of the release is empty; say . for the current folder")
    if not source.startswith(SCHEME):
        return storage.open_file_system(source, storage_options)
    if source.removeprefix(SCHEME).strip("/") not in ("", RECORD):
        raise CatalogueError(f"{source} is not the catalogue; expected {SCHEME} for record {RECORD}")
    base = address()
    record = read_record(file_system(base, storage_options), base)
    if base == _HOST + _FOLDER:
        as_listed(FILES, record, base)
    sizes = None if record is None else {file.name: file.size for file in record}
    return file_system(base, storage_options, sizes), base


def read_record(fs: ZenodoFileSystem, base: str) -> tuple[PublishedFile, ...] | None:
    """Read which files a record lists.

    Returns
    -------
    tuple of PublishedFile, or None
        None if the folder is not that of a record at Zenodo's paths, as a plain copy of the files is not.

    Raises
    ------
    CatalogueError
        If the answer is no record.
    """
    if not base.endswith(_FOLDER):
        return None
    url = f"{base.removesuffix(_FOLDER)}/api/records/{RECORD}"
    try:
        answer = attempt(f"read {url}", fs.cat_file, url)
    except FileNotFoundError:
        return None
    try:
        files = [(file["key"], file["checksum"], file["size"]) for file in json.loads(answer)["files"]]
        if not all(str(checksum).startswith("md5:") and isinstance(size, int) for _, checksum, size in files):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise CatalogueError(f"{url} is not a record of Zenodo with the sizes and MD5 of its files") from None
    return tuple(PublishedFile(str(name), str(md5).removeprefix("md5:"), size) for name, md5, size in files)


def as_listed(
    files: Iterable[PublishedFile], record: Iterable[PublishedFile] | None, base: str
) -> tuple[PublishedFile, ...]:
    """Give files with the sizes that a record lists.

    Raises
    ------
    CatalogueError
        If the record does not list one of them, or with another MD5 or size than is known here.
    """
    if record is None:
        return tuple(files)
    listed = {file.name: file for file in record}
    for file in files:
        found = listed.get(file.name)
        if found is None:
            raise CatalogueError(f"the record at {base} does not list {file.name}; is it the catalogue?")
        if found.md5 != file.md5 or (file.exact and found.size != file.size):
            raise CatalogueError(
                f"the record at {base} lists {file.name} with MD5 {found.md5} and {found.size:,} bytes, expected "
                f"{file.md5} and {'' if file.exact else 'about '}{file.size:,}: not the files that this version knows"
            )
    return tuple(listed[file.name] for file in files)

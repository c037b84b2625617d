from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path

import fsspec
import pytest

from releases import SCENES, PlainRelease
from s2cmc_zarr import CatalogueError, DefectError
from s2cmc_zarr.release import listing
from s2cmc_zarr.release.archive import Reader
from s2cmc_zarr.release.listing import list_members
from s2cmc_zarr.storage import open_file_system, open_raw
from servers import http_server

MEMORY = fsspec.filesystem("memory")


def in_memory(name: str, data: bytes) -> str:
    MEMORY.pipe_file(f"/archive/{name}.zip", data)
    return "/archive"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_what_was_put_in(method: int, plain: PlainRelease, tmp_path: Path) -> None:
    fs, root = open_file_system(str(plain.write(tmp_path, method=method)))
    members = list_members(fs, root, "masks")
    assert members is not None
    assert list(members) == sorted(plain.files["masks"])
    reader = Reader(fs, members.values())
    for name, member in members.items():
        content = plain.files["masks"][name]
        assert member.read(fs, len(content)) == reader.read(member, len(content)) == content
        assert member.head(fs, 128) == content[:128]
        with pytest.raises(DefectError, match="expected at most"):
            member.read(fs, len(content) - 1)


def test_a_zip_on_http_is_listed_with_few_short_requests(plain: PlainRelease, tmp_path: Path) -> None:
    with http_server(plain.write(tmp_path)) as served:
        fs, root = open_file_system(served.url)
        members = list_members(fs, root, "subscenes")
        assert members is not None
        assert list(members) == [f"{scene}.npy" for scene in SCENES]
        ranges = [asked.removeprefix("bytes=").split("-") for _, path, asked in served.requests if asked]
        assert len(ranges) <= 4
        assert sum(int(last) + 1 - int(first) for first, last in ranges) < 2000
        served.requests.clear()
        assert members[f"{SCENES[2]}.npy"].read(fs, 10**6) == plain.files["subscenes"][f"{SCENES[2]}.npy"]
        assert len(served.requests) == 1


def test_a_zip64_is_read() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, archive.open("masks/a.npy", "w", force_zip64=True) as member:
        member.write(b"content")
    root = in_memory("masks", stream.getvalue())
    members = list_members(MEMORY, root, "masks")
    assert members is not None
    assert members["a.npy"].read(MEMORY, 100) == b"content"


def test_a_zip_without_members_is_no_component() -> None:
    stream = io.BytesIO()
    zipfile.ZipFile(stream, "w").close()
    assert list_members(MEMORY, in_memory("thumbnails", stream.getvalue()), "thumbnails") is None


def test_a_zip_that_was_cut_short_is_damaged(plain: PlainRelease, tmp_path: Path) -> None:
    fs, root = open_file_system(str(plain.write(tmp_path)))
    members = list_members(fs, root, "masks")
    assert members is not None
    path = tmp_path / "masks.zip"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DefectError, match="download it again"):
        members[f"{SCENES[-1]}.npy"].read(fs, 10**6)


def entries(data: bytes | bytearray) -> list[int]:
    """Where the entries of the central directory begin."""
    return [match.start() for match in re.finditer(b"PK\x01\x02", data)]


@pytest.mark.parametrize(
    ("entry", "field", "value", "message"),
    [
        (1, 42, 2**31, "claims the bytes from 2,147,483,648 to .*, but the next part begins at"),
        (1, 20, 2**31, "claims the bytes from .*, but the next part begins at"),
        (4, 20, 2**31, "claims the bytes from .*, but the next part begins at"),
        (2, 42, 0, "claims the bytes from 0 to .*, but the next part begins at 0"),
    ],
    ids=["offset after the end", "size over the next", "size over the end", "two at one place"],
)
def test_a_central_directory_that_lies_is_refused_before_anything_is_read(
    plain: PlainRelease, tmp_path: Path, entry: int, field: int, value: int, message: str
) -> None:
    path = plain.write(tmp_path) / "masks.zip"
    data = bytearray(path.read_bytes())
    at = entries(data)[entry + 1] + field  # the first is the folder's
    data[at : at + 4] = struct.pack("<I", value)
    path.write_bytes(data)
    with http_server(tmp_path) as served:
        fs, root = open_file_system(served.url)
        with pytest.raises(CatalogueError, match=rf"masks.zip: member .* {message}.*download the archive again"):
            list_members(fs, root, "masks")
        ranges = [asked.removeprefix("bytes=").split("-") for _, _, asked in served.requests if asked]
        assert sum(int(last) + 1 - int(first) for first, last in ranges) < 3000


def test_what_lies_between_members_is_not_read(plain: PlainRelease, tmp_path: Path) -> None:
    path, scenes = plain.write(tmp_path) / "masks.zip", plain.scenes
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("masks/large.npy", bytes(10**7))
        file.writestr("masks/last.npy", b"last")
        end = file.start_dir
    data = path.read_bytes()
    # A directory that does not name the large member: what is before it seems to reach to the last.
    start, after = entries(data)[-2:]
    data = data[:start] + data[after:]
    total, size = struct.unpack("<HI", data[-12:-6])
    data = data[:-14] + struct.pack("<HHIIH", total - 1, total - 1, size - (after - start), end, 0)
    path.write_bytes(data)
    fs, root = open_file_system(str(tmp_path))
    members = list_members(fs, root, "masks")
    assert members is not None
    assert set(members) == {*(f"{scene}.npy" for scene in scenes), "last.npy"}
    before = members[f"{scenes[-1]}.npy"]
    assert before.read(fs, 10**6) == plain.files["masks"][f"{scenes[-1]}.npy"]
    assert before.offset is not None
    assert before.end is not None
    assert before.end - before.offset < 150_000


def test_a_central_directory_of_impossible_length_is_refused(
    plain: PlainRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_DIRECTORY", 400)
    fs, root = open_file_system(str(plain.write(tmp_path)))
    with pytest.raises(CatalogueError, match=r"its list of members has \d+ bytes, expected at most 400"):
        list_members(fs, root, "masks")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [(46, b"\xff", "'utf-8' codec can't decode"), (6, b"\xff", "zip file version 25.5")],
)
def test_entries_that_cannot_be_read_are_damage(
    plain: PlainRelease, tmp_path: Path, field: int, value: bytes, message: str
) -> None:
    path = plain.write(tmp_path) / "masks.zip"
    data = bytearray(path.read_bytes())
    at = entries(data)[1]
    data[at + 9] |= 0x08  # the name is UTF-8
    data[at + field : at + field + 1] = value
    path.write_bytes(data)
    fs, root = open_file_system(str(tmp_path))
    with pytest.raises(CatalogueError, match=rf"masks.zip is not a whole zip archive \({message}"):
        list_members(fs, root, "masks")


def test_a_file_read_by_ranges_is_the_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(data)
    with http_server(tmp_path) as served:
        fs, path = open_file_system(f"{served.url}/file")
        with io.BufferedReader(open_raw(fs, path), 2**16) as file:
            assert file.seek(-10, io.SEEK_END) == len(data) - 10
            assert file.read() == data[-10:]
            assert file.read(1) == b""
            assert file.seek(70000) == 70000
            assert file.seek(5, io.SEEK_CUR) == 70005
            assert file.read(100000) == data[70005:170005]
            file.seek(0)
            assert file.read() == data
            with pytest.raises(OSError, match=r"before the file's start|negative seek"):
                file.seek(-1)

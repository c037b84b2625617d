from __future__ import annotations

import io
import zipfile
from pathlib import Path

import fsspec
import pytest

from releases import SCENES, PlainRelease
from s2cmc_zarr import DefectError
from s2cmc_zarr.release.archive import Reader, list_members
from s2cmc_zarr.storage import open_file, open_file_system
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


def test_a_file_read_by_ranges_is_the_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(data)
    with http_server(tmp_path) as served:
        fs, path = open_file_system(f"{served.url}/file")
        with open_file(fs, path) as file:
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

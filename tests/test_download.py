from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from s2cmc_zarr import CatalogueError, DownloadWarning, convert, download, open_catalogue, open_release, verify
from s2cmc_zarr.release import zenodo
from s2cmc_zarr.release.zenodo import FILES, URL_VARIABLE, PublishedFile
from s2cmc_zarr.retrying import RETRY_VARIABLE, retry_after
from servers import Fault, Kind, Served, http_server, zenodo_server

SIZES = {"subscenes.zip": 900_000, "masks.zip": 50_000, "README.pdf": 20_000, "classification_tags.csv": 1}


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with other files than the published ones, which are taken for published."""
    folder, random = tmp_path / "published", np.random.default_rng(3)
    folder.mkdir()
    for name, size in SIZES.items():
        (folder / name).write_bytes(random.bytes(size))
    monkeypatch.setattr(zenodo, "FILES", files_of(folder))
    return folder


@pytest.fixture
def server(published: Path) -> Iterator[Served]:
    with zenodo_server(published) as served:
        yield served


def files_of(folder: Path) -> tuple[PublishedFile, ...]:
    """Sizes exactly known of all but the masks."""
    return tuple(
        PublishedFile(name, md5(folder / name), 49_000 if name == "masks.zip" else size, exact=name != "masks.zip")
        for name, size in SIZES.items()
    )


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def asked(server: Served, name: str) -> list[str | None]:
    """Ranges that were asked for."""
    return [asked for _, path, asked in server.requests if f"/{name}" in path]


def command(published: Path, *arguments: object) -> list[str]:
    """Run the command line in a process of its own, with the files of a folder taken for published."""
    code = (
        "import sys\nfrom s2cmc_zarr.release import zenodo\nfrom s2cmc_zarr.release.zenodo import PublishedFile\n"
        f"zenodo.FILES = {files_of(published)!r}\n"
        "from s2cmc_zarr.cli import main\nmain()\n"
    )
    return [sys.executable, "-c", code, *map(str, arguments)]


def wait_for(path: Path, size: int) -> None:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size >= size):
        assert time.monotonic() < deadline, f"{path} did not grow"
        time.sleep(0.02)


def test_the_table_that_is_pinned_is_the_published_one(real_csv: Path) -> None:
    pinned = {file.name: file for file in FILES}["classification_tags.csv"]
    assert (pinned.md5, pinned.size) == (md5(real_csv), real_csv.stat().st_size)


def test_seven_files_of_the_published_sizes_are_pinned() -> None:
    assert len({file.name for file in FILES}) == len({file.md5 for file in FILES}) == 7
    assert sum(file.size for file in FILES) == pytest.approx(15_354_849_917, abs=5 * 50_000)


def test_all_is_fetched_then_kept(server: Served, published: Path, tmp_path: Path) -> None:
    done = download(tmp_path / "a/release", url=server.url)
    assert (set(done.fetched), done.kept) == (set(SIZES), ())
    assert content(tmp_path / "a/release") == content(published)
    assert {path for _, path, _ in server.requests if "files" in path} == {
        f"/records/4172871/files/{name}?download=1" for name in SIZES
    }
    server.requests.clear()
    done = download(tmp_path / "a/release", url=server.url)
    assert (done.fetched, set(done.kept), server.requests) == ((), set(SIZES), [])


def test_some_files_only(server: Served, published: Path, tmp_path: Path) -> None:
    assert download(tmp_path / "r", only=["masks.zip"], url=server.url).fetched == ("masks.zip",)
    assert content(tmp_path / "r") == {"masks.zip": (published / "masks.zip").read_bytes()}
    assert download(tmp_path / "s", only="masks.zip, README.pdf", url=server.url).fetched == ("masks.zip", "README.pdf")
    for only in ("masks", ["masks"]):
        with pytest.raises(
            CatalogueError, match=r"'masks' is no file .*; choose from: .*; did you mean 'masks\.zip'\?$"
        ):
            download(tmp_path / "r", only=only, url=server.url)
    with pytest.raises(CatalogueError, match="no files are named"):
        download(tmp_path / "r", only=[], url=server.url)


def test_a_part_is_gone_on_with(server: Served, published: Path, tmp_path: Path) -> None:
    for name, length in (("subscenes.zip", 700_000), ("masks.zip", 50_000), ("README.pdf", 20_000)):
        (tmp_path / f"{name}.part").write_bytes((published / name).read_bytes()[:length])
    download(tmp_path / ".", url=server.url)
    assert asked(server, "subscenes.zip") == ["bytes=700000-"]
    assert asked(server, "masks.zip") == asked(server, "README.pdf") == []
    assert content(published).items() <= {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}.items()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("name", ["README.pdf", "masks.zip"])
def test_a_part_that_is_too_long_or_wrong_is_fetched_anew(
    name: str, server: Served, published: Path, tmp_path: Path
) -> None:
    (tmp_path / f"{name}.part").write_bytes(bytes(SIZES[name] + 1))
    download(tmp_path, only=[name], url=server.url)
    assert md5(tmp_path / name) == md5(published / name)
    (tmp_path / name).unlink()
    (tmp_path / f"{name}.part").write_bytes(bytes(10_000))
    with pytest.warns(DownloadWarning, match=f"{name}: wrong bytes were received; fetched again"):
        download(tmp_path, only=[name], url=server.url)
    assert md5(tmp_path / name) == md5(published / name)
    assert asked(server, name)[-2:] == ["bytes=10000-", None]


@pytest.mark.parametrize("kind", ["truncate", "reset", "503", "500", "429"])
def test_what_passes_is_tried_again(kind: Kind, server: Served, published: Path, tmp_path: Path) -> None:
    server.faults += [Fault(kind, 2, name) for name in ("subscenes.zip", "masks.zip", "api")]
    download(tmp_path / "r", url=server.url)
    assert content(tmp_path / "r") == content(published)
    assert not any(fault.times for fault in server.faults if fault.path != "api" or kind != "truncate")
    if kind == "truncate":
        assert asked(server, "subscenes.zip") == [None, "bytes=450000-", "bytes=675000-"]


def test_connections_that_break_off_for_longer_than_is_retried(
    server: Served, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RETRY_VARIABLE, "0.5")
    server.faults.append(Fault("truncate", 3, "README.pdf"))
    download(tmp_path / "r", only=["README.pdf"], url=server.url)
    assert md5(tmp_path / "r/README.pdf") == md5(published / "README.pdf")


@pytest.mark.parametrize("status", ["429", "503"])
def test_the_wait_that_a_server_asks_for(
    status: Kind, server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RETRY_VARIABLE, "0.5")
    server.faults.append(Fault(status, 1, "masks.zip", retry_after="1"))
    begun = time.monotonic()
    download(tmp_path, only=["masks.zip"], url=server.url)
    assert time.monotonic() - begun >= 1
    server.faults.append(Fault(status, 1, "README.pdf", retry_after="4000"))
    with pytest.raises(CatalogueError, match=f"status {status} and asks to wait 4,000 s; try again then"):
        download(tmp_path, only=["README.pdf"], url=server.url)
    assert not (tmp_path / "README.pdf.part").exists(), "nothing was received"


def test_the_forms_of_retry_after() -> None:
    error = OSError()
    for text, expected in (("7", 7), ("soon", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("", 0)):
        error.headers = {"Retry-After": text}  # type: ignore[attr-defined]
        assert retry_after(error) == expected
    error.headers = {"Retry-After": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))}  # type: ignore[attr-defined]
    assert 90 < retry_after(error) <= 100


def test_a_server_without_ranges_begins_anew(published: Path, tmp_path: Path) -> None:
    (tmp_path / "subscenes.zip.part").write_bytes((published / "subscenes.zip").read_bytes()[:500_000])
    with zenodo_server(published, ranges=False) as server:
        server.faults.append(Fault("truncate", 1, "subscenes.zip"))
        with pytest.warns(DownloadWarning, match=r"subscenes\.zip: the server gives no ranges of bytes"):
            download(tmp_path, url=server.url)
    assert md5(tmp_path / "subscenes.zip") == md5(published / "subscenes.zip")


def test_a_server_without_ranges_that_always_breaks_off_is_given_up(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RETRY_VARIABLE, "0.5")
    with zenodo_server(published, ranges=False) as server:
        server.faults.append(Fault("truncate", 1000, "README.pdf"))
        with (
            pytest.warns(DownloadWarning),
            pytest.raises(CatalogueError, match=r"(?s)1 of 1 files .*kept in \.part"),
        ):
            download(tmp_path, only=["README.pdf"], url=server.url)
    assert (tmp_path / "README.pdf.part").stat().st_size == 10_000


def test_wrong_bytes_are_refused_after_a_second_time(server: Served, published: Path, tmp_path: Path) -> None:
    server.faults.append(Fault("reverse", 1, "masks.zip"))
    with pytest.warns(DownloadWarning, match="wrong bytes"):
        download(tmp_path / "once", url=server.url)
    assert content(tmp_path / "once") == content(published)
    server.faults.append(Fault("reverse", 2, "masks.zip"))
    with pytest.warns(DownloadWarning), pytest.raises(CatalogueError, match=r"masks\.zip is not the published file"):
        download(tmp_path / "twice", url=server.url)
    left = content(published)
    del left["masks.zip"]
    assert content(tmp_path / "twice") == left, "the others are fetched, of this one nothing stays"


def test_what_is_absent_or_forbidden_fails_at_once(server: Served, published: Path, tmp_path: Path) -> None:
    server.faults.append(Fault("403", 1000, "README.pdf"))
    with pytest.raises(CatalogueError, match=r"1 of 4 files .*\n.*README.pdf: access was denied[^\n]*$"):
        download(tmp_path, url=server.url)
    assert len(asked(server, "README.pdf")) == 1
    (published / "masks.zip").unlink()
    with pytest.raises(CatalogueError, match=r"record at .* does not list masks\.zip"):
        download(tmp_path / "other", url=server.url)
    with pytest.raises(CatalogueError, match=r"expected https://… of the folder"):
        download(tmp_path, url="ftp://127.0.0.1/x")
    with pytest.raises(CatalogueError, match="contains a password"):
        download(tmp_path, url="http://me:secret@127.0.0.1/x")
    with pytest.raises(CatalogueError, match=r"not a folder on this machine.*convert zenodo:"):
        download("s3://bucket/release", url=server.url)


def test_a_record_of_other_files_is_refused(server: Served, published: Path, tmp_path: Path) -> None:
    (published / "masks.zip").write_bytes(b"another")
    with pytest.raises(CatalogueError, match=r"lists masks\.zip with MD5 .* and 7 bytes, expected .* about 49,000"):
        download(tmp_path / "r", url=server.url)
    assert content(tmp_path / "r") == {}


def test_a_plain_folder_is_a_mirror(published: Path, tmp_path: Path) -> None:
    with http_server(published) as mirror:
        (tmp_path / "r").mkdir()
        (tmp_path / "r/masks.zip.part").write_bytes((published / "masks.zip").read_bytes())
        download(tmp_path / "r", url=f"{mirror.url}/")
        assert content(tmp_path / "r") == content(published)
        assert asked(mirror, "masks.zip") == ["bytes=50000-"], "without a record its size is not known"
        (tmp_path / "r/masks.zip").rename(tmp_path / "r/masks.zip.part")
        with (tmp_path / "r/masks.zip.part").open("ab") as part:
            part.write(b"more")
        download(tmp_path / "r", only=["masks.zip"], url=mirror.url)
        assert content(tmp_path / "r") == content(published)
        (published / "README.pdf").write_bytes(b"another")
        with pytest.raises(CatalogueError, match=r"README\.pdf has 7 bytes, expected 20,000"):
            download(tmp_path / "s", url=mirror.url)


def test_other_files_of_these_names_are_kept_unless_replaced(server: Served, published: Path, tmp_path: Path) -> None:
    for name in ("masks.zip", "README.pdf"):
        (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(CatalogueError, match=r"(?s)masks\.zip is not the published.*README\.pdf is.*--overwrite"):
        download(tmp_path, url=server.url)
    assert (tmp_path / "masks.zip").read_bytes() == b"mine"
    assert server.requests == []
    server.faults.append(Fault("403", 1, "README.pdf"))
    with pytest.raises(CatalogueError, match="access was denied"):
        download(tmp_path, url=server.url, overwrite=True)
    assert (tmp_path / "README.pdf").read_bytes() == b"mine", "until the other is there"
    assert md5(tmp_path / "masks.zip") == md5(published / "masks.zip")


def test_too_little_space_is_said_before_anything_is_fetched(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path).free
    huge = PublishedFile("subscenes.zip", "0" * 32, 2 * free)
    monkeypatch.setattr(zenodo, "FILES", (huge,))
    with http_server(published) as mirror:
        with pytest.raises(CatalogueError, match=rf"bytes free, {2 * free:,} are needed"):
            download(tmp_path, url=mirror.url)
        assert mirror.requests == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_ends_half_way_leaves_what_the_next_goes_on_with(
    how: signal.Signals, server: Served, published: Path, tmp_path: Path
) -> None:
    server.faults += [Fault("stall", 1, "subscenes.zip")]
    arguments = command(published, "download", tmp_path / "r", "--url", server.url)
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        wait_for(tmp_path / "r/subscenes.zip.part", 400_000)
        wait_for(tmp_path / "r/classification_tags.csv", 1)
        with pytest.raises(CatalogueError, match=r"subscenes\.zip\.part: another process is downloading this file"):
            download(tmp_path / "r", url=server.url)
        process.send_signal(how)
        said = process.stderr.read()
    if how == signal.SIGINT:
        assert (process.returncode, said) == (130, "Interrupted: run the command again to go on.\n")
    there = (tmp_path / "r/subscenes.zip.part").stat().st_size
    assert not (tmp_path / "r/subscenes.zip").exists()
    server.requests.clear()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 file(s) downloaded and verified, 3 there before: ")
    assert asked(server, "subscenes.zip") == [f"bytes={there}-"]
    assert content(tmp_path / "r") == content(published)


def test_bars_are_drawn_on_a_terminal_only(server: Served, published: Path, tmp_path: Path) -> None:
    primary, secondary = os.openpty()
    arguments = command(published, "download", tmp_path / "r", "--url", server.url)
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=secondary, text=True, check=False)
    os.close(secondary)
    drawn = os.read(primary, 100_000).decode()
    os.close(primary)
    assert done.returncode == 0
    assert "all files" in drawn
    assert "subscenes.zip" in drawn
    assert done.stdout == f"4 file(s) downloaded and verified, 0 there before: {tmp_path / 'r'}\n"


@pytest.fixture
def zenodo_replica(replica: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with zenodo_server(replica) as served:
        monkeypatch.setenv(URL_VARIABLE, served.url)
        yield served


def test_zenodo_is_a_source(zenodo_replica: Served, replica: Path, tmp_path: Path) -> None:
    done = convert("zenodo:", tmp_path / "streamed.zarr")
    assert (len(done.written), done.lacking) == (8, ())
    ranges = [asked for method, path, asked in zenodo_replica.requests if ".zip" in path and method == "GET"]
    assert ranges
    assert None not in ranges
    convert(replica, tmp_path / "local.zarr")
    streamed, local = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*") if p.is_file()}
        for d in (tmp_path / "streamed.zarr", tmp_path / "local.zarr")
    )
    assert streamed == local
    assert verify(tmp_path / "streamed.zarr", "zenodo:").passed
    xr.testing.assert_identical(open_catalogue("zenodo:4172871").load(), open_release(replica).load())


def test_zenodo_that_is_busy(zenodo_replica: Served, replica: Path) -> None:
    zenodo_replica.faults += [Fault("429", 1, name, retry_after="1") for name in ("api", "masks.zip", "subscenes.zip")]
    np.testing.assert_array_equal(open_release("zenodo:")["mask"].values, open_release(replica)["mask"].values)


def test_zenodo_that_is_not_the_catalogue(zenodo_replica: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CatalogueError, match="zenodo:123 is not the catalogue; expected zenodo: for record 4172871"):
        open_release("zenodo:123")
    zenodo_replica.faults.append(Fault("reverse", 1, "api"))
    with pytest.raises(CatalogueError, match="is not a record of Zenodo"):
        open_release("zenodo:")
    monkeypatch.setattr(zenodo, "_HOST", zenodo_replica.url.removesuffix("/records/4172871/files"))
    with pytest.raises(CatalogueError, match=r"lists subscenes.zip with MD5 .*: not the files that this version knows"):
        open_release("zenodo:")


def test_zenodo_with_a_file_of_another_size(zenodo_replica: Served) -> None:
    files = zenodo.file_system(zenodo_replica.url, sizes={"masks.zip": 5})
    with pytest.raises(CatalogueError, match=r"masks\.zip has [\d,]+ bytes, but the record lists 5"):
        files.info(f"{zenodo_replica.url}/masks.zip")
    with pytest.raises(FileNotFoundError):
        files.info(f"{zenodo_replica.url}/subscenes.zip")

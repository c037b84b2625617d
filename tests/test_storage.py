from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, ObjectStore

from releases import PlainRelease
from s2cmc_zarr import CatalogueError, convert, open_catalogue, open_release, open_store, verify
from s2cmc_zarr.retrying import RETRY_VARIABLE, StorageError, naming
from s2cmc_zarr.storage import open_file_system, open_raw
from s2cmc_zarr.store.objects import connect
from s2cmc_zarr.store.remote import RemoteStore
from servers import BUCKET, Fault, Kind, S3Server, Served, faulty_proxy, free_port, http_server, s3_server

CLI = [sys.executable, "-m", "s2cmc_zarr.cli"]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def root(request: pytest.FixtureRequest) -> str:
    """A place of its own in the bucket."""
    return f"s3://{BUCKET}/{request.node.name.translate(str.maketrans('[]/', '---'))}"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PlainRelease().write(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same release in folders, but for the zip of the masks."""
    folders = ("subscenes", "alt_masks", "shapefiles", "thumbnails")
    return PlainRelease().write(tmp_path_factory.mktemp("unpacked"), unpacked=folders)


@pytest.fixture
def web(release: Path) -> Iterator[Served]:
    with http_server(release) as served:
        yield served


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RETRY_VARIABLE, "0.5")


def upload(s3: S3Server, folder: Path, url: str) -> None:
    fs, path = fsspec.url_to_fs(url, **s3.options(), use_listings_cache=False)
    fs.put(str(folder), path, recursive=True)


def objects(s3: S3Server, url: str) -> dict[str, bytes]:
    fs, path = fsspec.url_to_fs(url, **s3.options(), use_listings_cache=False)
    return {name.removeprefix(path): fs.cat_file(name) for name in fs.find(path)}


def test_from_a_zip_on_http_to_s3(s3: S3Server, root: str, web: Served, release: Path, tmp_path: Path) -> None:
    convert(web.url, root, storage_options=s3.options())
    zips = [asked for method, path, asked in web.requests if path == "/subscenes.zip" and method == "GET"]
    assert zips
    assert None not in zips, "zips are read by ranges"
    ds = open_store(root, storage_options=s3.options())
    convert(release, tmp_path / "local.zarr")
    local = open_store(tmp_path / "local.zarr")
    xr.testing.assert_identical(ds.load(), local.load())
    plain = xr.open_zarr(root, storage_options=s3.options())
    np.testing.assert_array_equal(plain["reflectance"].values, local["reflectance"].values)
    assert verify(root, web.url, storage_options=s3.options()).passed
    written = {f"/{path.relative_to(tmp_path / 'local.zarr')}" for path in (tmp_path / "local.zarr").rglob("*.*")}
    assert written <= set(objects(s3, root))


def test_from_s3_to_s3_without_a_byte_on_disk(s3: S3Server, root: str, release: Path) -> None:
    upload(s3, release, f"{root}/release")
    code = (
        "import resource, sys, s2cmc_zarr\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "done = s2cmc_zarr.convert(sys.argv[1], sys.argv[2])\n"
        "print(len(done.written), s2cmc_zarr.verify(sys.argv[2], sys.argv[1]).passed)\n"
    )
    command = [sys.executable, "-c", code, f"{root}/release", f"{root}/store.zarr"]
    done = subprocess.run(command, env=os.environ | s3.environment(), capture_output=True, text=True, check=False)
    assert done.stdout == "5 True\n", done.stderr


def test_a_release_in_folders_of_a_bucket(s3: S3Server, root: str, unpacked: Path, release: Path) -> None:
    upload(s3, unpacked, root)
    in_bucket = open_catalogue(root, storage_options=s3.options())
    xr.testing.assert_identical(in_bucket.load(), open_release(release).load())


def test_an_interrupted_conversion_to_s3_is_continued(s3: S3Server, root: str, release: Path) -> None:
    options = s3.options()
    convert(release, f"{root}/whole.zarr", storage_options=options)
    with faulty_proxy(s3.endpoint) as proxy:
        proxy.faults.append(Fault("403", 1000, "reflectance/c/3", "PUT"))
        with pytest.raises(StorageError, match="access was denied") as caught:
            convert(release, f"{root}/store.zarr", storage_options=s3.options(proxy.url))
    assert PlainRelease().scenes[3] in str(caught.value)
    assert f"{root}/store.zarr/reflectance/c/3/0/0/0" in str(caught.value)
    with pytest.warns(UserWarning, match="scenes are missing"):
        missing = ~open_store(f"{root}/store.zarr", storage_options=options)["converted"].values
    assert missing[3]
    done = convert(release, f"{root}/store.zarr", storage_options=options)
    assert len(done.written) == missing.sum()
    assert objects(s3, f"{root}/store.zarr") == objects(s3, f"{root}/whole.zarr")


def test_memory(release: Path) -> None:
    convert(release, "memory://test_memory.zarr")
    assert verify("memory://test_memory.zarr", release).passed


@pytest.mark.parametrize("kind", ["503", "500", "reset", "truncate"])
def test_transient_errors_of_a_source_pass(kind: Kind, web: Served, release: Path) -> None:
    web.faults += [Fault(kind, 2, path) for path in ("classification_tags.csv", "masks.zip", "subscenes.zip")]
    ds = open_release(web.url).load()
    assert not any(fault.times for fault in web.faults)
    xr.testing.assert_identical(ds, open_release(release).load())


@pytest.mark.parametrize("kind", ["503", "reset", "truncate"])
def test_transient_errors_of_a_source_in_s3_pass(kind: Kind, s3: S3Server, root: str, unpacked: Path) -> None:
    upload(s3, unpacked, root)
    with faulty_proxy(s3.endpoint) as proxy:
        proxy.faults += [Fault(kind, 2, f"{part}", "GET") for part in ("subscenes/", "masks.zip", "list-type")]
        in_bucket = open_release(root, storage_options=s3.options(proxy.url)).load()
        assert not any(fault.times for fault in proxy.faults)
    xr.testing.assert_identical(in_bucket, open_release(unpacked).load())


@pytest.mark.parametrize("kind", ["503", "reset"])
@pytest.mark.parametrize("client", [ObjectStore, FsspecStore])
def test_transient_errors_of_a_store_pass(
    kind: Kind, client: type, s3: S3Server, root: str, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if client is FsspecStore:
        monkeypatch.setitem(sys.modules, "obstore.store", None)
    with faulty_proxy(s3.endpoint) as proxy:
        options = s3.options(proxy.url)
        store = connect(root, options)
        assert isinstance(store, RemoteStore)
        assert isinstance(store._store, client)
        # The client answers a request for a record like one for a shard.
        proxy.faults += [Fault(kind, 2, path, "PUT") for path in ("zarr.json", "mask/c/2", "records")]
        proxy.faults += [Fault(kind, 2, path, "GET") for path in ("list-type", "zarr.json", "reflectance/c/1")]
        convert(release, root, storage_options=options)
        assert verify(root, release, storage_options=options).passed
        assert not any(fault.times for fault in proxy.faults)


def test_silence_counts_as_a_transient_error(web: Served, release: Path) -> None:
    web.faults.append(Fault("hang", 1, "masks.zip", "GET"))
    options = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(sock_read=0.3)}}
    ds = open_release(web.url, storage_options=options)
    assert web.faults[0].times == 0
    np.testing.assert_array_equal(ds["mask"].values, open_release(release)["mask"].values)


def test_a_server_that_comes_up_late(release: Path) -> None:
    port, done = free_port(), threading.Event()

    def serve() -> None:
        time.sleep(0.5)
        with http_server(release, port=port):
            done.wait(30)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert open_release(f"http://127.0.0.1:{port}").sizes["scene"] == 5
    finally:
        done.set()
        thread.join()


@pytest.mark.usefixtures("impatient")
def test_what_does_not_pass_is_named(web: Served, release: Path, s3: S3Server, root: str) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StorageError, match=rf"cannot read {closed}/.*csv: Cannot connect .* tried again for 0.5 s"):
        open_release(closed)
    with pytest.raises(StorageError, match=r"cannot read s3://.*zarr\.json: "):
        convert(release, root, storage_options=s3.options(closed))
    ds = open_release(web.url)
    web.faults.append(Fault("503", 1000, "subscenes.zip"))
    expected = rf"subscenes/{PlainRelease().scenes[2]}.npy: cannot read {web.url}/subscenes.zip: .* status 503"
    with pytest.raises(StorageError, match=expected):
        ds["reflectance"][2].load()


@pytest.mark.parametrize("value", ["long", "", "nan", "inf", "-inf", "-1"])
def test_a_waiting_time_that_is_none(release: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(RETRY_VARIABLE, value)
    message = f"S2CMC_RETRY_SECONDS is '{value}', expected a number of seconds from 0, such as 60"
    with pytest.raises(CatalogueError, match=message):
        open_release(release)


@pytest.mark.parametrize("path", ["classification_tags.csv", "subscenes.zip", "thumbnails.zip"])
def test_forbidden_is_not_absent(path: str, web: Served) -> None:
    web.faults.append(Fault("403", 1000, path))
    with pytest.raises(StorageError, match=f"cannot read {web.url}/{path}: access was denied"):
        open_release(web.url)
    assert web.faults[0].times >= 998, "what is forbidden is not tried again"
    with pytest.raises(StorageError, match=f"cannot read {web.url}/{path}: access was denied"):
        open_catalogue(web.url)


def test_absent_parts_are_lacking(plain: PlainRelease, tmp_path: Path) -> None:
    plain.files["alt_masks"].clear()
    plain.files["thumbnails"].clear()
    with http_server(plain.write(tmp_path)) as served:
        ds = open_release(served.url)
    assert ds.attrs["lacking"] == ["alt_masks", "thumbnails"]


def test_a_scene_that_has_gone_is_named(unpacked: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(unpacked), "/gone", recursive=True)
    scene = PlainRelease().scenes[1]
    ds = open_release("memory://gone")
    memory.rm_file(f"/gone/subscenes/{scene}.npy")
    with pytest.raises(StorageError, match=rf"^subscenes/{scene}.npy: /gone/subscenes/{scene}.npy is not there"):
        ds["reflectance"][1].load()


def test_a_server_without_ranges_is_refused(release: Path) -> None:
    with http_server(release, ranges=False) as served:
        with pytest.raises(StorageError, match=r"subscenes.zip: the server does not give ranges.*use the local copy"):
            open_release(served.url)
        assert [path for method, path, _ in served.requests if method == "GET"] == [
            "/classification_tags.csv",
            "/subscenes.zip",
        ]


def test_a_large_file_is_not_read_from_a_server_without_ranges(tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(256 * 2**20)
    with http_server(tmp_path, ranges=False) as served:
        fs, path = open_file_system(f"{served.url}/large.bin")
        with open_raw(fs, path) as remote:
            remote.seek(2**20)
            with pytest.raises(StorageError, match="does not give ranges"):
                remote.read(100)
        assert served.cut_off.wait(10), "the client closes the connection instead of reading all"


def test_a_store_on_a_server_without_ranges_is_refused(release: Path, tmp_path: Path) -> None:
    convert(release, tmp_path / "store.zarr")
    expected = open_store(tmp_path / "store.zarr").load()
    with http_server(tmp_path) as served:
        xr.testing.assert_identical(open_store(f"{served.url}/store.zarr").load(), expected)
    with http_server(tmp_path, ranges=False) as served:
        ds = open_store(f"{served.url}/store.zarr")
        with pytest.raises(StorageError, match=r"reflectance/c/0/0/0/0: the server does not give ranges"):
            ds["reflectance"][0, 3].load()


@pytest.mark.parametrize("wrong", ["secret", "key", "rights", "bucket"])
def test_what_is_not_permitted_fails_at_once(wrong: str, s3: S3Server, root: str, release: Path) -> None:
    options = s3.options() | {"key": {"key": "AKIAUNKNOWN000000000"}, "secret": {"secret": "other"}}.get(wrong, {})
    options = s3.reader_options() if wrong == "rights" else options
    url = f"s3://no-such-bucket/{wrong}" if wrong == "bucket" else root
    with pytest.raises(StorageError, match=rf"cannot \w+ {url}.*: (access was denied|.* 404)") as caught:
        convert(release, url, storage_options=options)
    assert not any(value in str(caught.value) for value in options.values() if not value.startswith("http"))


def test_an_unknown_storage_option_is_named(s3: S3Server, root: str, web: Served, release: Path) -> None:
    options = s3.options() | {"pasword": "x"}
    with pytest.raises(StorageError, match=r"a storage option is not known: .*'pasword'"):
        convert(release, root, storage_options=options)
    with pytest.raises(StorageError, match=r"a storage option is not known: .*'pasword'"):
        open_release(root, storage_options=options)
    with pytest.raises(StorageError, match=r"a storage option is not known: .*'pasword'"):
        open_release(web.url, storage_options={"pasword": "x"})
    with pytest.raises(CatalogueError, match="Protocol not known: nowhere"):
        open_release("nowhere://x")
    with pytest.raises(CatalogueError, match="Protocol not known: nowhere"):
        open_store("nowhere://x")


def test_s3_without_its_packages_says_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['s3fs'] = None\n"
        "from s2cmc_zarr.cli import main\n"
        "sys.argv[1:] = ['stats', 's3://bucket/store.zarr', '-q']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 's2cmc-zarr[s3]'" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", ["environment", "config", "profile"])
def test_credentials_come_from_the_usual_places(
    how: str, s3: S3Server, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    options = {}
    if how == "environment":
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)
    elif how == "config":
        monkeypatch.setitem(fsspec.config.conf, "s3", s3.options())
    else:
        config = tmp_path / "config"
        config.write_text(
            f"[profile mine]\naws_access_key_id = {s3.key}\naws_secret_access_key = {s3.secret}\n"
            f"endpoint_url = {s3.endpoint}\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        options = {"profile": "mine"}
    store = pickle.loads(pickle.dumps(connect(root, options, read_only=False)))  # noqa: S301
    assert isinstance(store._store, ObjectStore)
    zarr.create_array(store, shape=(3,), dtype="u1")[...] = [1, 2, 3]
    np.testing.assert_array_equal(zarr.open_array(store, mode="r")[...], [1, 2, 3])
    assert json.loads(objects(s3, root)["/zarr.json"])["shape"] == [3]


def test_obstore_and_s3fs_see_the_same_store(
    s3: S3Server, root: str, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(release, root, storage_options=s3.options())
    expected = open_store(root, storage_options=s3.options()).load()
    with_more = s3.options() | {"default_block_size": 2**20}
    assert isinstance(connect(root, with_more)._store, FsspecStore)  # type: ignore[attr-defined]
    xr.testing.assert_identical(open_store(root, storage_options=with_more).load(), expected)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    # Where only AWS knows in which region a bucket lies, s3fs asks.
    in_aws = connect("s3://bucket/store.zarr", {"key": "k", "secret": "s"})
    assert isinstance(in_aws._store, FsspecStore)  # type: ignore[attr-defined]
    in_region = connect("s3://bucket/store.zarr", {"anon": True, "client_kwargs": {"region_name": "eu-central-1"}})
    assert isinstance(in_region._store, ObjectStore)  # type: ignore[attr-defined]


def test_credentials_are_never_shown(s3: S3Server, root: str, release: Path) -> None:
    upload(s3, release, f"{root}/release")
    secrets = (s3.key, s3.secret, s3.reader_key, s3.reader_secret)
    good, reader = json.dumps(s3.options()), json.dumps(s3.reader_options())
    wrong = json.dumps(s3.options() | {"secret": s3.reader_secret})
    closed = json.dumps(s3.options("http://127.0.0.1:1"))
    source, store = f"{root}/release", f"{root}/store.zarr"
    for arguments, expected in (
        (["convert", source, store, "--storage-options", good, "--source-storage-options", good], 0),
        (["verify", store, "--source", source, "--storage-options", reader, "--source-storage-options", reader], 0),
        (["convert", source, store, "--overwrite", "--storage-options", reader, "--source-storage-options", good], 1),
        (["convert", source, store, "--storage-options", wrong, "--source-storage-options", wrong], 1),
        (["verify", store, "--storage-options", closed], 1),
        (["stats", f"http://{s3.key}:{s3.secret}@127.0.0.1:1/release"], 1),
    ):
        environment = os.environ | {RETRY_VARIABLE: "0.2"}
        done = subprocess.run([*CLI, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr
        assert "Traceback" not in done.stderr
        assert ("error:" in done.stderr) is bool(expected)
        shown = "".join((done.stdout + done.stderr).split())
        assert not any(secret in shown for secret in secrets)
    for name, content in objects(s3, store).items():
        assert not any(secret.encode() in content for secret in secrets), name
    dataset = open_release(source, storage_options=s3.options())
    for shown in (repr(dataset), repr(connect(store, s3.options())), repr(dataset["reflectance"].variable)):
        assert not any(secret in shown for secret in secrets)


def test_errors_of_the_disk_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"^scene 7: No such file or directory: .*absent$"), naming("scene 7"):
        (tmp_path / "absent").read_bytes()
    with pytest.raises(StorageError, match=r"^scene 7: cannot read the moon$"), naming("scene 7"):
        raise StorageError("cannot read the moon")


def test_partial_values_are_those_asked_for(s3: S3Server, root: str) -> None:
    store, prototype = connect(root, s3.options(), read_only=False), default_buffer_prototype()
    sync(store.set("a", prototype.buffer.from_bytes(b"0123456789")))
    asked: list[ByteRequest | None] = [RangeByteRequest(2, 5), OffsetByteRequest(7), SuffixByteRequest(2), None]
    found = sync(store.get_partial_values(prototype, [("a", request) for request in asked]))
    assert [value.to_bytes() for value in found if value] == [b"234", b"789", b"89", b"0123456789"]
    assert sync(store.get("b", prototype)) is None
    assert sync(store.exists("a")) is True
    assert sync(store.exists("b")) is False
    sync(store.delete("a"))
    assert sync(store.exists("a")) is False

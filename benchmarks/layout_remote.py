"""Layouts in a bucket: a real S3 server on loopback, near and far."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import zarr
from layouts import DENSE, FAST, LZ4, PCO, QUARTER, TODAY, Layout, Report, Scene, create, read_all, reads, turns
from obstore.store import S3Store
from zarr.abc.store import Store
from zarr.storage import FsspecStore, ObjectStore

from servers import BUCKET, DISTANCE, Watched, s3_server


def measure_s3(report: Report, scenes: Sequence[Scene], quick: bool) -> None:
    layouts = [
        *(Layout(FAST, chunk) for chunk in (QUARTER, (1, 1022, 1022), (1, 256, 256), (13, 256, 256), (13, 146, 146))),
        *(Layout(TODAY, QUARTER), Layout(DENSE, QUARTER), Layout(PCO, QUARTER), Layout(PCO, (1, 1022, 1022))),
        *(Layout(LZ4, (13, 146, 146)), Layout(LZ4, (13, 128, 128))),
    ]
    if quick:
        layouts = [layouts[0], layouts[3], layouts[7], layouts[9]]
    with s3_server() as options:
        stores: dict[str, Store] = {
            layout.name: FsspecStore.from_url(f"s3://{BUCKET}/{number}", storage_options=options)
            for number, layout in enumerate(layouts)
        }
        arrays = {
            layout.name: create(Watched(stores[layout.name]), layout, len(scenes), scenes[0]) for layout in layouts
        }
        writing = [
            turns({name: functools.partial(array.__setitem__, number, scene) for name, array in arrays.items()}, 1)
            for number, scene in enumerate(scenes)
        ]
        bucket = S3Store(
            BUCKET,
            prefix="0",
            endpoint=options["client_kwargs"]["endpoint_url"],
            access_key_id=options["key"],
            secret_access_key=options["secret"],
            region="us-east-1",
            client_options={"allow_http": True},
        )
        other = f"{layouts[0].name} (obstore)"
        arrays = {
            layouts[0].name: arrays[layouts[0].name],
            other: zarr.open_array(Watched(ObjectStore(bucket)), mode="r+"),
        } | arrays
        writing.append(turns({other: lambda: arrays[other].__setitem__(0, scenes[0])}, 1))
        near = read_all(arrays, 1 if quick else 2)
        Watched.delay = DISTANCE
        far = read_all(arrays, 1)
        Watched.delay = 0
        rows, traffic = [], []
        for name, array in arrays.items():
            write = float(np.median([seconds[name] for seconds in writing if name in seconds]))
            row: dict[str, Any] = {"layout": name, "write MB/s": round(scenes[0].nbytes / write / 1e6)}
            row |= {f"{way} ms": f"{near[name][way]:.0f} / {far[name][way]:.0f}" for way in near[name]}
            rows.append(row)
            traffic.append({"layout": name} | {way: _traffic(array, way) for way in near[name]})
    report.table(f"S3 on loopback / with {1e3 * DISTANCE:.0f} ms more to each request", rows)
    report.table("Requests and MB of a scene, a band, a quick look, and on average a patch", traffic)


def _traffic(array: zarr.Array[Any], way: str) -> str:
    Watched.requests = Watched.received = 0
    count = 8 if way == "patch" else 1
    for seed in range(count):
        reads(array, seed)[way]()
    return f"{Watched.requests / count:.0f} / {Watched.received / count / 1e6:.1f}"

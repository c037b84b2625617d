"""The presets as this package writes and reads them, beside Zarr's reading of the same stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from layouts import WAYS, Report, read_all, turns
from zarr.abc.store import Store

from s2cmc_zarr import convert, open_store
from s2cmc_zarr.store.objects import connect
from s2cmc_zarr.store.presets import PRESETS
from servers import BUCKET, DISTANCE, Watched, s3_server


class Pixels:
    """Reflectance as `open_store` gives it, read like an array."""

    def __init__(self, store: Store) -> None:
        self.lazy = open_store(store).reflectance
        self.shape, self.nbytes = self.lazy.shape, self.lazy.nbytes

    def __getitem__(self, key: Any) -> Any:
        return self.lazy[key].values


def measure_presets(report: Report, directory: Path, release: Path, quick: bool) -> None:
    """Convert a release with every preset, and packed, and read it in the four ways: locally, in a bucket, and far."""
    cases: dict[str, dict[str, Any]] = {preset: {"preset": preset} for preset in PRESETS}
    cases["balanced, packed"] = {"preset": "balanced", "packed": True}
    rounds = 1 if quick else 2
    with s3_server() as options:
        writing: dict[str, Callable[[], object]] = {}
        for name, arguments in cases.items():
            writing[name] = lambda name=name, arguments=arguments: convert(release, directory / name, **arguments)
            url = f"s3://{BUCKET}/{name.replace(', ', '-')}"
            writing[f"{name}, S3"] = lambda url=url, arguments=arguments: convert(
                release, url, storage_options=options, **arguments
            )
        seconds = turns(writing, 1)
        here: dict[tuple[str, str], Any] = {}
        there: dict[tuple[str, str], Any] = {}
        for name in cases:
            remote = Watched(connect(f"s3://{BUCKET}/{name.replace(', ', '-')}", options))
            for stores, store in ((here, connect(directory / name)), (there, remote)):
                stores[name, "open_store"] = Pixels(store)
                if "packed" not in name:  # of which Zarr alone gives the numbers
                    stores[name, "Zarr"] = zarr.open_array(store, path="reflectance", mode="r")
        for name in PRESETS:
            assert np.array_equal(here[name, "open_store"][0], here[name, "Zarr"][0])
        near, bucket = read_all(here, rounds), read_all(there, rounds)
        Watched.delay = DISTANCE
        far = read_all(there, 1)
        Watched.delay = 0
    volume = next(iter(here.values())).nbytes
    rows = []
    for name, reader in here:
        size = sum(
            path.stat().st_size for path in (directory / name / "reflectance" / "c").rglob("*") if path.is_file()
        )
        row: dict[str, Any] = {"preset": name, "read by": reader, "size %": round(100 * size / volume, 1)}
        row["write MB/s"] = f"{volume / seconds[name] / 1e6:.0f} / {volume / seconds[f'{name}, S3'] / 1e6:.0f}"
        key = (name, reader)
        row |= {f"{way} ms": " / ".join(f"{of[key][way]:.0f}" for of in (near, bucket, far)) for way in WAYS}
        rows.append(row)
    away = f"S3 on loopback / with {1e3 * DISTANCE:.0f} ms more to each request"
    report.table(f"Presets: a folder / {away}; writing: a folder / S3", rows)

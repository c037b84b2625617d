"""Speed of statistics, against decoding alone and against what one would write with xarray, flox and xhistogram.

All ways read the same store of full-size scenes with Dask's threads, one chunk a scene, in turn, several times over;
medians are printed. xarray, flox and xhistogram get what `xarray.open_zarr` opens; xarray also what `open_store` does,
which reads faster. MB are 10⁶ bytes of reflectance. Needs the extra "benchmark".

    python benchmarks/statistics.py [--scenes 64] [--rounds 3] [--folder FOLDER | --store STORE]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import flox.xarray
import numpy as np
import xarray as xr
import xhistogram.xarray
import zarr
from numcodecs import blosc
from rich.console import Console
from rich.table import Table
from scenes import replica

import s2cmc_zarr
from s2cmc_zarr.kernels.bins import bin_edges
from s2cmc_zarr.kernels.statistics import scene_statistics
from s2cmc_zarr.schema import LABELS

CLASSES = range(len(LABELS))
BINS = np.arange(401) / 200


def _touch(*blocks: Any) -> Any:
    """Nothing but the pixels' having been read."""
    return np.zeros((len(blocks[0]), 1, 1, 1), np.uint8)


def decoding(ds: xr.Dataset) -> Any:
    """Every scene read and decoded, and dropped: the limit."""
    return da.map_blocks(_touch, ds["reflectance"].data, dtype=np.uint8, chunks=(1, 1, 1, 1)).compute()


def zarr_alone(store: Path, scenes: int) -> Any:
    """Every scene read by Zarr, by as many threads."""
    array = zarr.open_array(store, path="reflectance", mode="r")
    return dask.compute(*[dask.delayed(lambda scene: array[scene].nbytes)(scene) for scene in range(scenes)])


class Blosc:
    """Blosc alone: shards that are in memory, decoded into arrays that are there, by as many threads."""

    def __init__(self, store: Path, ds: xr.Dataset) -> None:
        self.shape, self.scenes = ds["reflectance"].shape[1:], ds.sizes["scene"]
        shards = [(store / "reflectance" / "c" / f"{scene}/0/0/0").read_bytes() for scene in range(8)]
        chunks = zarr.open_array(store, path="reflectance", mode="r").chunks
        assert chunks == (1, 1, *self.shape[1:]), f"{store} has chunks {chunks}, expected those of the preset balanced"
        self.bands = []
        for shard in shards:
            places = np.frombuffer(shard[-16 * self.shape[0] - 4 : -4], "<u8").reshape(-1, 2).tolist()
            self.bands.append([shard[start : start + length] for start, length in places])
        self.local = threading.local()

    def __call__(self) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.decode, range(self.scenes)))

    def decode(self, scene: int) -> None:
        if not hasattr(self.local, "result"):
            self.local.result = np.empty(self.shape, np.float32)
        for band, data in zip(self.local.result, self.bands[scene % len(self.bands)], strict=True):
            blosc.decompress(data, band)


def full_set(ds: xr.Dataset) -> xr.Dataset:
    return s2cmc_zarr.statistics(ds, ("moments", "histogram")).compute()


def everything(ds: xr.Dataset) -> xr.Dataset:
    return s2cmc_zarr.statistics(ds, ("moments", "histogram", "covariance", "pixels", "patches", "distance")).compute()


def moments(ds: xr.Dataset) -> xr.Dataset:
    return s2cmc_zarr.statistics(ds).compute()


def by_xarray(ds: xr.Dataset) -> Any:
    """Mean and deviation of each class; in float64, as otherwise the sums lose digits."""
    results = []
    for label in CLASSES:
        values = ds["reflectance"].where(ds["mask"] == label)
        results += [values.mean(("scene", "y", "x"), dtype="float64"), values.std(("scene", "y", "x"), dtype="float64")]
    return dask.compute(*results)


def by_flox(ds: xr.Dataset) -> Any:
    """Mean and deviation of each class by one grouped reduction each."""
    results = [
        flox.xarray.xarray_reduce(
            ds["reflectance"],
            ds["mask"],
            func=func,
            expected_groups=np.array(CLASSES),
            dim=("scene", "y", "x"),
            dtype=float,
        )
        for func in ("mean", "std")
    ]
    return dask.compute(*results)


def by_xhistogram(ds: xr.Dataset) -> Any:
    """Histogram of each band and class: of reflectance and mask, in the same bins."""
    _, mask = xr.broadcast(ds["reflectance"], ds["mask"])
    classes = np.arange(len(LABELS) + 1) - 0.5
    return xhistogram.xarray.histogram(
        ds["reflectance"].rename("r"), mask.rename("m"), bins=[BINS, classes], dim=["scene", "y", "x"]
    ).compute()


OURS: dict[str, Callable[[xr.Dataset], Any]] = {
    "decoding alone": decoding,
    "moments, histogram, counts": full_set,
    "moments, counts": moments,
    "all that there is": everything,
    "open_store, xarray: mean, std": by_xarray,
}
OTHERS: dict[str, Callable[[xr.Dataset], Any]] = {
    "xarray: mean, std": by_xarray,
    "flox: mean, std": by_flox,
    "xhistogram: histogram": by_xhistogram,
}


def check(found: dict[str, Any]) -> None:
    """All ways must have counted the same.

    Not compared is the deviation that flox 0.11.2 gives: where some scenes lack a class, it is wrong or NaN.
    """
    pooled = s2cmc_zarr.tabulate(found["moments, histogram, counts"], None)
    for index, label in enumerate(LABELS):
        table = pooled.sel(label=label)
        if not table["count"].any():
            continue
        mean, deviation = found["xarray: mean, std"][2 * index : 2 * index + 2]
        np.testing.assert_allclose(mean, table["mean"], rtol=1e-9)
        np.testing.assert_allclose(deviation, table["standard_deviation"], rtol=1e-9)
        np.testing.assert_allclose(found["flox: mean, std"][0].isel(mask=index), table["mean"], rtol=1e-9)
        histogram = found["xhistogram: histogram"].isel(m_bin=index)
        # xhistogram has the last edge in the last bin, and no bins beyond.
        np.testing.assert_array_equal(table["histogram"][:, 1:-2], histogram.transpose("band", "r_bin")[:, :-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to keep replica and store; default: a temporary folder")
    parser.add_argument("--store", type=Path, help="a store that is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        store = arguments.store or folder / f"store-{arguments.scenes}.zarr"
        if not store.exists():
            folder.mkdir(parents=True, exist_ok=True)
            s2cmc_zarr.convert(replica(folder, arguments.scenes), store)
        measure(store, arguments.scenes, arguments.rounds)


def measure(store: Path, scenes: int, rounds: int) -> None:
    ds = s2cmc_zarr.open_store(store).isel(scene=slice(scenes))
    plain = xr.open_zarr(store, chunks=None)[["reflectance", "mask"]].isel(scene=slice(scenes))
    plain = plain.chunk(scene=1, band=-1, y=-1, x=-1)
    ways: dict[str, Callable[[], Any]] = {
        "Blosc alone, in memory": Blosc(store, ds),
        "Zarr's own reading": partial(zarr_alone, store, scenes),
    }
    ways |= {way: partial(function, ds) for way, function in OURS.items()}
    ways |= {way: partial(function, plain) for way, function in OTHERS.items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    found: dict[str, Any] = {}
    full_set(ds.isel(scene=[0]))  # compiles
    everything(ds.isel(scene=[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the others: empty classes
        for _ in range(rounds):
            for way, function in ways.items():
                start = time.perf_counter()
                found[way] = function()
                seconds[way].append(time.perf_counter() - start)
    check(found)
    table = Table(
        title=f"Statistics of {ds.sizes['scene']} scenes of {ds.sizes['y']} × {ds.sizes['x']} pixels",
        caption=f"medians of {rounds} rounds; all results agree, but for flox's deviations",
    )
    for head in ("way", "s", "MB/s", "of decoding", "full set is faster by"):
        table.add_column(head, justify="left" if head == "way" else "right")

    def ratio(above: str, below: str) -> float:
        return float(np.median([a / b for a, b in zip(seconds[above], seconds[below], strict=True)]))

    for way, took in seconds.items():
        median = float(np.median(took))
        table.add_row(
            way,
            f"{median:.2f}",
            f"{ds['reflectance'].nbytes / 1e6 / median:,.0f}",
            f"{ratio('decoding alone', way):.2f}",
            f"{ratio(way, 'moments, histogram, counts'):.1f}",
        )
    Console().print(table)
    Console().print(costs(ds))


def costs(ds: xr.Dataset) -> Table:
    """Processor time of each statistic alone, in one thread, on scenes in memory."""
    everything_asked = ("moments", "histogram", "covariance", "pixels", "patches", "distance")
    asked = {"(always)": (), **{name: (name,) for name in everything_asked}}
    seconds: dict[str, list[float]] = {name: [] for name in [*asked, "histogram, own bins"]}
    for scene in range(min(8, ds.sizes["scene"])):
        pixels = [ds[name][scene].values for name in ("reflectance", "mask")]
        for name, bins in [*[(name, bin_edges()) for name in asked], ("histogram, own bins", bin_edges(BINS))]:
            include = asked.get(name, ("histogram",))
            scene_statistics(*pixels, include, bins)
            start = time.process_time()
            scene_statistics(*pixels, include, bins)
            seconds[name].append(time.process_time() - start)
    table = Table(title=f"Processor time for a scene, ms ({len(seconds['moments'])} scenes)")
    for head in ("statistic", "least", "mean", "most"):
        table.add_column(head, justify="left" if head == "statistic" else "right")
    for name, took in seconds.items():
        table.add_row(name, *[f"{1e3 * value:.1f}" for value in (min(took), np.mean(took), max(took))])
    return table


if __name__ == "__main__":
    main()

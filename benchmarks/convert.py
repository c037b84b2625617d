"""Speed and memory of converting, against the bare work and against what one would write without this package.

Every way is run in a process of its own, in turn, several times over; medians are printed. MB are 10⁶ bytes of arrays.

    python benchmarks/convert.py [--scenes 48] [--rounds 3] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import dask.array
import distributed
import numpy as np
import psutil
import xarray as xr
from dask.delayed import delayed
from isal import isal_zlib
from numcodecs import blosc
from rich.console import Console
from rich.table import Table

import s2cmc_zarr
from s2cmc_zarr.store.presets import PRESETS

SIZE = 1022
BYTES = SIZE * SIZE * (13 * 4 + 1)
"""Of a scene: reflectance and mask."""
WORKERS = os.cpu_count() or 1
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": 1_000_000_000, "MALLOC_MMAP_THRESHOLD_": 32 * 2**20}
Result = dict[str, float]


def floor(release: Path, target: Path, digests: bool = False) -> Result:
    """Read, inflate, check, transpose, compress and write, in bare processes that are up before the clock starts."""
    target.mkdir()
    with zipfile.ZipFile(release / "subscenes.zip") as archive:
        entries = [(e.filename, e.header_offset, e.compress_size, e.CRC) for e in archive.infolist() if not e.is_dir()]
    jobs = [(release / "subscenes.zip", target / str(number), digests, *entry) for number, entry in enumerate(entries)]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        list(pool.map(time.sleep, [0.5] * WORKERS))
        start = time.perf_counter()
        memory = max(pool.map(_bare, jobs))
        return {"seconds": time.perf_counter() - start, "memory": memory}


def floor_with_digests(release: Path, target: Path) -> Result:
    """The same with the SHA-256 of what was inflated, which the floor does without."""
    return floor(release, target, digests=True)


def _bare(job: tuple[Path, Path, bool, str, int, int, int]) -> float:
    source, target, digests, name, offset, size, crc = job
    with source.open("rb") as file:
        file.seek(offset)
        header = file.read(30)
        file.seek(offset + 30 + len(name) + int.from_bytes(header[28:30], "little"))
        deflated = file.read(size)
    data = isal_zlib.decompress(deflated, wbits=-zlib.MAX_WBITS, bufsize=SIZE * SIZE * 13 * 4 + 128)
    if isal_zlib.crc32(data) != crc:
        raise ValueError(name)
    if digests:
        hashlib.sha256(memoryview(data)[128:]).hexdigest()
    scene = np.frombuffer(data, "<f4", offset=128).reshape(SIZE, SIZE, 13)
    bands = np.empty((13, SIZE, SIZE), np.float32)
    for row in range(0, SIZE, 16):
        bands[:, row : row + 16] = scene[row : row + 16].transpose(2, 0, 1)
    encoding = PRESETS["balanced"]
    _, depth, height, width = encoding.chunks(bands.shape)
    codec = encoding.codec()
    blosc.use_threads = False
    with target.open("wb") as file:
        for band in range(0, 13, depth):
            for row in range(0, SIZE, height):
                for column in range(0, SIZE, width):
                    chunk = bands[band : band + depth, row : row + height, column : column + width]
                    file.write(codec.encode(np.ascontiguousarray(chunk)))
    return _peak()


def _peak() -> float:
    """Highest memory of this process so far in MB; that of `getrusage` would begin with that of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def threads(release: Path, target: Path) -> Result:
    """This package, with Dask's threads."""
    _import()
    start = time.perf_counter()
    s2cmc_zarr.convert(release, target)
    return {"seconds": time.perf_counter() - start, "memory": _peak()}


def processes(release: Path, target: Path) -> Result:
    """This package, with a distributed cluster of processes that is up before the clock starts."""
    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
        client.run(_import)
        _import()
        peak, stop = [0.0], threading.Event()

        def watch() -> None:
            while not stop.wait(0.02):
                peak[0] = max(peak[0], *(worker.memory_info().rss / 1e6 for worker in workers))

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.perf_counter()
        s2cmc_zarr.convert(release, target)
        seconds = time.perf_counter() - start
        stop.set()
        watcher.join()
    return {"seconds": seconds, "memory": peak[0]}


def processes_that_keep_memory(release: Path, target: Path) -> Result:
    """The same, with workers that keep freed memory as any other program does (docs/performance.md)."""
    with dask.config.set({"distributed.nanny.pre-spawn-environ": KEEP_MEMORY}):
        return processes(release, target)


def _import() -> None:
    import s2cmc_zarr.store.conversion  # noqa: F401


def by_hand(release: Path, target: Path) -> Result:
    """What one would write: unzip, np.load in dask.delayed, Dataset.to_zarr."""
    start = time.perf_counter()
    unzipped = target.with_suffix(".unzipped")
    for name in ("subscenes", "masks"):
        with zipfile.ZipFile(release / f"{name}.zip") as archive:
            archive.extractall(unzipped)
    scenes = sorted(path.stem for path in (unzipped / "subscenes").glob("*.npy"))

    def stack(name: str, depth: int, dtype: str) -> dask.array.Array:
        loads = [delayed(np.load)(unzipped / name / f"{scene}.npy") for scene in scenes]
        return dask.array.stack([dask.array.from_delayed(load, (SIZE, SIZE, depth), dtype) for load in loads])

    xr.Dataset(
        {
            "reflectance": (("scene", "y", "x", "band"), stack("subscenes", 13, "float32")),
            "mask": (("scene", "y", "x"), stack("masks", 3, "bool").argmax(-1).astype("uint8")),
        },
        coords={"scene": scenes},
    ).transpose("scene", "band", "y", "x").to_zarr(target)
    return {"seconds": time.perf_counter() - start, "memory": _peak()}


WAYS = {
    "floor": floor,
    "floor with digests": floor_with_digests,
    "threads": threads,
    "processes": processes,
    "processes that keep memory": processes_that_keep_memory,
    "by hand": by_hand,
}


def run(way: str, release: Path, folder: Path) -> Result:
    """Run a way in a process of its own; give its seconds and its highest memory in MB."""
    for path in folder.glob("target*"):
        shutil.rmtree(path)
    os.sync()
    command = [sys.executable, __file__, "--way", way, "--release", str(release), "--target", str(folder / "target")]
    result: Result = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to keep the replica; default: a temporary folder")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--release", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(WAYS[arguments.way](arguments.release, arguments.target)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        release = folder / f"release-{arguments.scenes}"
        if not release.exists():
            s2cmc_zarr.make_replica(release, arguments.scenes, progress=True)
        found: dict[str, list[Result]] = {way: [] for way in WAYS}
        for _ in range(arguments.rounds):
            for way in WAYS:
                found[way].append(run(way, release, folder))
        for path in folder.glob("target*"):
            shutil.rmtree(path)
    seconds = {way: float(np.median([result["seconds"] for result in results])) for way, results in found.items()}
    table = Table(
        title=f"Converting {arguments.scenes} scenes of {SIZE} × {SIZE} pixels, {WORKERS} workers",
        caption=f"medians of {arguments.rounds} rounds; floor: per process; processes: per worker",
    )
    for head in ("way", "s", "MB/s", "of the floor", "times by hand", "peak memory, MB"):
        table.add_column(head, justify="left" if head == "way" else "right")
    for way, results in found.items():
        speed = arguments.scenes * BYTES / 1e6 / seconds[way]
        ratio = float(np.median([a["seconds"] / b["seconds"] for a, b in zip(found["floor"], results, strict=True)]))
        gain = float(np.median([a["seconds"] / b["seconds"] for a, b in zip(found["by hand"], results, strict=True)]))
        memory = math.ceil(max(result["memory"] for result in results))
        table.add_row(way, f"{seconds[way]:.2f}", f"{speed:.0f}", f"{ratio:.2f}", f"{gain:.2f}", f"{memory:,}")
    Console().print(table)


if __name__ == "__main__":
    main()

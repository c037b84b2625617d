"""What `layout.py` compares, writing and reading it in turns, and tables of what was found."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import zarr
from rich.console import Console
from rich.table import Table
from zarr.abc.store import Store
from zarr.codecs import BloscCodec, ZstdCodec
from zarr.codecs.numcodecs import PCodec
from zarr.errors import ZarrUserWarning
from zarr.storage import LocalStore

Scene = npt.NDArray[Any]
WAYS = ("scene", "band", "RGB", "patch")
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


def reads(array: Any, seed: int) -> dict[str, Callable[[], object]]:
    """The four ways of reading, with the scene and the patch that belong to `seed`."""
    number = seed % array.shape[0]
    row, column = np.random.default_rng(seed).integers(0, array.shape[2] - PATCH, 2, endpoint=True)
    return {
        "scene": lambda: array[number],
        "band": lambda: array[number, 7],
        "RGB": lambda: array[number, 1:4, ::4, ::4],
        "patch": lambda: array[number, :, row : row + PATCH, column : column + PATCH],
    }


def read_all(arrays: Mapping[Any, Any], rounds: int) -> dict[Any, dict[str, float]]:
    """Median milliseconds a scene, or a patch, of each way of reading."""
    result: dict[Any, dict[str, float]] = {name: {} for name in arrays}
    scenes = next(iter(arrays.values())).shape[0]
    for way in WAYS:
        each = [
            turns({name: reads(array, seed)[way] for name, array in arrays.items()}, 1)
            for seed in range(rounds * scenes * (4 if way == "patch" else 1))
        ]
        for name in arrays:
            result[name][way] = 1e3 * float(np.median([seconds[name] for seconds in each]))
    return result


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

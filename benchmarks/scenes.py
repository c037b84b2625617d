"""Full-size scenes for the benchmarks: a replica of the release, and mosaics of real Sentinel-2 pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr import make_replica
from s2cmc_zarr.release.catalogue import Release
from s2cmc_zarr.schema import BANDS, SCENE_SIZE

SHARED: Final = Path(os.environ.get("S2CMC_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
TAGS: Final = SHARED / "classification_tags.csv"
REAL: Final = SHARED / "l1c_reference_scenes.npy"
QUANTIFICATION: Final = 10_000
TILE: Final = 48
"""Rows and columns of 20 m of a tile of a mosaic: a whole number of 60 m pixels."""


def replica(directory: Path, scenes: int, size: int = SCENE_SIZE) -> Path:
    """Replica with so many scenes below a directory, made unless an earlier run left it there.

    Its scenes are spread over the published table where that is at hand, so that they are as varied as the catalogue.
    """
    made = directory / f"replica-{scenes}-{size}"
    if not (made / "classification_tags.csv").exists():  # written last
        make_replica(made, scenes, size=size, tags=TAGS if TAGS.exists() else None, progress=True)
    return made


def real_scene(seed: int, size: int = SCENE_SIZE) -> npt.NDArray[np.float32]:
    """Mosaic of the real Level-1C pixels in the catalogue's form.

    The real scenes are on a 10 m grid, on which bands of 20 m and 60 m are repeated. They are brought to 20 m as the
    catalogue was: bands of 20 m as they are, those of 10 m as the mean of four, those of 60 m bilinearly. Tiles
    differ in scene, orientation and brightness (whole digital numbers of 0.8 to 1.25 times the real ones): plain
    repetition or mirroring would let compressors find the same values again, which makes ratios ten times too good.

    Parameters
    ----------
    seed : int
        Another seed gives other tiles.
    size : int
        Rows and columns.

    Returns
    -------
    numpy.ndarray
        Reflectance, float32, shape (13, size, size): band, row, column.
    """
    random = np.random.default_rng(seed)
    scenes = [_native(scene) for scene in np.load(REAL, allow_pickle=False)]
    mosaic = np.empty((len(BANDS), size, size), np.float32)
    for row in range(0, size, TILE):
        for column in range(0, size, TILE):
            bands = scenes[random.integers(len(scenes))]
            gain, turns, mirrored = random.uniform(0.8, 1.25), int(random.integers(4)), bool(random.integers(2))
            for index, (band, numbers) in enumerate(zip(BANDS, bands, strict=True)):
                tile = np.rot90(np.rint(numbers * gain), turns)
                tile = tile.T if mirrored else tile
                at20 = _resample(tile, band.native_resolution)
                mosaic[index, row : row + TILE, column : column + TILE] = at20[: size - row, : size - column]
    return mosaic


def _native(scene: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float64]]:
    """Digital numbers of each band of (row, column, band) on its own grid, a tile's worth."""
    numbers = np.rint(scene * QUANTIFICATION).astype(float)
    bands = []
    for index, band in enumerate(BANDS):
        step = band.native_resolution // 10
        top, left = (_phase(numbers[..., index], axis, step) for axis in (0, 1))
        bands.append(numbers[top::step, left::step, index][: 2 * TILE // step, : 2 * TILE // step])
    return bands


def _phase(numbers: npt.NDArray[np.float64], axis: int, step: int) -> int:
    """First row or column at which a run of `step` repeated ones begins."""
    changes = np.any(np.diff(numbers, axis=axis), axis=1 - axis)
    return (int(np.argmax([changes[start::step].sum() for start in range(step)])) + 1) % step


def _resample(numbers: npt.NDArray[np.float64], resolution: int) -> npt.NDArray[np.float32]:
    """Reflectance at 20 m of a tile of digital numbers at `resolution` metres."""
    if resolution == 10:
        numbers = numbers.reshape(TILE, 2, TILE, 2).mean(axis=(1, 3))
    elif resolution == 60:
        at = (np.arange(TILE) - 1) / 3  # a 60 m pixel's centre is that of its middle 20 m pixel
        coarse = np.arange(TILE // 3)
        numbers = np.stack([np.interp(at, coarse, line) for line in numbers])
        numbers = np.stack([np.interp(at, coarse, line) for line in numbers.T], axis=1)
    return (numbers / QUANTIFICATION).astype(np.float32)


def replica_scene(directory: Path, position: int) -> npt.NDArray[np.float32]:
    """One scene of a replica, float32, shape (13, rows, columns)."""
    release = Release.open(str(directory))
    return release.read_subscene(str(release.table.index[position]))

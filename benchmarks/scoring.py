"""Speed of the models, alone beside their own packages, and end to end from a store.

    python benchmarks/scoring.py [--scenes N] [--rounds N] [--quick] [--json FILE] [--directory DIR]

Needs the extra `models`, and real pixels (`S2CMC_REAL_DATA`): on noise a forest looks twice as fast, since all paths
end early. What is compared runs in turns, and medians are printed. Mpx/s are 10⁶ pixels of a scene, of all its bands.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import numpy as np
import numpy.typing as npt
import ukis_csmask.mask
import xarray as xr
from rich.console import Console
from rich.table import Table
from scenes import real_scene, replica

from s2cmc_zarr import convert, load_model, open_store, score
from s2cmc_zarr.schema import BAND_NAMES, SCENE_SIZE
from s2cmc_zarr.scoring.models import Predictor, SceneModel, Specification
from s2cmc_zarr.scoring.models.boosters import LightGBMBooster
from s2cmc_zarr.scoring.models.forest import Forest, read_lightgbm
from s2cmc_zarr.scoring.models.runner import most_probable
from s2cmc_zarr.scoring.models.s2cloudless import S2Cloudless

Pixels = npt.NDArray[np.float32]
UKIS_BANDS = [BAND_NAMES.index(band) for band in ("B02", "B03", "B04", "B08", "B11", "B12")]
UKIS_NAMES = ["blue", "green", "red", "nir", "swir16", "swir22"]
THINNED = 25
"""LightGBM gets one of so many pixels, in an order of its own, which does not change its speed."""


@dataclass(frozen=True)
class Timed:
    """A predictor that notes how long it runs."""

    predictor: Predictor
    seconds: list[float] = field(default_factory=list)

    @property
    def specification(self) -> Specification:
        return self.predictor.specification

    def predict(self, reflectance: Pixels) -> npt.NDArray[Any]:
        return self._timed(self.predictor.predict, reflectance)

    def classify(self, probabilities: Pixels) -> npt.NDArray[Any]:
        return self._timed(getattr(self.predictor, "classify", most_probable), probabilities)

    def _timed(self, function: Callable[[Any], npt.NDArray[Any]], argument: Any) -> npt.NDArray[Any]:
        start = time.perf_counter()
        result = function(argument)
        self.seconds.append(time.perf_counter() - start)
        return result


def seconds(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def make_store(directory: Path, scenes: int, size: int) -> Path:
    """A store of a release whose subscenes are mosaics of real pixels."""
    release = replica(directory, scenes, size)
    archive = release / "subscenes.zip"
    names = zipfile.ZipFile(archive).namelist()
    archive.unlink()
    for seed, name in enumerate(name for name in names if name.endswith(".npy")):
        (release / name).parent.mkdir(exist_ok=True)
        np.save(release / name, np.ascontiguousarray(real_scene(seed, size).transpose(1, 2, 0)))
    store = directory / "scoring.zarr"
    convert(str(release), str(store), overwrite=store.exists())
    return store


def forest(scenes: list[Pixels], rounds: int) -> dict[str, float]:
    """s2cloudless's forest in tables, and in LightGBM, on one core."""
    text = S2Cloudless().path.read_text()
    tables, booster = Forest(*read_lightgbm(text)), LightGBMBooster(text)
    bands = S2Cloudless().specification.band_indices
    pixels = np.concatenate([scene[bands].reshape(len(bands), -1) for scene in scenes], axis=1)
    some = np.ascontiguousarray(pixels[:, ::THINNED])
    tables.raw_scores(pixels[:, :100])
    ours, theirs = [], []
    for _ in range(rounds):
        taken, scores = seconds(tables.raw_scores, pixels)
        ours.append(pixels.shape[1] / taken / 1e6)
        taken, expected = seconds(booster.raw_scores, some)
        theirs.append(some.shape[1] / taken / 1e6)
        np.testing.assert_array_equal(scores[::THINNED], expected)
    return _compared(ours, theirs)


def csmask(scenes: list[Pixels], rounds: int) -> dict[str, float]:
    """ukis-csmask on two cores: scenes at the same time in a thread each, and the package's own threads."""
    model = load_model("ukis-csmask")
    model(scenes[0][:, :64, :64])
    count = sum(scene[0].size for scene in scenes)

    def package() -> list[npt.NDArray[Any]]:
        images = [np.ascontiguousarray(scene[UKIS_BANDS].transpose(1, 2, 0)) for scene in scenes]
        return [
            ukis_csmask.mask.CSmask(image, UKIS_NAMES, nodata_value=0, intra_op_num_threads=2).csm[..., 0]
            for image in images
        ]

    def ours_in_threads() -> list[npt.NDArray[Any]]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(model, scenes))

    ours, theirs = [], []
    for _ in range(rounds):
        taken, masks = seconds(ours_in_threads)
        ours.append(count / taken / 1e6)
        taken, expected = seconds(package)
        theirs.append(count / taken / 1e6)
        np.testing.assert_array_equal(masks, expected)
    return _compared(ours, theirs)


def _compared(ours: list[float], theirs: list[float]) -> dict[str, float]:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    figures = {"mpx_per_s": ours, "package_mpx_per_s": theirs, "ratio": ratios}
    return {name: float(np.median(values)) for name, values in figures.items()}


def end_to_end(ds: xr.Dataset, name: str, rounds: int) -> dict[str, float]:
    """Scores from the store: in two threads, and in one, of whose time the model's own is taken away."""
    model = load_model(name)
    assert isinstance(model, SceneModel)
    # Sessions are made, and compiled loops loaded, once a process.
    score(ds.isel(y=slice(64), x=slice(64)), model).compute()
    pixels = ds["mask"].size
    speeds, shares = [], []
    for _ in range(rounds):
        with dask.config.set(scheduler="threads", num_workers=2):
            taken, _ = seconds(score(ds, model).compute)
        speeds.append(pixels / taken / 1e6)
        timed = Timed(model.predictor)
        with dask.config.set(scheduler="synchronous"):
            taken, _ = seconds(score(ds, SceneModel(timed)).compute)
        shares.append(1 - sum(timed.seconds) / taken)
    return {"mpx_per_s": float(np.median(speeds)), "not_the_model": float(np.median(shares))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="scenes of 512 pixels, once")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--directory", type=Path, help="where scenes and store are written")
    arguments = parser.parse_args()
    size, rounds = (512, 1) if arguments.quick else (SCENE_SIZE, arguments.rounds)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        ds = open_store(make_store(Path(directory), arguments.scenes, size))
        scenes = [scene.values for scene in ds["reflectance"]]
        alone: Mapping[str, Mapping[str, float]] = {
            "s2cloudless, one core": forest(scenes, rounds),
            "ukis-csmask, two cores": csmask(scenes[:2], rounds),
        }
        names = ("braaten", "hollstein", "fmask", "s2cloudless", "ukis-csmask")
        whole = {name: end_to_end(ds, name, rounds) for name in names}
    table = Table("model", "Mpx/s", "its package Mpx/s", "ratio", title="Equal results, in turns")
    for name, figures in alone.items():
        table.add_row(name, *(f"{figure:.3g}" for figure in figures.values()))
    Console().print(table)
    table = Table("model", "Mpx/s, two threads", "not the model, %", title="Scores from the store")
    for name, figures in whole.items():
        table.add_row(name, f"{figures['mpx_per_s']:.3g}", f"{100 * figures['not_the_model']:.1f}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps({"alone": alone, "whole": whole}, indent=2))


if __name__ == "__main__":
    main()

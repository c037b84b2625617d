"""Scores of random counts, made without scoring pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.kernels.probability import BIN_COUNT, BIN_EDGES
from s2cmc_zarr.schema import TAGS
from s2cmc_zarr.scoring.scene_scores import PREDICTION, TRUTH

Counts = npt.NDArray[np.int64]


def scores(confusion: Any, *, marked: bool | list[bool] = True, shadow: bool = True, model: str = "m") -> xr.Dataset:
    """Scores of one model with these counts, dims (scene, truth, prediction), as `score` would give them."""
    counts = np.asarray(confusion, dtype=np.int64)
    scenes = len(counts)
    return xr.Dataset(
        {
            "confusion": (("scene", "truth", "prediction"), counts),
            "predicts": ("prediction", [True, True, shadow, False]),
        },
        coords={
            "scene": [f"scene_{n}" for n in range(scenes)],
            "truth": list(TRUTH),
            "prediction": list(PREDICTION),
            "difficulty": ("scene", np.arange(scenes) % 2 + 1),
            "shadows_marked": ("scene", np.broadcast_to(marked, scenes)),
            "tag": ["desert/barren", "cirrus"],
            "tags": (("scene", "tag"), np.stack([np.arange(scenes) % 3 > 0, np.arange(scenes) % 2 > 0], axis=1)),
            "group": ("scene", np.arange(scenes) // 2),
            "model": model,
        },
    )


def with_probabilities(found: xr.Dataset, seed: int = 0) -> xr.Dataset:
    """Scores as `random_scores` with histograms of probability too, in which every third scene has no cloud."""
    random = np.random.default_rng(seed)
    scenes, models = found.sizes["scene"], found.sizes["model"]
    middle = (np.arange(BIN_COUNT) + 0.5) / BIN_COUNT
    skill = np.linspace(2.0, 1.0, models)[:, np.newaxis]
    expected = np.stack(
        [20 * (1 - middle) ** skill, 20 * middle**skill, 5 * (1 - middle) ** skill, 0 * middle**skill], 1
    )
    count = random.poisson(expected * random.uniform(0, 2, (scenes, 1, 4, 1)))
    count[::3, :, 1] = 0
    probability = middle + random.uniform(-0.4, 0.4, count.shape) / BIN_COUNT
    dims = ("scene", "model", "truth", "probability")
    return found.assign(
        probability_count=(dims, count),
        probability_sum=(dims, count * probability),
        probability_square_sum=(dims[:3], (count * probability**2).sum(-1)),
    ).assign_coords(probability=BIN_EDGES[:-1])


def random_scores(scenes: int = 60, models: int = 2, seed: int = 0) -> xr.Dataset:
    """Scores of several models, each better than the next, with all 24 tags; every third scene has no cloud."""
    random = np.random.default_rng(seed)
    confusion = random.integers(0, 400, (scenes, models, 4, 4))
    for number in range(models):
        confusion[:, number, range(3), range(3)] += 600 * (models - number)
    confusion[::3, :, 1] = 0
    names = [f"model_{number}" for number in range(models)]
    parts = [scores(confusion[:, number], model=name) for number, name in enumerate(names)]
    joined = xr.concat(parts, "model", data_vars="all", coords="minimal", compat="override").transpose("scene", ...)
    tags = random.random((scenes, len(TAGS))) < 0.4
    return joined.drop_dims("tag").assign_coords(tag=list(TAGS), tags=(("scene", "tag"), tags))

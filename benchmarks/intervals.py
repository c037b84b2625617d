"""How long intervals and comparisons take, from counts: 2,000 resamples of 513 scenes, by 24 tags, of five models.

python benchmarks/intervals.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import xarray as xr

from s2cmc_zarr import compare, intervals
from s2cmc_zarr.schema import LABELS, TAGS

SCENES: Final = 513
GROUPS: Final = 493
MODELS: Final = ("first", "second", "third", "fourth", "fifth")


def random_scores() -> xr.Dataset:
    """Scores of as many scenes as the catalogue has; the time does not depend on what they are."""
    random = np.random.default_rng(0)
    return xr.Dataset(
        {
            "confusion": (
                ("scene", "model", "truth", "prediction"),
                random.integers(0, 60_000, (SCENES, len(MODELS), 4, 4)),
            ),
            "predicts": (("model", "prediction"), np.ones((len(MODELS), 4), dtype=bool)),
        },
        coords={
            "scene": [f"scene_{number}" for number in range(SCENES)],
            "model": list(MODELS),
            "truth": [*LABELS, "unlabelled"],
            "prediction": [*LABELS, "no_data"],
            "tag": list(TAGS),
            "tags": (("scene", "tag"), random.random((SCENES, len(TAGS))) < 0.2),
            "group": ("scene", np.minimum(np.arange(SCENES), GROUPS - 1)),
            "shadows_marked": ("scene", random.random(SCENES) < 424 / SCENES),
        },
    )


def best(function: Callable[[], Any], repeats: int = 5) -> float:
    """Seconds of the fastest of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    scores = random_scores()
    cases: dict[str, Callable[[], Any]] = {
        "F1 by tag, percentile": lambda: intervals(scores, "tags", method="percentile"),
        "F1 by tag, BCa": lambda: intervals(scores, "tags", method="bca"),
        "F1, IoU, kappa, MCC by tag, BCa": lambda: intervals(scores, "tags", metric=["f1", "iou", "kappa", "mcc"]),
        "F1 by tag, two models compared": lambda: compare(scores, "first", "second", "tags"),
    }
    print(f"{SCENES} scenes, {len(TAGS)} tags, {len(MODELS)} models, 2,000 resamples; best of 5")
    for name, function in cases.items():
        print(f"{name:34} {best(function):6.2f} s")


if __name__ == "__main__":
    main()

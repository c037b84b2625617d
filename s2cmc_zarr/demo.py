"""The whole way on a simulated catalogue: replica, conversion, verification, statistics, scores."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from s2cmc_zarr.analysis.statistics import statistics
from s2cmc_zarr.progress import compute
from s2cmc_zarr.release.replica import make_replica
from s2cmc_zarr.release.tags import FILE_NAME
from s2cmc_zarr.schema import SCENE_SIZE
from s2cmc_zarr.scoring.intervals import intervals
from s2cmc_zarr.scoring.models import MODELS, load_model
from s2cmc_zarr.scoring.scores import score
from s2cmc_zarr.store import convert, open_store, verify
from s2cmc_zarr.view.scoring import print_leaderboard
from s2cmc_zarr.view.statistics import print_statistics
from s2cmc_zarr.view.store import print_conversion, print_verification
from s2cmc_zarr.view.tables import all_and_groups


def run_demo(
    directory: str | os.PathLike[str], *, scenes: int = 8, size: int = SCENE_SIZE, progress: bool = False
) -> bool:
    """Make a replica, convert it, verify the store, print statistics, and rank the models that are installed.

    What is already there from an earlier run is kept.

    Parameters
    ----------
    directory : str or path
        Where to put ``release``, ``catalogue.zarr`` and ``scores.zarr``.
    scenes, size : int
        Of the replica.
    progress : bool
        Whether to draw progress bars.

    Returns
    -------
    bool
        Whether the store was found equal to the replica.

    Raises
    ------
    CatalogueError
        If there is something else in the directory.
    """
    console = Console()
    release, store, kept = (Path(directory) / name for name in ("release", "catalogue.zarr", "scores.zarr"))
    if (release / FILE_NAME).exists():
        console.print(f"A replica is in {escape(str(release))} already")
    else:
        console.print(f"Simulating {scenes} scenes of {size} × {size} pixels in {escape(str(release))}")
        make_replica(release, scenes, size=size, progress=progress)
    print_conversion(convert(release, store, progress=progress), str(store))
    verification = verify(store, release, progress=progress)
    print_verification(verification, str(store), str(release))
    dataset = open_store(store)
    models = [name for name in MODELS if set(load_model(name).variables) <= set(dataset)]
    console.print(
        f"Scoring {dataset.sizes['scene']} scenes with {', '.join(models)}. The pixels are simulated: the scores "
        "show that it works, and say nothing about the models",
        highlight=False,
    )
    lazy = score(dataset, models, store=kept)
    counted, scores = compute(statistics(dataset), lazy, progress=progress)
    print_statistics(counted, None)
    print_leaderboard(all_and_groups(lambda by: intervals(scores, by), "tags"), "f1")
    console.print(
        f"\nRelease: {escape(str(release))}\nStore:   {escape(str(store))}\nScores:  {escape(str(kept))}\n",
        highlight=False,
    )
    console.print("Go on with, for example:", style="bold")
    for command in (
        f"s2cmc stats {store} --by difficulty",
        f"s2cmc leaderboard {kept} --metric iou --by difficulty",
        f"s2cmc compare {kept} {models[0]} {models[-1]}",
        f"python -c \"import xarray; print(xarray.open_zarr('{store}'))\"",
    ):
        console.print(f"  {escape(command)}", highlight=False, soft_wrap=True)
    return verification.passed

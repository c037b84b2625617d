"""A store of scores: what was counted of each model and scene is kept, and is not computed twice."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.scoring.kept_model import KeptModel, marks_of
from s2cmc_zarr.scoring.kept_scores import check_names, check_or_make, write_scenes
from s2cmc_zarr.scoring.models import Model
from s2cmc_zarr.scoring.scene_scores import (
    OUTPUTS,
    SceneTruth,
    count_scenes,
    needed_variables,
    predict,
    read_only,
    stack,
)
from s2cmc_zarr.store.claim import claim
from s2cmc_zarr.store.objects import connect

_CLAIM: Final = "claim.json"
_held: ContextVar[frozenset[str]] = ContextVar("held", default=frozenset())


@contextmanager
def claim_scores(url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Keep others from scoring into a store, from before `score` is called until what it gave is computed.

    `score` itself does so only while it prepares the store: what it gives is computed later, or never. A run that has
    died holds nothing: at once on the same machine, two minutes after its last sign on another one.

    Parameters
    ----------
    url : str or path
        Of the store, which is made if it is not there.
    storage_options : mapping, optional
        For fsspec.

    Raises
    ------
    CatalogueError
        If another run holds the store, or the place is something else.
    """
    held, place = _held.get(), os.fspath(url)
    if place in held:
        yield
        return
    store = connect(url, storage_options, read_only=False)
    check_or_make(store, url)
    with claim(store, key=_CLAIM, take_over=None):
        token = _held.set(held | {place})
        try:
            yield
        finally:
            _held.reset(token)


def score_into(
    url: str | os.PathLike[str],
    ds: xr.Dataset,
    models: tuple[Model, ...],
    *,
    keep_predictions: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Score through a store: read what it has, and let the computation of the rest write it there; see `score`.

    Each model has a group, ``models/<name>-<digest>``, whose arrays have one chunk a scene. What tells of which pixels
    the counts of a scene are is written after them, so that a scene is done only if all of it is there.
    """
    store = connect(url, storage_options, read_only=False)
    marks = [marks_of(model, ds) for model in models]
    shape = (ds["mask"].sizes["y"], ds["mask"].sizes["x"]) if keep_predictions else None
    with claim_scores(url, storage_options):
        check_names(store, models)
        write_scenes(store, ds)
        kept = [KeptModel.prepare(store, model, of_model, shape) for model, of_model in zip(models, marks, strict=True)]
    lazy = count_scenes(ds, models, KeepScene(models, needed_variables(models), tuple(kept)))
    names = [str(scene) for scene in ds["scene"].values]
    done = np.array([all(name in one.done for one in kept) for name in names])
    if not done.any():
        return lazy
    per_model = [one.read_all([name for name, there in zip(names, done, strict=True) if there]) for one in kept]
    known = lazy.isel(scene=done).copy(
        data={name: np.stack([counts[name] for counts in per_model], axis=1) for name in OUTPUTS}
    )
    if done.all():
        return known
    parts = [known, lazy.isel(scene=~done)]
    joined = xr.concat(parts, "scene", data_vars="minimal", coords="minimal", compat="override", join="override")
    order = np.argsort(np.concatenate([np.flatnonzero(done), np.flatnonzero(~done)]))
    return joined.isel(scene=order)


@dataclass(frozen=True)
class KeepScene:
    """A kernel as `ScoreScene` that keeps what it counts, and does not ask the models of which it is kept already."""

    models: tuple[Model, ...]
    variables: tuple[str, ...]
    kept: tuple[KeptModel, ...]

    def __call__(self, scene: str, *arrays: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Predict with each model that lacks the scene, count, and write."""
        pixels = read_only(dict(zip(self.variables, arrays, strict=True)))
        truth = SceneTruth.of(pixels["mask"], pixels["reflectance"])
        results = []
        for model, kept in zip(self.models, self.kept, strict=True):
            if scene in kept.done:
                results.append(kept.read(scene))
                continue
            prediction = predict(model, scene, pixels)
            results.append(truth.count(model.name, prediction))
            kept.write(scene, results[-1], truth.visible(prediction.mask))
        return stack(results)

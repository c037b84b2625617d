"""A store of scores: what was counted of each model and scene is kept, and is not computed twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.abc.store import Store

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.boundaries import DISTANCE_EDGES
from s2cmc_zarr.kernels.probability import BIN_COUNT
from s2cmc_zarr.schema import DIMS, UNLABELLED
from s2cmc_zarr.scoring.kept_scores import MODELS_GROUP, SCORES_VERSION, check_or_make, write_scenes
from s2cmc_zarr.scoring.models import Model
from s2cmc_zarr.scoring.scene_scores import (
    OUTPUTS,
    PREDICTION,
    TRUTH,
    SceneTruth,
    count_scenes,
    needed_variables,
    predict,
    read_only,
    stack,
)
from s2cmc_zarr.store.claim import claim
from s2cmc_zarr.store.objects import connect

_SIZES: Final = {
    "truth": len(TRUTH),
    "prediction": len(PREDICTION),
    "distance": len(DISTANCE_EDGES),
    "probability": BIN_COUNT,
}
_DIGEST: Final = hashlib.sha256().digest_size


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

    Each model has a group, ``models/<name>-<digest>``, whose arrays have one chunk a scene. The digest of a scene's
    pixels is written after its counts, so that a scene counts as done only if all of it is there.
    """
    store = connect(url, storage_options, read_only=False)
    # What one model needs must not make the scores of others outdated.
    digests = [pixel_digests(ds, needed_variables((model,))) for model in models]
    shape = (ds["mask"].sizes["y"], ds["mask"].sizes["x"]) if keep_predictions else None
    with claim_scores(url, storage_options):
        write_scenes(store, ds)
        kept = [
            KeptModel.prepare(store, model, of_model, shape) for model, of_model in zip(models, digests, strict=True)
        ]
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
class KeptModel:
    """The arrays of one model in a store.

    Attributes
    ----------
    arrays : dict
        The Zarr arrays by name.
    positions : dict
        Of the scenes that are asked for.
    digests : dict
        Of the pixels of these scenes.
    done : frozenset
        Those of which all that is asked for is there.
    """

    arrays: dict[str, zarr.Array[Any]]
    positions: dict[str, int]
    digests: dict[str, bytes]
    done: frozenset[str]

    @classmethod
    def prepare(
        cls, store: Store, model: Model, digests: Mapping[str, bytes], shape: tuple[int, int] | None
    ) -> KeptModel:
        """Make or enlarge the group of a model, and see what it has; `shape` is that of predictions to keep."""
        # A name may hold what is not allowed, or means something, in a path.
        path = f"{MODELS_GROUP}/{re.sub(r'[^A-Za-z0-9_.-]', '_', model.name)}-{model.digest[:12]}"
        try:
            group = zarr.open_group(store, path=path, mode="r+", use_consolidated=False)
        except FileNotFoundError:
            group = zarr.create_group(store, path=path, attributes={"scenes": []})
        scenes = list(group.attrs["scenes"])  # type: ignore[arg-type]
        scenes += [scene for scene in digests if scene not in set(scenes)]
        if scenes != group.attrs["scenes"] or group.attrs.get("digest") != model.digest:
            group.update_attributes(
                {"name": model.name, "digest": model.digest, "labels": list(model.labels), "scenes": scenes}
            )
        layout: dict[str, tuple[tuple[str, ...], tuple[int, ...], Any, int]] = {
            name: (output.dims[1:], tuple(_SIZES[dim] for dim in output.dims[1:]), output.dtype, 0)
            for name, output in OUTPUTS.items()
        }
        layout["counted"] = (("byte",), (_DIGEST,), np.uint8, 0)
        if shape is not None:
            layout["prediction"] = (DIMS["mask"][1:], shape, np.uint8, UNLABELLED)
            layout["predicted"] = (("byte",), (_DIGEST,), np.uint8, 0)
        arrays = {name: _array(group, name, len(scenes), *how) for name, how in layout.items()}
        positions = {scene: scenes.index(scene) for scene in digests}
        written = [arrays[name][...] for name in ("counted", "predicted") if name in arrays]
        done = {
            scene
            for scene, position in positions.items()
            if all(np.asarray(digest)[position].tobytes() == digests[scene] for digest in written)
        }
        return cls(arrays, positions, dict(digests), frozenset(done))

    def read(self, scene: str) -> dict[str, npt.NDArray[Any]]:
        """Read the counts of a scene that is done."""
        return {name: np.asarray(self.arrays[name][self.positions[scene]]) for name in OUTPUTS}

    def read_all(self, scenes: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        """Read the counts of some scenes, all of them done."""
        positions = [self.positions[scene] for scene in scenes]
        return {name: np.asarray(self.arrays[name][...])[positions] for name in OUTPUTS}

    def write(self, scene: str, counts: Mapping[str, npt.NDArray[Any]], mask: npt.NDArray[np.uint8]) -> None:
        """Write the counts of a scene, and its mask if masks are kept; the digests last."""
        position, digest = self.positions[scene], np.frombuffer(self.digests[scene], dtype=np.uint8)
        for name, count in counts.items():
            self.arrays[name][position] = count
        self.arrays["counted"][position] = digest
        if "prediction" in self.arrays:
            self.arrays["prediction"][position] = mask
            self.arrays["predicted"][position] = digest


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


def pixel_digests(ds: xr.Dataset, variables: Sequence[str]) -> dict[str, bytes]:
    """Tell the pixels of each scene apart from others, without reading them: by the digests that a store has of them.

    Parameters
    ----------
    ds : xarray.Dataset
        Of the schema, with the coordinates ``reflectance_sha256`` and so on.
    variables : sequence of str
        Arrays that matter.

    Returns
    -------
    dict
        SHA-256 for each scene, over the digests of its arrays, the rows and columns that are there, the error of
        packing and the version of what is counted.

    Raises
    ------
    CatalogueError
        If the scenes have no such digests.
    """
    names = [f"{name}_sha256" for name in variables]
    if lacking := [name for name in names if name not in ds.coords]:
        raise CatalogueError(
            f"the scenes have no {', '.join(lacking)}, by which kept scores are told from others: score a converted "
            "store, as open_store gives it, or do not keep the scores"
        )
    place = [
        hashlib.sha256(np.ascontiguousarray(ds[dim].values).tobytes()).hexdigest() if dim in ds.coords else ""
        for dim in ("y", "x")
    ]
    sizes = [ds["mask"].sizes[dim] for dim in ("y", "x")]
    columns = [ds[name].values.tolist() for name in names]
    if "packing_error" in ds.coords:
        columns.append(ds["packing_error"].values.tolist())
    digests = {}
    for scene, *of_scene in zip(ds["scene"].values.tolist(), *columns, strict=True):
        if not of_scene[0]:
            raise CatalogueError(f"{scene} has no digest of its reflectance: was it converted?")
        key = json.dumps([SCORES_VERSION, place, sizes, of_scene])
        digests[str(scene)] = hashlib.sha256(key.encode()).digest()
    return digests


def _array(
    group: zarr.Group,
    name: str,
    scenes: int,
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    dtype: type[np.generic],
    fill_value: int,
) -> zarr.Array[Any]:
    """Open an array of scenes, made or enlarged if need be."""
    if name not in group:
        return group.create_array(
            name,
            shape=(scenes, *shape),
            chunks=(1, *shape),
            dtype=dtype,
            fill_value=fill_value,
            dimension_names=("scene", *dims),
        )
    array = group[name]
    if not isinstance(array, zarr.Array) or array.shape[1:] != shape:
        raise CatalogueError(
            f"{group.path}/{name} is of scenes of another size, expected {shape}; score into another store"
        )
    if array.shape[0] < scenes:
        array.resize((scenes, *shape))
    return array

"""The counts of one model in a store of scores, and the marks that tell of which pixels they are."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
from s2cmc_zarr.scoring.kept_scores import MARK_BYTES, MODELS_GROUP, SCORES_VERSION
from s2cmc_zarr.scoring.models import Model
from s2cmc_zarr.scoring.models.naming import source_of
from s2cmc_zarr.scoring.scene_scores import OUTPUTS, PREDICTION, TRUTH, needed_variables

_SIZES: Final = {
    "truth": len(TRUTH),
    "prediction": len(PREDICTION),
    "distance": len(DISTANCE_EDGES),
    "probability": BIN_COUNT,
}


@dataclass(frozen=True)
class KeptModel:
    """The arrays of one model in a store.

    Attributes
    ----------
    arrays : dict
        The Zarr arrays by name.
    positions : dict
        Of the scenes that are asked for.
    marks : dict
        Of the pixels of these scenes; see `marks_of`.
    done : frozenset
        Those of which all that is asked for is there.
    """

    arrays: dict[str, zarr.Array[Any]]
    positions: dict[str, int]
    marks: dict[str, bytes]
    done: frozenset[str]

    @classmethod
    def prepare(
        cls, store: Store, model: Model, marks: Mapping[str, bytes], shape: tuple[int, int] | None
    ) -> KeptModel:
        """Make or enlarge the group of a model, and see what it has; `shape` is that of predictions to keep."""
        # A name may hold what is not allowed, or means something, in a path.
        path = f"{MODELS_GROUP}/{re.sub(r'[^A-Za-z0-9_.-]', '_', model.name)}-{model.digest[:12]}"
        attributes = {
            "name": model.name,
            "source": source_of(model),
            "digest": model.digest,
            "labels": list(model.labels),
            "scored": datetime.now(UTC).isoformat(timespec="microseconds"),
            "scenes": list(marks),
        }
        try:
            group = zarr.open_group(store, path=path, mode="r+", use_consolidated=False)
            known: list[str] = group.attrs["scenes"]  # type: ignore[assignment]
            scenes = list(dict.fromkeys([*known, *marks]))
            group.update_attributes(attributes | {"scenes": scenes})
        except FileNotFoundError:
            group = zarr.create_group(store, path=path, attributes=attributes)
            scenes = list(marks)
        layout: dict[str, tuple[tuple[str, ...], tuple[int, ...], Any, int]] = {
            name: (output.dims[1:], tuple(_SIZES[dim] for dim in output.dims[1:]), output.dtype, 0)
            for name, output in OUTPUTS.items()
        }
        layout["counted"] = mark = (("byte",), (MARK_BYTES,), np.uint8, 0)
        if shape is not None:
            layout["prediction"] = (DIMS["mask"][1:], shape, np.uint8, UNLABELLED)
        if shape is not None or "predicted" in group:
            layout["predicted"] = mark
        arrays = {name: _array(group, name, len(scenes), *how) for name, how in layout.items()}
        positions = {scene: scenes.index(scene) for scene in marks}
        written = [np.asarray(arrays[name][...]) for name in ("counted", "predicted")[: 1 + (shape is not None)]]
        done = {
            scene
            for scene, position in positions.items()
            if all(found[position].tobytes() == marks[scene] for found in written)
        }
        return cls(arrays, positions, dict(marks), frozenset(done))

    def read(self, scene: str) -> dict[str, npt.NDArray[Any]]:
        """Read the counts of a scene that is done."""
        return {name: np.asarray(self.arrays[name][self.positions[scene]]) for name in OUTPUTS}

    def read_all(self, scenes: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        """Read the counts of some scenes, all of them done."""
        positions = [self.positions[scene] for scene in scenes]
        return {name: np.asarray(self.arrays[name][...])[positions] for name in OUTPUTS}

    def write(self, scene: str, counts: Mapping[str, npt.NDArray[Any]], mask: npt.NDArray[np.uint8]) -> None:
        """Write the counts of a scene, and its mask if masks are kept.

        Marks are taken away first, and set last: wherever this ends early, none stands beside counts of other pixels.
        """
        position, mark = self.positions[scene], np.frombuffer(self.marks[scene], dtype=np.uint8)
        for name in ("predicted", "counted"):
            if name in self.arrays:
                self.arrays[name][position] = 0
        for name, count in counts.items():
            self.arrays[name][position] = count
        self.arrays["counted"][position] = mark
        if "prediction" in self.arrays:
            self.arrays["prediction"][position] = mask
            self.arrays["predicted"][position] = mark


def marks_of(model: Model, ds: xr.Dataset) -> dict[str, bytes]:
    """Tell the pixels of each scene apart from others.

    The first half tells those that all models are judged by, the second all that this one needs: what it needs must
    make the scores of others neither outdated nor incomparable.

    Returns
    -------
    dict
        64 bytes for each scene: two of `pixel_digests`.

    Raises
    ------
    CatalogueError
        If the scenes have no digests.
    """
    common, all_of_it = pixel_digests(ds, needed_variables(())), pixel_digests(ds, needed_variables((model,)))
    return {scene: digest + all_of_it[scene] for scene, digest in common.items()}


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

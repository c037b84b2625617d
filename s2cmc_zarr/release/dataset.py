"""The release as a lazy xarray Dataset of the schema."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from s2cmc_zarr.release.catalogue import Release
from s2cmc_zarr.release.inspection import NOT_IN_TABLE
from s2cmc_zarr.release.tags import PERCENT_COLUMNS
from s2cmc_zarr.schema import (
    ATTRIBUTES,
    BANDS,
    DIMS,
    DTYPES,
    FILL_VALUES,
    LABELS,
    PIXEL_SIZE,
    ROOT_ATTRIBUTES,
    TAG_GROUP,
    TAGS,
)

COMPONENT = {"reflectance": "subscenes", "mask": "masks", "alt_mask": "alt_masks", "thumbnail": "thumbnails"}
"""For each variable of pixels, the part of the release that holds it."""


def read_scene(release: Release, variable: str, scene: str) -> npt.NDArray[Any] | None:
    """Read one scene's array of a variable, in the schema's dimensions; None where the release has none.

    Raises
    ------
    DefectError
        If what is there is damaged or not as published.
    """
    component = COMPONENT[variable]
    if scene not in release.members.get(component, {}):
        return None
    if variable == "reflectance":
        return release.read_subscene(scene)
    if variable == "thumbnail":
        return release.read_thumbnail(scene)
    return release.read_mask(scene, component)


class SceneArray(BackendArray):
    """A variable over all scenes, of which only the scenes asked for are read."""

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)

    def read_scene(self, position: int, within: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Read the part of a scene that `select` would give."""
        raise NotImplementedError

    def __getitem__(self, key: indexing.ExplicitIndexer) -> npt.NDArray[Any]:
        """Give the values at `key`, reading scene by scene."""
        result: npt.NDArray[Any] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )
        return result

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        which, within = key[0], key[1:]
        if isinstance(which, int | np.integer):
            return self.read_scene(int(which), within)
        positions = range(self.shape[0])[which] if isinstance(which, slice) else np.asarray(which).tolist()
        if len(positions) == 1:
            return self.read_scene(positions[0], within)[np.newaxis]
        if not len(positions):
            return select(np.empty((0, *self.shape[1:]), self.dtype), (slice(None), *within))
        return np.stack([self.read_scene(position, within) for position in positions])


class ReleaseArray(SceneArray):
    """A variable of a release."""

    def __init__(self, release: Release, variable: str, shape: tuple[int, ...]) -> None:
        super().__init__((len(release.table), *shape), DTYPES[variable])
        self.release = release
        self.variable = variable

    def read_scene(self, position: int, within: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Read a scene, and give the part of it."""
        scene = str(self.release.table.index[position])
        values = read_scene(self.release, self.variable, scene)
        if values is None:
            values = np.full(self.shape[1:], FILL_VALUES[self.variable], self.dtype)
        return select(values, within)


def select(values: npt.NDArray[Any], key: tuple[Any, ...]) -> npt.NDArray[Any]:
    """Index every axis by its own integer, slice or integers; from the last, since an integer removes its axis."""
    for axis in reversed(range(len(key))):
        values = values[(slice(None),) * axis + (key[axis],)]
    return values


def chunk_by_scene(dataset: xr.Dataset) -> xr.Dataset:
    """Back the arrays of pixels by Dask, one chunk a scene; coordinates stay as they are."""
    chunked = {}
    for name in DIMS:
        if name in dataset:
            variable = dataset[name].variable
            chunked[name] = variable.chunk({dim: 1 if dim == "scene" else -1 for dim in variable.dims})
    return dataset.assign(chunked)


def release_dataset(release: Release) -> xr.Dataset:
    """Build the lazy Dataset of a release.

    Parameters
    ----------
    release : Release

    Returns
    -------
    xarray.Dataset
        The schema's coordinates in memory; of its arrays, those that the release has, lazily indexed.
    """
    rows, columns = release.size
    shapes: dict[str, tuple[int, ...]] = {
        "reflectance": (len(release.bands), rows, columns),
        "mask": (rows, columns),
        "alt_mask": (rows, columns),
    }
    if release.thumbnail_size:
        shapes["thumbnail"] = (*release.thumbnail_size, 3)
    variables = {}
    for name, shape in shapes.items():
        if not release.members.get(COMPONENT[name]):
            continue
        array = ReleaseArray(release, name, shape)
        variable = xr.Variable(DIMS[name], indexing.LazilyIndexedArray(array), dict(ATTRIBUTES[name]))
        variable.encoding["preferred_chunks"] = dict(zip(DIMS[name], (1, *shape), strict=True))
        variables[name] = variable
    attributes = dict(ROOT_ATTRIBUTES)
    if release.lacking:
        attributes["lacking"] = list(release.lacking)
    problems = ((scene, problem) for scene, found in release.defects.items() for problem in found)
    if unknown := [f"{scene}: {problem}" for scene, problem in problems if problem.endswith(NOT_IN_TABLE)]:
        attributes["not_in_table"] = unknown
    return xr.Dataset(variables, coords=_coordinates(release), attrs=attributes)


def _coordinates(release: Release) -> dict[str, xr.Variable]:
    table = release.table
    rows, columns = release.size
    bands = [band for band in BANDS if band.name in release.bands]
    coordinates: dict[str, tuple[Any, Any]] = {
        "scene": ("scene", table.index.to_numpy(dtype=str)),
        "band": ("band", [band.name for band in bands]),
        "common_name": ("band", [band.common_name for band in bands]),
        "centre_wavelength": ("band", [band.centre_wavelength for band in bands]),
        "bandwidth": ("band", [float(band.bandwidth) for band in bands]),
        "native_resolution": ("band", [band.native_resolution for band in bands]),
        "label": ("label", list(LABELS)),
        "tag": ("tag", list(TAGS)),
        "tag_group": ("tag", list(TAG_GROUP)),
        "tags": (("scene", "tag"), table[list(TAGS)].to_numpy()),
        "y": ("y", -PIXEL_SIZE * (np.arange(rows) + 0.5)),
        "x": ("x", PIXEL_SIZE * (np.arange(columns) + 0.5)),
        "table_class_count": (("scene", "label"), table[list(LABELS)].to_numpy()),
        "has_alt_mask": ("scene", table.index.isin(list(release.members.get("alt_masks", ())))),
        "defects": ("scene", np.array(["; ".join(release.defects.get(scene, ())) for scene in table.index], dtype=str)),
    }
    for name in ("time", "relative_orbit", "difficulty", "shadows_marked", "group", *PERCENT_COLUMNS):
        coordinates[name] = ("scene", table[name].to_numpy())
    for name in ("platform", "baseline", "tile", "annotator", "dataset"):
        coordinates[name] = ("scene", table[name].to_numpy(dtype=str))
    if release.footprints is not None:
        footprints = [release.footprints.get(scene) for scene in table.index]
        centres = np.array([found.centre() if found else (np.nan, np.nan) for found in footprints]).reshape(-1, 2)
        coordinates["epsg"] = ("scene", np.array([found.epsg if found else 0 for found in footprints]))
        coordinates["x_origin"] = ("scene", np.array([found.x_origin if found else np.nan for found in footprints]))
        coordinates["y_origin"] = ("scene", np.array([found.y_origin if found else np.nan for found in footprints]))
        coordinates["longitude"] = ("scene", centres[:, 0])
        coordinates["latitude"] = ("scene", centres[:, 1])
        coordinates["footprint"] = ("scene", np.array([found.wkt if found else "" for found in footprints], dtype=str))
    return {
        name: xr.Variable(*coordinates[name], attributes)
        for name, attributes in ATTRIBUTES.items()
        if name in coordinates
    }

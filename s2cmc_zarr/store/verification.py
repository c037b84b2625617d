"""Verification: every scene against its stored digests and, with a source, bit by bit against the release."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from dask.delayed import delayed
from zarr.abc.store import Store

from s2cmc_zarr.errors import DefectError
from s2cmc_zarr.progress import compute
from s2cmc_zarr.release.catalogue import Release
from s2cmc_zarr.release.dataset import read_scene, release_dataset
from s2cmc_zarr.release.masks import count_labels
from s2cmc_zarr.retrying import StorageError
from s2cmc_zarr.schema import DIMS, DTYPES, FILL_VALUES
from s2cmc_zarr.store import packing
from s2cmc_zarr.store.conversion import released_digest
from s2cmc_zarr.store.layout import attributes_digest, coordinate_digests
from s2cmc_zarr.store.objects import ROOT, connect, get_json
from s2cmc_zarr.store.opening import open_store, root_attributes
from s2cmc_zarr.store.packing import pack


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    scenes : int
        Number of scenes compared.
    arrays : int
        Number of arrays of a scene compared.
    differences : list of tuple of str
        Scene (empty: the whole store), variable, and what differs.
    """

    scenes: int
    arrays: int
    differences: list[tuple[str, str, str]]

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def verify(
    store: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    *,
    progress: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    source_storage_options: Mapping[str, Any] | None = None,
) -> Verification:
    """Compare a store with the digests taken when it was converted and, if given, with the release itself.

    Parameters
    ----------
    store : str or path
        At any fsspec URL.
    source : str or path, optional
        The release from which it was converted: every array is then also compared bit by bit, and every coordinate.
    progress : bool
        Whether to draw a progress bar.
    storage_options, source_storage_options : mapping, optional
        For fsspec.

    Returns
    -------
    Verification

    Raises
    ------
    CatalogueError
        If store or source are not what they should be, or the store's metadata or coordinates cannot be read.
    """
    target = connect(store, storage_options)
    dataset = open_store(target)
    complete = dataset.attrs["conversion"] == "complete"
    attributes = root_attributes(target) or {}
    if complete and attributes.get("attributes_sha256") != attributes_digest(attributes):
        # What the rest is compared with.
        what = f"the attributes in {ROOT} are not what was written: their SHA-256 differs or is absent"
        return Verification(0, 0, [("", "", what)])
    group = zarr.open_group(target, mode="r", use_consolidated=complete)
    digested = dataset.attrs.get("coordinates_sha256", {}) if complete else {}
    if differences := _compare_metadata(target, group, dataset, digested):
        # Values are what the metadata make of the bytes.
        return Verification(0, 0, differences)
    if complete:
        for name, digest in coordinate_digests(dataset).items():
            if digest != digested.get(name):
                differences.append(("", name, "is not what was converted: its SHA-256 differs"))
    arrays = {name: array for name, array in group.arrays() if name in DIMS}
    release = None
    if source is not None:
        release = Release.open(
            os.fspath(source), on_defect=dataset.attrs["on_defect"], storage_options=source_storage_options
        )
        release = release.examine(dataset["scene"].values.tolist()).select_bands(dataset.attrs["bands"])
        differences += _compare_coordinates(dataset, release_dataset(release))
    run = uuid.uuid4().hex
    shared = delayed((arrays, release), name=f"target-{run}", traverse=False)
    tasks = []
    for position, scene in enumerate(dataset["scene"].values.tolist()):
        if not dataset["converted"].values[position]:
            differences.append((scene, "", dataset["defects"].values[position] or "was not converted"))
            continue
        digests = {name: str(dataset[f"{name}_sha256"].values[position]) for name in arrays}
        counts = dataset["mask_class_count"].values[position].tolist()
        key = f"verify-{scene}-{run}"
        tasks.append(delayed(verify_scene, pure=False)(shared, scene, position, digests, counts, dask_key_name=key))
    for found in compute(*tasks, progress=progress):
        differences += found
    return Verification(len(tasks), len(tasks) * len(arrays), differences)


def verify_scene(
    shared: tuple[Mapping[str, zarr.Array[Any]], Release | None],
    scene: str,
    position: int,
    digests: Mapping[str, str],
    counts: list[int],
) -> list[tuple[str, str, str]]:
    """Compare the arrays of one scene; give what differs as (scene, variable, what)."""
    arrays, release = shared
    differences = []
    for variable, array in arrays.items():
        try:
            values = np.asarray(array[position])
        except StorageError as error:
            raise StorageError(f"{scene}: {error}") from None
        except (OSError, ValueError, RuntimeError) as error:
            # Zarr goes on with the two checksums as bytes.
            differences.append((scene, variable, f"cannot be read from the store ({str(error).partition('. ')[0]})"))
            continue
        if digests[variable]:
            if released_digest(variable, values) != digests[variable]:
                differences.append((scene, variable, "is not what was converted: its SHA-256 differs"))
        elif not _is_fill(values, array):
            differences.append((scene, variable, "has values, although the release had none"))
        if variable == "mask" and digests[variable] and count_labels(values).tolist() != counts:
            differences.append((scene, variable, f"class counts differ from those when converted, {counts}"))
        if release is not None:
            differences += _compare_with_release(release, scene, variable, values)
    return differences


def _compare_metadata(
    store: Store, group: zarr.Group, dataset: xr.Dataset, coordinates: Iterable[str]
) -> list[tuple[str, str, str]]:
    """Compare the arrays of a store with the schema, and their metadata with the consolidated copy."""
    differences = [("", name, "is not in the store") for name in coordinates if name not in dataset.coords]
    consolidated = (get_json(store, ROOT) or {}).get("consolidated_metadata", {}).get("metadata", {})
    for name, metadata in consolidated.items():
        if get_json(store, f"{name}/{ROOT}") != metadata:
            differences.append(("", name, f"its {ROOT} is absent, or is not what the store's own says of it"))
    for name, array in group.arrays():
        if name not in DIMS:
            continue
        expected = DTYPES[name], FILL_VALUES[name]
        if name == "reflectance" and dataset.attrs["packed"]:
            expected = packing.DTYPE, packing.FILL_VALUE
        found = str(array.dtype), np.asarray(array.fill_value).item()
        if found[0] != expected[0] or not np.array_equal(found[1], expected[1], equal_nan=True):
            what = f"is {found[0]} with fill value {found[1]}, expected {expected[0]} with {expected[1]}"
            differences.append(("", name, what))
    return differences


def _compare_with_release(
    release: Release, scene: str, variable: str, values: npt.NDArray[Any]
) -> list[tuple[str, str, str]]:
    if scene not in release.table.index:
        return []
    try:
        released = read_scene(release, variable, scene)
    except DefectError as error:
        return [(scene, variable, f"cannot be read from the release ({error})")]
    if released is None:
        return []
    if released.dtype != values.dtype:
        released, _ = pack(released, scene)
    if released.shape != values.shape:
        return [(scene, variable, f"has shape {values.shape}, the release {released.shape}")]
    different = int(np.count_nonzero(_bits(released) != _bits(values)))
    return [(scene, variable, f"{different:,} values differ from the release")] if different else []


def _bits(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.view(f"u{values.dtype.itemsize}")


def _is_fill(values: npt.NDArray[Any], array: zarr.Array[Any]) -> bool:
    fill = np.asarray(array.fill_value, dtype=values.dtype)
    return bool(np.array_equal(values, np.broadcast_to(fill, values.shape), equal_nan=values.dtype.kind == "f"))


def _compare_coordinates(dataset: xr.Dataset, released: xr.Dataset) -> list[tuple[str, str, str]]:
    if missing := np.setdiff1d(dataset["scene"].values, released["scene"].values).tolist():
        return [(scene, "", "is not in the release") for scene in missing]
    # The store may have been made of some scenes only.
    released = released.sel(scene=dataset["scene"].values)
    differences = [("", str(name), "is not in the release") for name in dataset.data_vars if name not in released]
    differences += [("", str(name), "is not in the store") for name in released.data_vars if name not in dataset]
    for name, coordinate in released.coords.items():
        if name == "defects":
            continue  # The store's also say what was found while converting.
        if name not in dataset.coords:
            differences.append(("", str(name), "is not in the store"))
        elif not coordinate.variable.identical(dataset[name].variable):
            differences.append(("", str(name), "differs from the release"))
    return differences

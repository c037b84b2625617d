"""Conversion: plan what is to be done, write scene by scene as independent tasks, finish."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from dask.delayed import delayed
from zarr.abc.store import Store

from s2cmc_zarr.errors import CatalogueError, DefectError
from s2cmc_zarr.progress import compute
from s2cmc_zarr.release.catalogue import OnDefect, Release
from s2cmc_zarr.release.dataset import bands_first, read_scene, release_dataset
from s2cmc_zarr.release.masks import count_labels, encode_mask
from s2cmc_zarr.schema import ROOT_ATTRIBUTES
from s2cmc_zarr.store import layout
from s2cmc_zarr.store.objects import clear, connect, list_names
from s2cmc_zarr.store.opening import open_store, root_attributes
from s2cmc_zarr.store.records import (
    Record,
    delete_records,
    read_records,
    record_coordinates,
    record_names,
    records_of,
    write_record,
)


@dataclass(frozen=True)
class Plan:
    """What a conversion will do.

    Attributes
    ----------
    release : Release
    store : zarr.abc.store.Store
        Read-only.
    dataset : xarray.Dataset
        The release as a Dataset: the store's coordinates and the shapes of its arrays.
    attributes : dict
        Root attributes of the store.
    records : dict of str to Record
        Of the scenes that are already converted.
    pending : tuple of str
        Ids of the scenes to convert.
    state : str
        ``"absent"``, ``"incomplete"`` or ``"complete"``: the store as found.
    """

    release: Release
    store: Store
    dataset: xr.Dataset
    attributes: dict[str, Any]
    records: dict[str, Record]
    pending: tuple[str, ...]
    state: str


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes
    ----------
    written : tuple of str
        Ids of the scenes written now.
    kept : int
        Number of scenes that were already in the store.
    defects : dict of str to str
        What is wrong with scenes that are in the store, by id.
    lacking : tuple of str
        What of the published catalogue the source does not have.
    """

    written: tuple[str, ...]
    kept: int
    defects: dict[str, str]
    lacking: tuple[str, ...]


def plan_conversion(
    source: str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    on_defect: OnDefect = "raise",
    overwrite: bool = False,
    source_storage_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Plan:
    """Check source and store, and say what there is to do; see `convert` for the parameters.

    Nothing is written. Where there is something to do all masks are read, so that defects are known before it is begun.
    """
    release = Release.open(os.fspath(source), on_defect=on_defect, storage_options=source_storage_options)
    dataset = release_dataset(release)
    attributes = _attributes(release, dataset)
    target = connect(store, storage_options)
    found = root_attributes(target)
    if found is None:
        if list_names(target, ""):
            raise CatalogueError(f"{store} exists and is no store of the catalogue; choose another place or remove it")
        return _fresh_plan(release, target, dataset, attributes, "absent")
    if overwrite:
        return _fresh_plan(release, target, dataset, attributes, found["conversion"])
    if difference := _difference(found, attributes):
        raise CatalogueError(
            f"{store} was converted from another source: {difference}. "
            "Choose another store, or --overwrite (overwrite=True) to replace it"
        )
    records = records_of(open_store(target)) if found["conversion"] == "complete" else read_records(target)
    done = {scene: record for scene, record in records.items() if record.converted}
    pending = tuple(scene for scene in dataset["scene"].values.tolist() if scene not in done)
    if pending:
        release.check_masks()
    return Plan(release, target, dataset, attributes, done, pending, found["conversion"])


def convert(
    source: str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    on_defect: OnDefect = "raise",
    overwrite: bool = False,
    progress: bool = False,
    source_storage_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Conversion:
    """Convert the catalogue as released to a Zarr store, on whichever Dask scheduler is active.

    A run that was interrupted is continued: only scenes that are missing are written, and the store ends in the same
    bytes. Until the last scene is written, the store says that it is incomplete.

    Parameters
    ----------
    source : str or path
        The release, see `open_release`.
    store : str or path
        Where the store is to be, at any fsspec URL.
    on_defect : {"raise", "skip", "mark"}
        What to do about scenes that contradict the published layout or the tag table: fail before anything is
        written, leave them out, or keep them with the coordinate ``defects`` saying what is wrong and pixels without
        exactly one class 255. With ``"skip"`` and ``"mark"``, a subscene that turns out to be damaged is left
        unwritten and reported.
    overwrite : bool
        Replace a store of the catalogue that is there. Anything else is never replaced.
    progress : bool
        Whether to draw a progress bar.
    source_storage_options, storage_options : mapping, optional
        For fsspec, of source and store.

    Returns
    -------
    Conversion

    Raises
    ------
    CatalogueError
        If the source is no release, or the store is something else or of another source.
    DefectError
        If a scene has defects and `on_defect` is ``"raise"``, or a subscene is damaged.
    """
    plan = plan_conversion(
        source,
        store,
        on_defect=on_defect,
        overwrite=overwrite,
        source_storage_options=source_storage_options,
        storage_options=storage_options,
    )
    return carry_out(plan, progress=progress)


def carry_out(plan: Plan, *, progress: bool = False) -> Conversion:
    """Do what a plan says; see `convert`."""
    if plan.state == "complete" and not plan.pending:
        return _summary(plan, open_store(plan.store), ())
    plan = replace(plan, store=plan.store.with_read_only(False))
    if not plan.records:
        clear(plan.store)
        layout.create_root(plan.store, plan.attributes)
        layout.create_coordinates(plan.store, record_coordinates(plan.dataset, {}))
    elif plan.state == "complete":
        for scene, record in plan.records.items():
            write_record(plan.store, scene, record)
        layout.withdraw(plan.store)
    arrays = layout.create_arrays(plan.store, plan.dataset)

    shared = delayed(Target(plan.release, plan.store, arrays), pure=True, traverse=False)
    positions = {scene: position for position, scene in enumerate(plan.dataset["scene"].values.tolist())}
    tasks = [
        delayed(write_scene, pure=False)(shared, scene, positions[scene], dask_key_name=f"convert-{scene}")
        for scene in plan.pending
    ]
    compute(*tasks, progress=progress)
    return _finish(plan)


@dataclass(frozen=True)
class Target:
    """What every task of a conversion shares: where to read and where to write."""

    release: Release
    store: Store
    arrays: Mapping[str, zarr.Array[Any]]


def write_scene(target: Target, scene: str, position: int) -> None:
    """Write all arrays of one scene, then its record.

    Parameters
    ----------
    target : Target
    scene : str
    position : int
        Of the scene in the store.

    Raises
    ------
    DefectError
        If the scene is damaged and defects are neither skipped nor marked.
    """
    try:
        values, digests = read_with_digests(target.release, scene, tuple(target.arrays))
    except DefectError as error:
        if target.release.on_defect == "raise":
            raise
        write_record(target.store, scene, Record(defects=[str(error)]))
        return
    for variable, array in target.arrays.items():
        if variable in values:
            array[position] = values[variable]
    counts = count_labels(values["mask"]).tolist() if "mask" in values else [0, 0, 0]
    write_record(target.store, scene, Record(converted=True, mask_class_count=counts, sha256=digests))


def read_with_digests(
    release: Release, scene: str, variables: tuple[str, ...]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Read a scene's arrays from the release, each in the schema's form and with the digest of its released form."""
    values: dict[str, npt.NDArray[Any]] = {}
    digests = {}
    for variable in variables:
        if variable == "reflectance" and scene in release.members.get("subscenes", {}):
            released = release.read_subscene(scene)
            digests[variable] = hashlib.sha256(released.data).hexdigest()
            values[variable] = bands_first(released)
        elif (array := read_scene(release, variable, scene)) is not None:
            digests[variable] = released_digest(variable, array)
            values[variable] = array
    return values, digests


def released_digest(variable: str, values: npt.NDArray[Any]) -> str:
    """SHA-256 of an array of the schema, brought back into the form in which it was released.

    Parameters
    ----------
    variable : str
    values : numpy.ndarray
        One scene: (band, y, x) float32, (y, x) uint8 or (ty, tx, rgb) uint8.
    """
    if variable == "reflectance":
        released = np.ascontiguousarray(np.moveaxis(values, 0, -1), dtype="<f4")
    elif variable == "thumbnail":
        released = np.ascontiguousarray(values)
    else:
        released = encode_mask(values)
    return hashlib.sha256(released.data).hexdigest()


def _finish(plan: Plan) -> Conversion:
    records = read_records(plan.store)
    dataset = record_coordinates(plan.dataset, records)
    layout.update_coordinates(plan.store, dataset, record_names(dataset))
    layout.publish(plan.store, {"conversion": "complete"})
    delete_records(plan.store)
    return _summary(plan, dataset, tuple(scene for scene in plan.pending if records[scene].converted))


def _summary(plan: Plan, dataset: xr.Dataset, written: tuple[str, ...]) -> Conversion:
    defects = {
        str(scene): str(text)
        for scene, text in zip(dataset["scene"].values, dataset["defects"].values, strict=True)
        if text
    }
    return Conversion(written, len(plan.records), defects, plan.release.lacking)


def _fresh_plan(release: Release, store: Store, dataset: xr.Dataset, attributes: dict[str, Any], state: str) -> Plan:
    release.check_masks()
    return Plan(release, store, dataset, attributes, {}, tuple(dataset["scene"].values.tolist()), state)


def _attributes(release: Release, dataset: xr.Dataset) -> dict[str, Any]:
    version = importlib.metadata.version("s2cmc-zarr")
    scenes = "\n".join(dataset["scene"].values.tolist())
    return {
        **ROOT_ATTRIBUTES,
        **dataset.attrs,
        "history": f"converted from the release by s2cmc-zarr {version}",
        "software_version": version,
        "on_defect": release.on_defect,
        "source_digests": dict(release.digests),
        "scenes_sha256": hashlib.sha256(scenes.encode()).hexdigest(),
        "scene_size": list(release.size),
        "conversion": "incomplete",
    }


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Say how a store differs from what a source would make, if it does."""
    for name in ("scene_size", "on_defect", "scenes_sha256"):
        if found.get(name) != wanted[name]:
            return f"{name} is {found.get(name)!r} there, {wanted[name]!r} here"
    before, now = found.get("source_digests", {}), wanted["source_digests"]
    if set(before) != set(now):
        return f"it holds {', '.join(sorted(before))}, the source {', '.join(sorted(now))}"
    for name, digest in now.items():
        # Listings of a zip know checksums, listings of a folder do not: only like is compared with like.
        if before[name] != digest and before[name].partition(":")[0] == digest.partition(":")[0]:
            return f"{name} has other content"
    return None

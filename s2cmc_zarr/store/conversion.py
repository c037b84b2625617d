"""Conversion: write scene by scene as independent tasks, publish when the last one is there."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from dask.delayed import delayed
from zarr.abc.store import Store

from s2cmc_zarr.errors import CatalogueError, DefectError
from s2cmc_zarr.progress import compute
from s2cmc_zarr.release.catalogue import OnDefect, Release
from s2cmc_zarr.release.dataset import read_scene
from s2cmc_zarr.release.masks import count_labels, encode_mask
from s2cmc_zarr.release.selection import Choice
from s2cmc_zarr.retrying import naming
from s2cmc_zarr.store import layout
from s2cmc_zarr.store.claim import claim, is_claimed
from s2cmc_zarr.store.objects import connect
from s2cmc_zarr.store.opening import open_store
from s2cmc_zarr.store.packing import pack
from s2cmc_zarr.store.planning import Plan, choose_scenes, make_plan
from s2cmc_zarr.store.preparation import prepare
from s2cmc_zarr.store.presets import Encoding, PresetName, encoding
from s2cmc_zarr.store.records import (
    Record,
    delete_records,
    has_records,
    read_records,
    record_coordinates,
    record_names,
    with_shards,
    write_record,
)
from s2cmc_zarr.store.shards import write_shard

_ROWS = 16
_MOST = 10
"""Scenes that a message names."""


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
        What is wrong with scenes that have a place in the store, by id.
    damaged : tuple of str
        Ids of those of them that could not be converted.
    skipped : dict of str to str
        What is wrong with scenes that were left out, by id.
    lacking : tuple of str
        What of the published catalogue the source does not have.
    packing_error : float or None
        Largest error of reflectance in a packed store.
    """

    written: tuple[str, ...]
    kept: int
    defects: dict[str, str]
    damaged: tuple[str, ...]
    skipped: dict[str, str]
    lacking: tuple[str, ...]
    packing_error: float | None


def convert(
    source: str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    scenes: Choice | None = None,
    bands: str | Iterable[str] | None = None,
    preset: PresetName | None = None,
    packed: bool = False,
    on_defect: OnDefect = "raise",
    overwrite: bool = False,
    take_over: bool = False,
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
    scenes : str, path, iterable of str, or bool array, optional
        Which scenes: ids; the path of a file of ids; an expression over the tags and columns such as
        ``"snow/ice and not thick and difficulty >= 3"``; or an array over `scene`, of ids or bool, such as
        ``released.tags.sel(tag="snow/ice")``. All by default. Scenes that are in the store stay
        there: adding scenes later gives the same bytes as converting all of them at once.
    bands : str or iterable of str, optional
        Names of the bands of ``reflectance`` to convert; all by default. Models need all of them.
    preset : {"balanced", "archive", "training"}, optional
        How reflectance is chunked and compressed, losslessly in any case: for all ways of reading (the default for a
        new store), as small as possible, or for random patches of all bands.
    packed : bool
        Round reflectance to whole digital numbers of 16 bits: under half the size, not lossless. The largest error
        of every scene is in the coordinate ``packing_error``; a value that does not fit is a defect.
    on_defect : {"raise", "skip", "mark"}
        What to do about scenes that contradict the published layout or the tag table: fail before anything is
        written, leave them out, or keep them with the coordinate ``defects`` saying what is wrong and pixels without
        exactly one class 255. With ``"skip"`` and ``"mark"``, a subscene that turns out to be damaged is left
        unwritten and reported.
    overwrite : bool
        Replace a store of the catalogue that is there. Anything else is never replaced.
    take_over : bool
        Go on although another run says that it is writing to the store. One that has died is taken over anyway.
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
        If the source is no release or has neither subscenes nor masks, the store is something else or of another
        source, or another run is writing to it.
    DefectError
        If a scene has defects and `on_defect` is ``"raise"``, or a subscene is damaged.
    """
    release = Release.open(os.fspath(source), on_defect=on_defect, storage_options=source_storage_options)
    if bands is not None:
        release = release.select_bands(bands)
    target = connect(store, storage_options)
    release = release.examine(choose_scenes(release, target, scenes, overwrite=overwrite))
    plan = make_plan(release, target, preset=preset, packed=packed, overwrite=overwrite)
    if plan.is_done and not is_claimed(target) and not has_records(target):
        return _summary(plan, open_store(target), ())
    if not plan.is_done:
        plan.release.check_masks()
    target = target.with_read_only(False)
    with claim(target, take_over=take_over):
        # Again, since another run may have gone on in between.
        plan = make_plan(release, target, preset=preset, packed=packed, overwrite=overwrite)
        if plan.is_done:
            # An earlier run died between publishing and tidying up.
            delete_records(target)
            return _summary(plan, open_store(target), ())
        return carry_out(plan, progress=progress)


def carry_out(plan: Plan, *, progress: bool = False) -> Conversion:
    """Do what a plan says; see `convert`."""
    prepare(plan)
    encodings = {str(name): encoding(str(name), plan.preset) for name in plan.dataset.data_vars}
    # Of this run alone: a scheduler gives two tasks of one key the same result, and remembers it for a while.
    run = uuid.uuid4().hex
    target = delayed(Target(plan.release, plan.store, encodings, plan.packed), name=f"target-{run}", traverse=False)
    positions = {scene: position for position, scene in enumerate(plan.scenes)}
    tasks = [
        delayed(write_scene, pure=False)(target, scene, positions[scene], dask_key_name=f"convert-{scene}-{run}")
        for scene in plan.pending
    ]
    try:
        done = compute(*tasks, progress=progress)
    except DefectError as error:
        raise DefectError(
            f"{error}\nThe store is incomplete; once the source is repaired, the same command goes on. Or leave out "
            "what is damaged: on_defect='skip' or 'mark' with overwrite=True (--on-defect skip --overwrite)"
        ) from None
    written = dict(zip(plan.pending, done, strict=True))
    _check_written(plan.store, plan.records | written)
    dataset = record_coordinates(plan.dataset, plan.records | written)
    layout.update_coordinates(plan.store, dataset, record_names(dataset))
    layout.publish(plan.store, dataset)
    delete_records(plan.store)
    return _summary(plan, dataset, tuple(scene for scene, record in written.items() if record.converted))


def _check_written(store: Store, records: Mapping[str, Record]) -> None:
    """Refuse to publish what is not there: a worker may have another file system under the same path."""
    found = with_shards(store, read_records(store))
    if lost := [scene for scene, record in records.items() if found.get(scene) != record]:
        more = f" and {len(lost) - _MOST} more" if len(lost) > _MOST else ""
        raise CatalogueError(
            f"what was written is not in {store}: {', '.join(lost[:_MOST])}{more}. It stays incomplete. Let all "
            "workers see the same place under that path or URL, then run the same command again"
        )


@dataclass(frozen=True)
class Target:
    """What every task of a conversion shares: where to read, where to write, and how."""

    release: Release
    store: Store
    encodings: Mapping[str, Encoding]
    packed: bool


def write_scene(target: Target, scene: str, position: int) -> Record:
    """Write all arrays of one scene, then its record, and give the record.

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
        values, digests = read_with_digests(target.release, scene, tuple(target.encodings))
        packing_error = 0.0
        if target.packed and "reflectance" in values:
            values["reflectance"], packing_error = pack(values["reflectance"], scene)
            digests["reflectance"] = released_digest("reflectance", values["reflectance"])
    except DefectError as error:
        if target.release.on_defect == "raise":
            raise
        record = Record(position=position, defects=[str(error)])
        write_record(target.store, scene, record)
        return record
    with naming(scene):
        sizes = {
            variable: write_shard(target.store, variable, position, array, target.encodings[variable])
            for variable, array in values.items()
        }
    counts = count_labels(values["mask"]).tolist() if "mask" in values else [0, 0, 0]
    record = Record(True, position, counts, digests, packing_error=packing_error, sizes=sizes)
    write_record(target.store, scene, record)
    return record


def read_with_digests(
    release: Release, scene: str, variables: tuple[str, ...]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Read a scene's arrays from the release, each in the schema's form and with the digest of its released form."""
    values: dict[str, npt.NDArray[Any]] = {}
    digests = {}
    for variable in variables:
        if variable == "reflectance" and scene in release.members.get("subscenes", {}):
            digest = hashlib.sha256()
            values[variable] = release.read_subscene(scene, digest)
            digests[variable] = digest.hexdigest()
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
        One scene: (band, y, x) float32 or packed uint16, (y, x) uint8 or (ty, tx, rgb) uint8.
    """
    if variable == "reflectance":
        digest = hashlib.sha256()
        # Some rows at a time: they stay in the cache, and no second array is made.
        for row in range(0, values.shape[1], _ROWS):
            rows = values[:, row : row + _ROWS].transpose(1, 2, 0)
            digest.update(np.ascontiguousarray(rows, dtype=values.dtype.newbyteorder("<")).data)
        return digest.hexdigest()
    released = np.ascontiguousarray(values) if variable == "thumbnail" else encode_mask(values)
    return hashlib.sha256(released.data).hexdigest()


def _summary(plan: Plan, dataset: xr.Dataset, written: tuple[str, ...]) -> Conversion:
    defects = {
        str(scene): str(text)
        for scene, text in zip(dataset["scene"].values, dataset["defects"].values, strict=True)
        if text
    }
    damaged = tuple(dataset["scene"].values[~dataset["converted"].values].tolist())
    left_out = plan.release.defects.keys() - set(plan.scenes)
    skipped = {scene: "; ".join(problems) for scene, problems in plan.release.defects.items() if scene in left_out}
    error = float(dataset["packing_error"].max()) if plan.packed else None
    return Conversion(written, len(plan.records), defects, damaged, skipped, plan.release.lacking, error)

"""Planning a conversion: what the source has, what the store has, what is to be done; nothing is written."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import xarray as xr
from zarr.abc.store import Store

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.catalogue import Release
from s2cmc_zarr.release.dataset import release_dataset
from s2cmc_zarr.release.selection import Choice, select_scenes
from s2cmc_zarr.schema import ROOT_ATTRIBUTES
from s2cmc_zarr.store.claim import is_claim_alone
from s2cmc_zarr.store.opening import open_store, root_attributes
from s2cmc_zarr.store.presets import PRESETS, PresetName
from s2cmc_zarr.store.records import Record, read_records, records_of, with_shards

State: TypeAlias = Literal["absent", "incomplete", "complete"]


@dataclass(frozen=True)
class Plan:
    """What a conversion will do.

    Attributes
    ----------
    release : Release
        The source, with the scenes that the store will have.
    store : zarr.abc.store.Store
    dataset : xarray.Dataset
        The release as a Dataset: the store's coordinates and the shapes of its arrays.
    attributes : dict
        Root attributes of the store.
    records : dict of str to Record
        Of the scenes that are converted already.
    pending : tuple of str
        Ids of the scenes to convert.
    state : {"absent", "incomplete", "complete"}
        The store as found.
    preset : str
        How reflectance is encoded.
    packed : bool
        Whether reflectance is packed to 16 bits.
    """

    release: Release
    store: Store
    dataset: xr.Dataset
    attributes: dict[str, Any]
    records: dict[str, Record]
    pending: tuple[str, ...]
    state: State
    preset: PresetName
    packed: bool

    @property
    def scenes(self) -> list[str]:
        """Ids of the store's scenes, in order."""
        scenes: list[str] = self.dataset["scene"].values.tolist()
        return scenes

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        return self.state == "complete" and not self.pending


def choose_scenes(
    release: Release, store: Store, scenes: Choice | None, *, overwrite: bool = False
) -> list[str] | None:
    """Say which scenes a conversion is about: those to convert, see `select_scenes`, and those that the store has.

    Returns
    -------
    list of str or None
        None for all, if `scenes` is None.

    Raises
    ------
    CatalogueError
        If `scenes` is no choice of scenes of the source.
    """
    if scenes is None:
        return None
    chosen = select_scenes(release.table, scenes)
    found = None if overwrite else root_attributes(store)
    if found is None:
        return chosen
    # Of a complete store, the root does not repeat the coordinate.
    return [*chosen, *(found.get("planned_scenes") or open_store(store)["scene"].values.tolist())]


def make_plan(
    release: Release,
    store: Store,
    *,
    preset: PresetName | None = None,
    packed: bool = False,
    overwrite: bool = False,
) -> Plan:
    """Compare a source with a store.

    Parameters
    ----------
    release : Release
        With the scenes to convert, and those that the store has: see `choose_scenes`.
    store : zarr.abc.store.Store
    preset : str, optional
        Default: that of the store, or else ``"balanced"``.
    packed : bool
        Pack reflectance to 16 bits.
    overwrite : bool
        Plan as if the store were empty.

    Raises
    ------
    CatalogueError
        If the source has neither subscenes nor masks, or the store is something else, or was made from another source
        or with other options.
    """
    if preset is not None and preset not in PRESETS:
        raise CatalogueError(f"preset is {preset!r}, expected one of: {', '.join(PRESETS)}")
    if not any(release.members.get(component) for component in ("subscenes", "masks")):
        raise CatalogueError(
            "the source has neither subscenes nor masks that can be read, expected at least one of them beside the tag "
            "table, as .zip or folder; download them"
        )
    wanted = list(release.table.index)
    found = root_attributes(store)
    if found is None and not is_claim_alone(store):
        raise CatalogueError(f"{store} exists and is no store of the catalogue; choose another place or remove it")
    if found is None or overwrite:
        state: State = "absent" if found is None else found["conversion"]
        return _plan(release, store, wanted, {}, state, preset or "balanced", packed)
    preset = preset or found["preset"]
    if difference := _difference(found, _attributes(release, release_dataset(release), preset, packed)):
        raise CatalogueError(
            f"{store} was converted {difference}. Choose another store, or --overwrite (overwrite=True) to replace it"
        )
    state = found["conversion"]
    if state == "complete":
        dataset = open_store(store)
        planned, records = dataset["scene"].values.tolist(), records_of(dataset)
    else:
        planned, records = found["planned_scenes"], read_records(store)
    if missing := np.setdiff1d(planned, wanted).tolist():
        raise CatalogueError(f"{store} has {len(missing)} scenes that the source lacks, the first is {missing[0]}")
    done = with_shards(store, {scene: record for scene, record in records.items() if record.converted})
    return _plan(release, store, wanted, done, state, preset, packed)


def _plan(
    release: Release,
    store: Store,
    scenes: list[str],
    records: dict[str, Record],
    state: State,
    preset: PresetName,
    packed: bool,
) -> Plan:
    release = release.select(scenes)
    dataset = release_dataset(release)
    pending = tuple(scene for scene in scenes if scene not in records)
    return Plan(
        release, store, dataset, _attributes(release, dataset, preset, packed), records, pending, state, preset, packed
    )


def _attributes(release: Release, dataset: xr.Dataset, preset: PresetName, packed: bool) -> dict[str, Any]:
    version = importlib.metadata.version("s2cmc-zarr")
    return {
        **ROOT_ATTRIBUTES,
        **dataset.attrs,
        "history": f"converted from the release by s2cmc-zarr {version}",
        "software_version": version,
        "on_defect": release.on_defect,
        "source_digests": dict(release.digests),
        "scene_size": list(release.size),
        "bands": list(release.bands),
        "preset": preset,
        "packed": packed,
        "conversion": "incomplete",
        "planned_scenes": dataset["scene"].values.tolist(),
    }


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Say how a store differs from what a source would make, if it does."""
    for name in ("scene_size", "bands", "preset", "packed", "on_defect"):
        if found.get(name) != wanted[name]:
            how = "from another source" if name == "scene_size" else "with other options"
            return f"{how}: {name} is {found.get(name)!r} there, {wanted[name]!r} here"
    before, now = found.get("source_digests", {}), wanted["source_digests"]
    if set(before) != set(now):
        return f"from another source: it holds {', '.join(sorted(before))}, the source {', '.join(sorted(now))}"
    for name, digest in now.items():
        # Listings of a zip know checksums, listings of a folder do not: only like is compared with like.
        if before[name] != digest and before[name].partition(":")[0] == digest.partition(":")[0]:
            return f"from another source: {name} has other content"
    return None

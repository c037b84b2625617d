"""Making a store ready for a plan: its root, arrays and coordinates, and the shards that are there in their places."""

from __future__ import annotations

from dataclasses import replace

from s2cmc_zarr.store import layout
from s2cmc_zarr.store.claim import CLAIM
from s2cmc_zarr.store.objects import clear, copy, delete_folder, delete_partial, list_names
from s2cmc_zarr.store.planning import Plan
from s2cmc_zarr.store.records import delete_records, record_coordinates, write_record
from s2cmc_zarr.store.shards import shard_key


def prepare(plan: Plan) -> None:
    """Make the store ready to be written: incomplete, of the planned scenes, with what was converted before.

    Every step can be repeated, so a run that dies here is continued like any other.
    """
    store = plan.store
    # Those of scenes that are not to be kept must not be taken for the new ones.
    delete_records(store, keep=plan.records)
    if plan.state == "complete":
        for scene, record in plan.records.items():
            write_record(store, scene, record)
    # From here on the store is incomplete, and says which scenes it is to have.
    layout.write_root(store, plan.attributes)
    delete_partial(store)
    if not plan.records:
        clear(store, keep=(CLAIM,))
    layout.create_arrays(store, plan.dataset, plan.preset, packed=plan.packed)
    _place_shards(plan)
    layout.create_coordinates(store, record_coordinates(plan.dataset, {}))


def _place_shards(plan: Plan) -> None:
    """Move the shards of converted scenes to their places among the planned ones, and remove all others.

    Added scenes only push others back. From the last one on, a shard is copied to where nothing is needed any more,
    and its record is changed before anything is written over the old place: at no moment is it nowhere.
    """
    dimensions = {name: variable.ndim for name, variable in plan.dataset.data_vars.items()}
    positions = {scene: position for position, scene in enumerate(plan.scenes)}
    for scene in sorted(plan.records, key=positions.__getitem__, reverse=True):
        record, position = plan.records[scene], positions[scene]
        if record.position == position:
            continue
        for name, ndim in dimensions.items():
            copy(plan.store, shard_key(str(name), record.position, ndim), shard_key(str(name), position, ndim))
        plan.records[scene] = replace(record, position=position)
        write_record(plan.store, scene, plan.records[scene])
    taken = {str(record.position) for record in plan.records.values()}
    for name in dimensions:
        for place in list_names(plan.store, f"{name}/c"):
            if place not in taken:
                delete_folder(plan.store, f"{name}/c/{place}")

"""What is known of each scene once it is written: kept as an object a scene until the store is finished."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
import xarray as xr
from zarr.abc.store import Store

from s2cmc_zarr.schema import ATTRIBUTES, DIMS, LABELS
from s2cmc_zarr.store.objects import delete, get_all_json, list_names, list_sizes, put_json
from s2cmc_zarr.store.shards import shard_key

_PREFIX: Final = "converted/records"
"""Below an array, where Zarr does not look for members of the hierarchy."""


@dataclass(frozen=True)
class Record:
    """Bookkeeping of one scene.

    Attributes
    ----------
    converted : bool
        Whether its arrays were written.
    position : int
        Of the scene in the arrays.
    mask_class_count : list of int
        Pixels of each class in its mask.
    sha256 : dict of str to str
        Digest of each of its arrays, as `schema.ATTRIBUTES` describes them.
    defects : list of str
        What was found to be wrong while converting it.
    packing_error : float
        Largest error that packing made.
    sizes : dict of str to int
        Bytes of the shard of each of its arrays.
    """

    converted: bool = False
    position: int = -1
    mask_class_count: list[int] = field(default_factory=lambda: [0] * len(LABELS))
    sha256: dict[str, str] = field(default_factory=dict)
    defects: list[str] = field(default_factory=list)
    packing_error: float = 0.0
    sizes: dict[str, int] = field(default_factory=dict)


def write_record(store: Store, scene: str, record: Record) -> None:
    """Say that a scene is done: the last thing that is written of it."""
    put_json(store, f"{_PREFIX}/{scene}.json", asdict(record))


def read_records(store: Store) -> dict[str, Record]:
    """Read the records of an unfinished store by scene id; one that was cut short counts as absent."""
    names = [name for name in list_names(store, _PREFIX) if name.endswith(".json")]
    documents = get_all_json(store, [f"{_PREFIX}/{name}" for name in names])
    return {
        name.removesuffix(".json"): Record(**document)
        for name, document in zip(names, documents, strict=True)
        if document is not None
    }


def with_shards(store: Store, records: Mapping[str, Record]) -> dict[str, Record]:
    """Give the records of which all shards are in the store, with the sizes that they say.

    Of a record without sizes, as the coordinates of a complete store give it, shards have to be there, and it gets
    theirs. Only listings are read.
    """
    variables = {variable for record in records.values() for variable in record.sha256}
    listed = {variable: list_sizes(store, f"{variable}/c") for variable in variables}
    found = {}
    for scene, record in records.items():
        sizes = {
            variable: listed[variable].get(shard_key(variable, record.position, len(DIMS[variable])), -1)
            for variable in record.sha256
        }
        if -1 not in sizes.values() and record.sizes in ({}, sizes):
            found[scene] = replace(record, sizes=sizes)
    return found


def has_records(store: Store) -> bool:
    """Whether there are records: in a complete store, of a run that died before it had removed them."""
    return bool(list_names(store, _PREFIX))


def delete_records(store: Store, keep: Collection[str] = ()) -> None:
    """Remove the records, but for those of the scenes to keep."""
    for name in list_names(store, _PREFIX):
        if name.removesuffix(".json") not in keep:
            delete(store, f"{_PREFIX}/{name}")


def record_coordinates(dataset: xr.Dataset, records: Mapping[str, Record]) -> xr.Dataset:
    """Add the records to a Dataset as coordinates over its scenes.

    Parameters
    ----------
    dataset : xarray.Dataset
    records : mapping of str to Record
        By scene id; a scene without one is not converted.
    """
    rows = []
    for position, scene in enumerate(dataset["scene"].values.tolist()):
        record = records.get(scene, Record())
        # While scenes are added, the shard of one may not be in its place yet.
        rows.append(record if record.position == position else Record())
    values: dict[str, tuple[Any, Any]] = {
        "converted": ("scene", np.array([row.converted for row in rows], dtype=bool)),
        "mask_class_count": (
            ("scene", "label"),
            np.array([row.mask_class_count for row in rows], dtype=np.int64).reshape(-1, len(LABELS)),
        ),
    }
    for variable in DIMS:
        if variable in dataset:
            digests = np.array([row.sha256.get(variable, "") for row in rows], dtype=str)
            values[f"{variable}_sha256"] = ("scene", digests)
    values["packing_error"] = ("scene", np.array([row.packing_error for row in rows], dtype=np.float64))
    known = dataset["defects"].values.tolist() if "defects" in dataset else [""] * len(rows)
    joined = ["; ".join(filter(None, [old, *row.defects])) for old, row in zip(known, rows, strict=True)]
    values["defects"] = ("scene", np.array(joined, dtype=str))
    return dataset.assign_coords(
        {name: xr.Variable(dims, value, ATTRIBUTES[name]) for name, (dims, value) in values.items()}
    )


def record_names(dataset: xr.Dataset) -> list[str]:
    """Names of the coordinates that `record_coordinates` sets."""
    return [
        "converted",
        "mask_class_count",
        "defects",
        "packing_error",
        *(f"{name}_sha256" for name in DIMS if name in dataset),
    ]


def records_of(dataset: xr.Dataset) -> dict[str, Record]:
    """Read the records back from the coordinates of a finished store; of defects only those of unconverted scenes."""
    records = {}
    digests = {name: dataset[f"{name}_sha256"].values for name in DIMS if f"{name}_sha256" in dataset.coords}
    for position, scene in enumerate(dataset["scene"].values):
        if dataset["converted"].values[position]:
            records[str(scene)] = Record(
                converted=True,
                position=position,
                packing_error=float(dataset["packing_error"].values[position]),
                mask_class_count=dataset["mask_class_count"].values[position].tolist(),
                sha256={name: str(values[position]) for name, values in digests.items() if values[position]},
            )
    return records

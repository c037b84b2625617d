"""How the schema lies in Zarr: chunks, codecs, the empty store, and the metadata that is published last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.storage import MemoryStore

from s2cmc_zarr.schema import ATTRIBUTES, DIMS, DTYPES, FILL_VALUES
from s2cmc_zarr.store import packing
from s2cmc_zarr.store.objects import ROOT, copy_all, delete, delete_folder, get_json, put_json, settle
from s2cmc_zarr.store.presets import PresetName, encoding


def create_arrays(store: Store, dataset: xr.Dataset, preset: PresetName, *, packed: bool) -> None:
    """Create the arrays of pixels, or enlarge those that are there, without writing a chunk.

    Parameters
    ----------
    store : zarr.abc.store.Store
    dataset : xarray.Dataset
        Whose arrays say names and shapes; one shard of each will be one scene.
    preset : str
        For `reflectance`.
    packed : bool
        Whether `reflectance` holds digital numbers of 16 bits.
    """
    group = zarr.open_group(store, mode="r+", use_consolidated=False)
    for name in DIMS:
        if name not in dataset:
            continue
        shape = dataset[name].shape
        if name in group:
            array = zarr.open_array(store, path=name, mode="r+")
            if array.shape != shape:
                array.resize(shape)
            continue
        how = encoding(name, preset)
        dtype, fill_value, attributes = DTYPES[name], FILL_VALUES[name], ATTRIBUTES[name]
        if packed and name == "reflectance":
            dtype, fill_value = packing.DTYPE, packing.FILL_VALUE
            attributes = attributes | packing.ATTRIBUTES
        group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            shards=how.shards(shape[1:]),
            chunks=how.chunks(shape[1:]),
            **how.zarr_codecs(np.dtype(dtype).itemsize),
            fill_value=fill_value,
            dimension_names=DIMS[name],
            attributes=attributes,
        )


def create_coordinates(store: Store, dataset: xr.Dataset) -> None:
    """Create and write all coordinates of a Dataset, each as one chunk, in place of those that are there.

    Then say in the root that arrays and coordinates are those of the planned scenes, so that the incomplete store can
    be opened.
    """
    coordinates = xr.Dataset(coords=dataset.coords)
    for coordinate in coordinates.variables:
        delete(store, f"{coordinate}/{ROOT}")
        delete_folder(store, f"{coordinate}/c")
    for name, variable in coordinates.variables.items():
        # Fixed-width strings have no Zarr v3 specification; variable-length ones do.
        if variable.dtype.kind == "U":
            strings = xr.Variable(variable.dims, variable.values.astype(object), variable.attrs)
            coordinates = coordinates.assign_coords({name: strings})
    encoding: dict[Any, dict[str, Any]] = {
        name: {"chunks": variable.shape} for name, variable in coordinates.variables.items()
    }
    encoding["time"] |= {"units": "seconds since 1970-01-01", "dtype": "int64"}
    # Encoded in memory first: xarray would look through the store for arrays, and a run's own objects are none.
    encoded = MemoryStore()
    coordinates.to_zarr(encoded, zarr_format=3, consolidated=False, encoding=encoding)
    copy_all(encoded, store, but=(ROOT,))
    root = get_json(store, ROOT) or {}
    root["attributes"] |= (get_json(encoded, ROOT) or {})["attributes"]
    root["attributes"]["laid_out"] = True
    put_json(store, ROOT, root)


def update_coordinates(store: Store, dataset: xr.Dataset, names: Iterable[str]) -> None:
    """Write the values of some coordinates over those that are there."""
    for name in names:
        values = dataset[name].values
        array = zarr.open_array(store, path=name, mode="r+")
        array[...] = values.astype(object) if values.dtype.kind == "U" else values


def coordinate_digests(dataset: xr.Dataset) -> dict[str, str]:
    """SHA-256 of each coordinate of a Dataset, by name.

    Digested are a line of JSON, ``[dims, type, shape]``, and the values in C order. The type is ``"string"``, of which
    each value is in UTF-8 and ended by a zero byte, or NumPy's of the little-endian numbers; times are int64, whole
    seconds since 1970.
    """
    digests = {}
    for name, coordinate in sorted(dataset.coords.items(), key=lambda item: str(item[0])):
        values = coordinate.values
        if values.dtype.kind == "M":
            values = values.astype("datetime64[s]").astype(np.int64)
        if values.dtype.kind == "U":
            kind, data = "string", b"".join(value.encode() + b"\0" for value in values.ravel().tolist())
        else:
            values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            kind, data = values.dtype.str, values.tobytes()
        head = json.dumps([coordinate.dims, kind, coordinate.shape]).encode() + b"\n"
        digests[str(name)] = hashlib.sha256(head + data).hexdigest()
    return digests


def attributes_digest(attributes: Mapping[str, Any]) -> str:
    """SHA-256 of the root's attributes but this digest: as ASCII JSON, keys sorted, no white space."""
    digested = {name: value for name, value in attributes.items() if name != "attributes_sha256"}
    return hashlib.sha256(json.dumps(digested, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def publish(store: Store, dataset: xr.Dataset) -> None:
    """Say that the store is complete, with the metadata of every array: one object, in one piece.

    Parameters
    ----------
    store : zarr.abc.store.Store
    dataset : xarray.Dataset
        With the coordinates as they were written.

    Notes
    -----
    Zarr's own consolidation writes the root twice if attributes change too, so that a run that dies in between
    would leave a store that is neither one nor the other.
    """
    group = zarr.open_group(store, mode="r", use_consolidated=False)
    names = sorted(group.array_keys(), key=list(ATTRIBUTES).index)
    root = get_json(store, ROOT) or {}
    for name in ("planned_scenes", "laid_out"):
        del root["attributes"][name]
    root["attributes"]["coordinates_sha256"] = coordinate_digests(dataset)
    root["attributes"]["conversion"] = "complete"
    root["attributes"]["attributes_sha256"] = attributes_digest(root["attributes"])
    root["consolidated_metadata"] = {
        "kind": "inline",
        "must_understand": False,
        "metadata": {name: get_json(store, f"{name}/{ROOT}") for name in names},
    }
    settle(store)
    put_json(store, ROOT, root)


def write_root(store: Store, attributes: Mapping[str, Any]) -> None:
    """Write the root group with its attributes, and without the consolidated metadata of a complete store."""
    put_json(store, ROOT, {"attributes": dict(attributes), "zarr_format": 3, "node_type": "group"})

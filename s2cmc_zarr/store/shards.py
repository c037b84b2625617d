"""Writing a scene as one shard: chunks compressed in this thread, put together and written as one object.

Zarr writes the same shards, but compresses the chunks in threads that one event loop feeds, looks for chunks of fill
values, and copies the shard twice: half as much work again as the compression (docs/performance.md).
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs import blosc
from zarr.abc.store import Store

from s2cmc_zarr.schema import FILL_VALUES
from s2cmc_zarr.store import packing
from s2cmc_zarr.store.objects import put_parts
from s2cmc_zarr.store.presets import Encoding

INDEX: Final = np.dtype("<u8")
_CHECKSUM_SIZE: Final = 4
_RESIDUE: Final = google_crc32c.value(b"x" + google_crc32c.value(b"x").to_bytes(_CHECKSUM_SIZE, "little"))


def shard_key(name: str, position: int, ndim: int) -> str:
    """Key of the object that holds a scene of an array."""
    return "/".join([name, "c", str(position), *["0"] * (ndim - 1)])


def write_shard(store: Store, name: str, position: int, values: npt.NDArray[Any], encoding: Encoding) -> int:
    """Write one scene of an array, replacing what is there, and give the size of the shard in bytes.

    Parameters
    ----------
    store : zarr.abc.store.Store
    name : str
        Of the array.
    position : int
        Of the scene.
    values : numpy.ndarray
        The scene, in the schema's dimensions without `scene`.
    encoding : Encoding
        That of the array's metadata.
    """
    fill_value = packing.FILL_VALUE if values.dtype == packing.DTYPE else FILL_VALUES[name]
    shard = encode_shard(values, encoding, fill_value)
    put_parts(store, shard_key(name, position, values.ndim + 1), shard)
    return sum(map(len, shard))


def encode_shard(values: npt.NDArray[Any], encoding: Encoding, fill_value: float) -> list[bytes]:
    """Encode one scene as a shard: its chunks in C order, each with its CRC-32C, then the index and its own.

    The format is that of the codec ``sharding_indexed`` of Zarr v3 (ZEP 2) with the index at the end.

    Parameters
    ----------
    values : numpy.ndarray
        One scene.
    encoding : Encoding
    fill_value : float
        Beyond the edges of the scene, where chunks do not divide it.

    Returns
    -------
    list of bytes
        The parts of the shard in order.
    """
    chunk = encoding.chunks(values.shape)[1:]
    steps = [range(0, size, step) for size, step in zip(values.shape, chunk, strict=True)]
    codec = encoding.codec()
    # Scenes are converted side by side; threads within each would only wait for one another.
    blosc.use_threads = False
    encoded: list[bytes] = []
    for corner in itertools.product(*steps):
        part = values[tuple(slice(start, start + size) for start, size in zip(corner, chunk, strict=True))]
        if part.shape != chunk:
            whole = np.full(chunk, fill_value, dtype=values.dtype)
            whole[tuple(slice(size) for size in part.shape)] = part
            part = whole
        encoded.append(codec.encode(np.ascontiguousarray(part)))
        encoded.append(checksum(encoded[-1]))
    sizes = np.array([len(part) for part in encoded], dtype=INDEX).reshape(-1, 2).sum(axis=1, dtype=INDEX)
    index = np.column_stack([np.cumsum(sizes) - sizes, sizes]).astype(INDEX).tobytes()
    return [*encoded, index, checksum(index)]


def checksum(data: bytes) -> bytes:
    """CRC-32C of bytes, as Zarr's codec ``crc32c`` puts it behind them."""
    crc: int = google_crc32c.value(data)
    return crc.to_bytes(4, "little")


def is_intact(data: bytes) -> bool:
    """Whether bytes end in their own CRC-32C; that of both together is then always the same."""
    return len(data) > _CHECKSUM_SIZE and bool(google_crc32c.value(data) == _RESIDUE)

"""Reading scenes from their shards: chunks are decoded in the thread of the task, straight into the result.

Zarr gives the same values, but reads the whole shard before it decodes, copies what it decoded, and feeds its threads
from one event loop, which takes three times as long (docs/performance.md).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numcodecs
import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.abc.store import ByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

from s2cmc_zarr.errors import CatalogueError, DefectError
from s2cmc_zarr.release.dataset import SceneArray, select
from s2cmc_zarr.store import packing
from s2cmc_zarr.store.shards import INDEX, is_intact, shard_key

_Encoded: TypeAlias = bytes | memoryview | None

_ABSENT: Final = 2**64 - 1
"""Place of a chunk that was never written (ZEP 2)."""
_BYTES: Final = {"name": "bytes", "configuration": {"endian": "little"}}
_CODECS: Final = {"blosc": "blosc", "numcodecs.pcodec": "pcodec"}
"""Names in the metadata, and those of numcodecs."""


class ShardArray(SceneArray):
    """An array of a store, lazily indexed; packed reflectance is given as reflectance.

    Parameters
    ----------
    store : zarr.abc.store.Store
    array : zarr.Array
        Of the store.
    codec : str
        As `codec_of` gives it.
    converted : mapping of int to str
        Position and id of each scene whose shard must be there; of others, none is all fill values.
    """

    def __init__(
        self, store: Store, array: zarr.Array[Any], codec: str, converted: Mapping[int, str] = MappingProxyType({})
    ) -> None:
        super().__init__(array.shape, array.dtype)
        self.store, self.name, self.converted = store, array.path, dict(converted)
        self.chunk, self.stored = array.chunks[1:], array.dtype
        self.codec = numcodecs.get_codec({"id": codec})
        self.fill_value, self.table = array.fill_value, None
        if "scale_factor" in array.attrs:
            numbers = xr.Variable("number", np.arange(2**16, dtype=packing.DTYPE), dict(array.attrs))
            self.table = xr.conventions.decode_cf_variable(self.name, numbers).values.astype(np.float32)
            self.fill_value, self.dtype = self.table[self.fill_value], self.table.dtype

    def read_scene(self, position: int, within: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Read the chunks that a part of a scene needs, and give the part."""
        shape = self.shape[1:]
        wanted = [np.arange(size)[part] for size, part in zip(shape, within, strict=True)]
        steps = [np.unique(at // step).tolist() for at, step in zip(wanted, self.chunk, strict=True)]
        if not all(steps):
            return select(np.empty(shape, self.dtype), within)
        starts = [numbers[0] * step for numbers, step in zip(steps, self.chunk, strict=True)]
        stops = [(numbers[-1] + 1) * step for numbers, step in zip(steps, self.chunk, strict=True)]
        box = np.empty(np.minimum(stops, shape) - starts, self.dtype)
        corners = list(itertools.product(*steps))
        grid = [math.ceil(size / step) for size, step in zip(shape, self.chunk, strict=True)]
        numbers = [int(np.ravel_multi_index(corner, grid)) for corner in corners]
        key = shard_key(self.name, position, len(self.shape))
        try:
            for corner, data in zip(corners, _encoded(self.store, key, numbers, math.prod(grid)), strict=True):
                place = [at * step - start for at, step, start in zip(corner, self.chunk, starts, strict=True)]
                self._decode(data, box[tuple(map(slice, place, np.add(place, self.chunk)))])
        except FileNotFoundError:
            if position in self.converted:
                raise DefectError(
                    f"{self.converted[position]}: {key} is missing, so {self.name} cannot be read; s2cmc verify tells "
                    "what else is, s2cmc convert from the same source writes it again"
                ) from None
            box[...] = self.fill_value
        except CatalogueError:
            raise
        except (ValueError, RuntimeError) as error:
            raise DefectError(f"{key} is damaged ({error}); s2cmc verify tells which scenes are") from None
        # Slices stay slices, of which NumPy makes no copy.
        moved = (
            slice(at[0] - start, at[-1] - start + 1)
            if isinstance(part, slice) and part.step in (None, 1)
            else at - start
            for part, at, start in zip(within, wanted, starts, strict=True)
        )
        return select(box, tuple(moved))

    def _decode(self, data: _Encoded, place: npt.NDArray[Any]) -> None:
        """Decode a chunk into its place, where the scene's edge may cut it off."""
        if data is None:
            place[...] = self.fill_value
            return
        if not is_intact(data if isinstance(data, bytes) else bytes(data)):
            raise ValueError("a chunk does not match its checksum")
        data = memoryview(data)[:-4]
        if self.table is None and place.shape == self.chunk and place.flags.c_contiguous:
            self.codec.decode(data, out=place)
        else:
            whole = np.empty(self.chunk, self.stored)
            self.codec.decode(data, out=whole)
            part = whole[tuple(map(slice, place.shape))]
            place[...] = part if self.table is None else self.table[part]


def codec_of(array: zarr.Array[Any]) -> str | None:
    """Name of the codec in an array's shards, if these are laid out as `s2cmc_zarr.store.shards` does; else None."""
    metadata: dict[str, Any] = array.metadata.to_dict()
    sharding = metadata["codecs"][0]
    if array.shards is None or array.shards[0] != 1 or (np.array(array.shards) < array.shape)[1:].any():
        return None
    configuration = sharding["configuration"]
    inner = [codec for codec in configuration["codecs"] if codec != _BYTES and codec != {"name": "bytes"}]
    ours = (
        configuration["index_location"] == "end"
        and tuple(configuration["index_codecs"]) == (_BYTES, {"name": "crc32c"})
        and metadata["chunk_key_encoding"]["configuration"] == {"separator": "/"}
        and len(metadata["codecs"]) == 1
        and inner[1:] == [{"name": "crc32c"}]
    )
    return _CODECS.get(inner[0]["name"]) if ours else None


def _encoded(store: Store, key: str, numbers: Sequence[int], count: int) -> Iterator[_Encoded]:
    """Give the encoded chunks of these numbers of a shard of so many; None where nothing was written.

    Raises
    ------
    FileNotFoundError
        If there is no such shard.
    """
    size = 2 * INDEX.itemsize * count + 4
    if isinstance(store, LocalStore):
        with (store.root / key).open("rb", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            for start, length in _places(os.pread(file.fileno(), size, max(0, end - size)), size, numbers):
                yield None if start == _ABSENT else os.pread(file.fileno(), length, start)
        return
    # A request takes longer than the bytes: all of the shard in one, or the index and then the chunks at once.
    whole = len(numbers) == count
    found = _get(store, key, None if whole else SuffixByteRequest(size))
    if found is None:
        raise FileNotFoundError(key)
    places = _places(found[-size:], size, numbers)
    if whole:
        yield from (None if start == _ABSENT else found[start : start + length] for start, length in places)
        return
    ranges = [(key, RangeByteRequest(start, start + length)) for start, length in places if start != _ABSENT]
    buffers = iter(sync(store.get_partial_values(default_buffer_prototype(), ranges)))
    for start, _ in places:
        buffer = None if start == _ABSENT else next(buffers)
        yield None if buffer is None else buffer.as_numpy_array().data


def _get(store: Store, key: str, part: ByteRequest | None) -> memoryview | None:
    buffer = sync(store.get(key, default_buffer_prototype(), part))
    return None if buffer is None else buffer.as_numpy_array().data


def _places(index: bytes | memoryview, size: int, numbers: Sequence[int]) -> list[list[int]]:
    """Check the index of a shard; give start and length of chunks."""
    if len(index) != size or not is_intact(bytes(index)):
        raise ValueError("its index is cut short or does not match its checksum")
    places: list[list[int]] = np.frombuffer(index[:-4], INDEX).reshape(-1, 2)[list(numbers)].tolist()
    return places

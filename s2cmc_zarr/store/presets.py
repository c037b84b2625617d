"""How reflectance is chunked and compressed, by purpose; the figures behind the choices are in docs/performance.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec

PresetName: TypeAlias = Literal["balanced", "archive", "training"]


@dataclass(frozen=True)
class Encoding:
    """Chunks and codec of an array of which a shard is a scene.

    Attributes
    ----------
    chunk : tuple of int
        Largest shape of a chunk inside the shard, without the scene.
    compressor, level, shuffle : str, int, str
        Of Blosc.
    """

    chunk: tuple[int, ...]
    compressor: Literal["zstd", "lz4"]
    level: int
    shuffle: Literal["noshuffle", "shuffle", "bitshuffle"]

    def chunks(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of an inner chunk of scenes of a shape: no larger than the scene."""
        return (1, *map(min, self.chunk, shape))

    def shards(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a shard: the whole chunks that cover a scene."""
        chunks = self.chunks(shape)[1:]
        return (1, *(math.ceil(size / chunk) * chunk for size, chunk in zip(shape, chunks, strict=True)))

    def zarr_codec(self, itemsize: int) -> BloscCodec:
        """The codec as the array's metadata name it."""
        return BloscCodec(cname=self.compressor, clevel=self.level, shuffle=self.shuffle, typesize=itemsize)

    def codec(self) -> Blosc:
        """The codec itself."""
        shuffle = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}
        return Blosc(cname=self.compressor, clevel=self.level, shuffle=shuffle[self.shuffle])


PRESETS: Final[MappingProxyType[PresetName, Encoding]] = MappingProxyType(
    {
        "balanced": Encoding((1, 511, 511), "zstd", 3, "bitshuffle"),
        "archive": Encoding((1, 1022, 1022), "zstd", 9, "bitshuffle"),
        "training": Encoding((13, 256, 256), "lz4", 5, "bitshuffle"),
    }
)
"""For `reflectance`."""

WHOLE: Final = Encoding((2**31, 2**31, 2**31), "zstd", 5, "noshuffle")
"""For the other arrays, which are small: one chunk a scene."""


def encoding(name: str, preset: PresetName) -> Encoding:
    """Chunks and codec of an array of the schema."""
    return PRESETS[preset] if name == "reflectance" else WHOLE

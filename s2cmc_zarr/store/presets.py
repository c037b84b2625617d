"""How reflectance is chunked and compressed, by purpose; the figures behind the choices are in docs/performance.md."""

from __future__ import annotations

import importlib.util
import math
import warnings
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

import numcodecs
from numcodecs.abc import Codec
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.codecs.numcodecs import PCodec
from zarr.errors import ZarrUserWarning

from s2cmc_zarr.choices import PresetName as PresetName
from s2cmc_zarr.errors import CatalogueError


@dataclass(frozen=True)
class Encoding:
    """Chunks and codec of an array of which a shard is a scene.

    Attributes
    ----------
    chunk : tuple of int
        Largest shape of a chunk inside the shard, without the scene.
    compressor : {"zstd", "lz4", "pcodec"}
        Of Blosc, or Pcodec, which needs the package `pcodec` to read and to write.
    level : int
    shuffle : {"noshuffle", "shuffle", "bitshuffle"}
        Of Blosc.
    block : int
        Bytes that Blosc compresses at a time; 0 leaves it the choice.
    """

    chunk: tuple[int, ...]
    compressor: Literal["zstd", "lz4", "pcodec"]
    level: int
    shuffle: Literal["noshuffle", "shuffle", "bitshuffle"] = "noshuffle"
    block: int = 0

    def chunks(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of an inner chunk of scenes of a shape: no larger than the scene."""
        return (1, *map(min, self.chunk, shape))

    def shards(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a shard: the whole chunks that cover a scene."""
        chunks = self.chunks(shape)[1:]
        return (1, *(math.ceil(size / chunk) * chunk for size, chunk in zip(shape, chunks, strict=True)))

    def zarr_codecs(self, itemsize: int) -> dict[str, Any]:
        """The codecs as arguments of `zarr.create_array`; the last is a checksum, which whoever reads verifies."""
        if self.compressor == "pcodec":
            _check_pcodec()
            with warnings.catch_warnings():
                # That it stands in no specification is known, and why it is not the default.
                warnings.simplefilter("ignore", ZarrUserWarning)
                return {"serializer": PCodec(level=self.level), "compressors": Crc32cCodec()}
        codec = BloscCodec(
            cname=self.compressor, clevel=self.level, shuffle=self.shuffle, typesize=itemsize, blocksize=self.block
        )
        return {"compressors": [codec, Crc32cCodec()]}

    def codec(self) -> Codec:
        """The codec itself."""
        if self.compressor == "pcodec":
            _check_pcodec()
            return numcodecs.get_codec({"id": "pcodec", "level": self.level})
        shuffle = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}
        return Blosc(self.compressor, self.level, shuffle[self.shuffle], self.block)


def _check_pcodec() -> None:
    if importlib.util.find_spec("pcodec") is None:
        raise CatalogueError("the preset 'archive' needs the package pcodec: pip install 's2cmc-zarr[archive]'")


PRESETS: Final[MappingProxyType[PresetName, Encoding]] = MappingProxyType(
    {
        "balanced": Encoding((1, 1022, 1022), "zstd", 1, "shuffle", 2**18),
        "archive": Encoding((1, 1022, 1022), "pcodec", 12),
        "training": Encoding((13, 256, 256), "lz4", 1, "shuffle"),
    }
)
"""For `reflectance`."""

WHOLE: Final = Encoding((2**31, 2**31, 2**31), "zstd", 5)
"""For the other arrays, which are small: one chunk a scene."""


def encoding(name: str, preset: PresetName) -> Encoding:
    """Chunks and codec of an array of the schema."""
    return PRESETS[preset] if name == "reflectance" else WHOLE

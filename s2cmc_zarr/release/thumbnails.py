"""Thumbnails: any image file, decoded to red, green and blue."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from s2cmc_zarr.errors import DefectError

FILE_LIMIT: Final = 32 * 2**20
_SIDE: Final = 4096


def decode_thumbnail(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Decode an image.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        For messages.

    Returns
    -------
    numpy.ndarray
        uint8, shape (row, column, RGB).

    Raises
    ------
    DefectError
        If it is not an image, or has more than 4096 pixels a side.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
            if max(size) <= _SIDE:
                return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        raise DefectError(f"{name}: not an image of a known format; {len(data):,} bytes") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DefectError(f"{name}: claims many millions of pixels, expected at most {_SIDE} a side") from None
    # Each of Pillow's decoders has its own way to fail.
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, struct.error, zlib.error) as error:
        raise DefectError(f"{name}: not a whole image ({error})") from None
    raise DefectError(f"{name}: {size[1]:,} × {size[0]:,} pixels, expected at most {_SIDE} a side")

"""NPY headers, parsed and checked before any array is made of the bytes behind them."""

from __future__ import annotations

import io
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator
from tokenize import TokenError
from typing import Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import DefectError

HEADER_LIMIT: Final = 4096
"""The published header has 128 bytes; NumPy pads to a multiple of 64, so this is generous."""
_BLOCK: Final = 2**19
"""Bytes of a block of rows: it stays in the cache of a core."""


def read_header(data: bytes, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic], int]:
    """Parse the header of an NPY file.

    Parameters
    ----------
    data : bytes
        The file, or at least its first `HEADER_LIMIT` bytes.
    name : str
        For messages.

    Returns
    -------
    shape : tuple of int
    dtype : numpy.dtype
    offset : int
        Where the values begin.

    Raises
    ------
    DefectError
        If it is no NPY file, holds Python objects or is in Fortran order.
    """
    stream = io.BytesIO(data[:HEADER_LIMIT])
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=HEADER_LIMIT)
        else:
            shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(stream, max_header_size=HEADER_LIMIT)
    # NumPy parses the header as a Python literal, in which much can go wrong.
    except (ValueError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise DefectError(f"{name}: not an NPY file ({(str(error) or 'bad header').splitlines()[0]})") from None
    if dtype.hasobject:
        raise DefectError(f"{name}: holds pickled Python objects, which are never loaded")
    if any(type(length) is not int or length < 0 for length in shape):
        raise DefectError(f"{name}: shape {shape}, expected whole numbers")
    if fortran_order:
        raise DefectError(f"{name}: is in Fortran order, expected C order")
    return shape, dtype, stream.tell()


def read_array(data: bytes, name: str, shape: tuple[int, ...], dtypes: tuple[str, ...]) -> npt.NDArray[np.generic]:
    """Give the array in an NPY file, without a copy and read-only.

    Parameters
    ----------
    data : bytes
    name : str
        For messages.
    shape : tuple of int
        What the shape must be.
    dtypes : tuple of str
        What the dtype may be.

    Raises
    ------
    DefectError
        If header, shape, dtype or size is another.
    """
    dtype, offset = _checked_header(data, name, shape, dtypes)
    size = math.prod(shape) * dtype.itemsize
    if len(data) - offset != size:
        raise DefectError(f"{name}: {len(data) - offset:,} bytes of values, expected {size:,}")
    return np.frombuffer(data, dtype=dtype, offset=offset).reshape(shape)


def read_rows(
    pieces: Iterable[bytes], name: str, shape: tuple[int, ...], dtypes: tuple[str, ...]
) -> Iterator[npt.NDArray[np.generic]]:
    """Give the array in an NPY file as blocks of whole rows, as `read_array` would give it in one.

    Parameters
    ----------
    pieces : iterable of bytes
        The file's bytes in order.
    name, shape, dtypes
        As for `read_array`.

    Yields
    ------
    numpy.ndarray
        Shape (some rows, *shape[1:]); valid until the next is asked for.

    Raises
    ------
    DefectError
        As `read_array`; a wrong size is noticed at the end.
    """
    pieces = iter(pieces)
    pending = b""
    for piece in pieces:
        pending += piece
        if len(pending) >= HEADER_LIMIT:
            break
    try:
        dtype, offset = _checked_header(pending, name, shape, dtypes)
    except DefectError:
        deque(pieces, maxlen=0)  # A damaged member says so at its end, which is the better reason.
        raise
    row_size = math.prod(shape[1:]) * dtype.itemsize
    expected = shape[0] * row_size
    # One small buffer again and again: fresh memory for each block would cost more than the copy.
    buffer = memoryview(bytearray(max(1, _BLOCK // row_size) * row_size))
    size = filled = 0
    for piece in itertools.chain([pending[offset:]], pieces):
        size += len(piece)
        rest = memoryview(piece) if size <= expected else memoryview(b"")
        while len(rest):
            part = rest[: len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            rest = rest[len(part) :]
            if filled == len(buffer) or (size == expected and not len(rest)):
                yield np.frombuffer(buffer[:filled], dtype).reshape(-1, *shape[1:])
                filled = 0
    if size != expected:
        raise DefectError(f"{name}: {size:,} bytes of values, expected {expected:,}")


def _checked_header(
    data: bytes, name: str, shape: tuple[int, ...], dtypes: tuple[str, ...]
) -> tuple[np.dtype[np.generic], int]:
    found_shape, dtype, offset = read_header(data, name)
    if dtype.str not in dtypes:
        raise DefectError(f"{name}: dtype {dtype.str}, expected {' or '.join(dtypes)}")
    if found_shape != shape:
        raise DefectError(f"{name}: shape {found_shape}, expected {shape}")
    return dtype, offset

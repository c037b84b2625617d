from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2cmc_zarr.errors import DefectError
from s2cmc_zarr.release.npy import HEADER_LIMIT, read_array, read_header


def saved(array: np.ndarray, **options: bool) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def test_published_header_has_128_bytes() -> None:
    data = saved(np.zeros((1022, 1022, 13), "<f4"))
    assert len(data) == 54_313_296
    assert read_header(data, "scene") == ((1022, 1022, 13), np.dtype("<f4"), 128)


def test_array_is_given_without_a_copy_and_read_only() -> None:
    values = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    array = read_array(saved(values), "scene", (2, 3, 4), ("<f4",))
    assert (array == values).all()
    assert not array.flags.writeable
    assert array.base is not None


def test_pickles_are_refused() -> None:
    data = saved(np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DefectError, match="pickled"):
        read_header(data, "evil.npy")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (saved(np.asfortranarray(np.zeros((2, 3), "<f4"))), "Fortran"),
        (b"", "not an NPY file"),
        (b"\x93NUMPY\x01\x00", "not an NPY file"),
        (b"PK\x03\x04" + bytes(200), "not an NPY file"),
        (saved(np.zeros((2, 3), "<f4")).replace(b"'descr'", b"'wrong'"), "not an NPY file"),
        (saved(np.zeros((2, 3), "<f4")).replace(b"(2, 3)", b"(2+3)"), "not an NPY file"),
    ],
)
def test_other_headers_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DefectError, match=message):
        read_header(data, "scene.npy")


def test_a_long_header_is_refused_before_it_is_evaluated() -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"1," * 40_000 + b")}"
    data = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header
    with pytest.raises(DefectError, match="not an NPY file"):
        read_header(data, "scene.npy")
    assert len(data) > HEADER_LIMIT


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3), "<f8"), "dtype <f8, expected <f4"),
        (np.zeros((2, 3), ">f4"), "dtype >f4, expected <f4"),
        (np.zeros((3, 2), "<f4"), r"shape \(3, 2\), expected \(2, 3\)"),
    ],
)
def test_other_arrays_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(DefectError, match=message):
        read_array(saved(values), "scene.npy", (2, 3), ("<f4",))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_values_cut_short_or_followed_by_more_are_refused(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DefectError, match="bytes of values, expected 24"):
        read_array(change(saved(np.zeros((2, 3), "<f4"))), "scene.npy", (2, 3), ("<f4",))


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_parse_or_be_refused(tail: bytes) -> None:
    for head in (b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x03\x00\x10\x00\x00\x00"):
        with pytest.raises(DefectError):
            read_array(head + tail, "scene.npy", (2, 3), ("<f4",))

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from releases import PlainRelease, npy
from s2cmc_zarr import DefectError, convert, open_release, open_store, verify
from s2cmc_zarr.store.packing import pack


@given(arrays.arrays(np.float32, 20, elements=st.floats(0, 6.5, width=32)))
def test_the_error_is_what_unpacking_shows(values: np.ndarray) -> None:
    packed, error = pack(values, "scene")
    unpacked = packed / 10_000
    assert packed.dtype == np.uint16
    assert error == np.abs(unpacked - values).max() <= 5.1e-5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.001, 6.5535, 100])
def test_what_does_not_fit_is_an_error(value: float) -> None:
    values = np.full((3, 3), 0.5, np.float32)
    values[1, 1] = value
    with pytest.raises(DefectError, match="1 values do not fit into 16 bits, the first is"):
        pack(values, "scene")


def test_real_digital_numbers_are_kept(real_data: Path) -> None:
    values = np.load(real_data / "l1c_reference_scenes.npy", allow_pickle=False)
    packed, error = pack(values, "scene")
    assert error < 1e-7
    assert ((packed / 10_000).astype(np.float32) == values).all()


def test_a_packed_store(plain: PlainRelease, tmp_path: Path) -> None:
    source, store = plain.write(tmp_path / "release"), tmp_path / "S.zarr"
    done = convert(source, store, packed=True)
    release, ds = open_release(source), open_store(store)
    difference = np.abs(ds["reflectance"].values.astype(np.float64) - release["reflectance"].values)
    assert ds["reflectance"].dtype == np.float32
    assert done.packing_error is not None
    assert difference.max() == pytest.approx(done.packing_error, abs=1e-7)
    assert done.packing_error == ds["packing_error"].values.max() > 1e-5
    assert verify(store, source).passed
    assert convert(source, store, packed=True).written == ()
    raw = xr.open_zarr(store, mask_and_scale=False)["reflectance"]
    assert raw.dtype == np.uint16
    np.testing.assert_allclose(xr.open_zarr(store)["reflectance"].values, ds["reflectance"].values, atol=1e-7)


def test_a_scene_that_does_not_fit_is_a_defect(plain: PlainRelease, tmp_path: Path) -> None:
    values = plain.subscenes[plain.scenes[1]]
    values[4, 4, 4] = -0.5
    plain.files["subscenes"][f"{plain.scenes[1]}.npy"] = npy(values)
    source = plain.write(tmp_path / "release")
    with pytest.raises(DefectError, match=f"{plain.scenes[1]}: 1 values do not fit into 16 bits"):
        convert(source, tmp_path / "S.zarr", packed=True)

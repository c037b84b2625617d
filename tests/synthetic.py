"""A small Dataset of the schema, written plainly, with one Dask chunk a scene."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from real_files import ABSENT, REAL_DATA
from s2cmc_zarr.schema import BAND_NAMES, DIMS, LABELS, TAG_GROUP, TAGS, UNLABELLED


def synthetic(scenes: int = 6, size: int = 16, seed: int = 0, *, dask: bool = True) -> xr.Dataset:
    """Scenes of noise in which classes, unlabelled pixels and pixels without data occur everywhere, with exceptions.

    Scene 0 is clear all over, scene 1 has no shadow, shadows are marked in all scenes but every third from the second,
    and scene 2 has a value that is not finite.
    """
    random = np.random.default_rng(seed)
    mask = random.choice(
        np.array([0, 1, 2, UNLABELLED], dtype=np.uint8), (scenes, size, size), p=[0.5, 0.35, 0.1, 0.05]
    )
    mask[:1] = 0
    mask[1:2][mask[1:2] == 2] = 0
    brightness = np.array([0.15, 0.5, 0.05])[np.minimum(mask, 2)][:, np.newaxis]
    noise = random.normal(1, 0.3, (scenes, len(BAND_NAMES), size, size))
    reflectance = np.abs(brightness * noise + 0.01).astype(np.float32)
    reflectance[:, :, :2, :3] = 0
    reflectance[2:3, 4, size // 2, size // 2] = np.nan
    number = np.arange(scenes)
    ds = xr.Dataset(
        {"reflectance": (DIMS["reflectance"], reflectance), "mask": (DIMS["mask"], mask)},
        coords={
            "scene": [f"scene_{n:02}" for n in number],
            "band": list(BAND_NAMES),
            "bandwidth": ("band", np.full(len(BAND_NAMES), 20.0)),
            "label": list(LABELS),
            "tag": list(TAGS),
            "tag_group": ("tag", list(TAG_GROUP)),
            "tags": (("scene", "tag"), random.random((scenes, len(TAGS))) < 0.4),
            "table_class_count": (("scene", "label"), (mask[..., np.newaxis] == np.arange(3)).sum((1, 2))),
            "y": -20.0 * (np.arange(size) + 0.5),
            "x": 20.0 * (np.arange(size) + 0.5),
            "difficulty": ("scene", number % 3 + 1),
            "annotator": ("scene", np.where(number % 2, "A", "B")),
            "dataset": ("scene", np.where(number < 2, "CALIBRATION", "MAIN")),
            "shadows_marked": ("scene", number % 3 != 2),
            "group": ("scene", number // 2),
        },
    )
    return ds.chunk(scene=1, band=-1, y=-1, x=-1) if dask else ds


def watched(ds: xr.Dataset, reads: list[tuple[str, int]]) -> xr.Dataset:
    """Give the same Dataset, whose arrays of pixels note each reading of a scene in `reads`."""

    def watch(name: str) -> xr.Variable:
        values = ds[name].values

        def read(block_info: Any = None) -> npt.NDArray[Any]:
            scene = block_info[None]["chunk-location"][0]
            reads.append((name, scene))
            scene_values: npt.NDArray[Any] = values[scene : scene + 1]
            return scene_values

        chunks = ((1,) * len(values), *((length,) for length in values.shape[1:]))
        meta = np.empty((0,) * values.ndim, values.dtype)
        return xr.Variable(DIMS[name], da.map_blocks(read, chunks=chunks, dtype=values.dtype, meta=meta))

    return ds.assign({name: watch(name) for name in ("reflectance", "mask")})


def reference() -> xr.Dataset:
    """Real Level-1C pixels, of which scenes 0 and 1 are cloudy; there are no masks, so that everything is clear."""
    if not REAL_DATA.is_dir():
        pytest.skip(ABSENT)
    pixels = np.load(REAL_DATA / "l1c_reference_scenes.npy", allow_pickle=False)
    return xr.Dataset(
        {
            "reflectance": (DIMS["reflectance"], pixels.transpose(0, 3, 1, 2)),
            "mask": (DIMS["mask"], np.zeros(pixels.shape[:3], dtype=np.uint8)),
        },
        coords={"scene": [f"reference_{n}" for n in range(len(pixels))], "band": list(BAND_NAMES)},
    )

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.analysis.scenes import Output, map_scenes
from synthetic import synthetic


def number_of(scene: str, mask: npt.NDArray[np.uint8]) -> dict[str, Any]:
    assert type(scene) is str
    return {"number": int(scene[-2:]), "clear": np.count_nonzero(mask == 0)}


def test_the_kernel_is_given_the_name_of_the_scene() -> None:
    ds = synthetic()
    outputs = {name: Output((), np.int64, "") for name in ("number", "clear")}
    found = map_scenes(number_of, ds.isel(scene=[4, 1]), ("mask",), outputs, {}, with_scene=True).compute()
    assert found["number"].values.tolist() == [4, 1]
    np.testing.assert_array_equal(found["clear"], (ds["mask"] == 0).sum(("y", "x")).isel(scene=[4, 1]))

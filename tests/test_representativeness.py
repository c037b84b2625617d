from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr import open_release, representativeness
from synthetic import synthetic


def test_distances_in_the_real_table(real_csv: Path) -> None:
    table = pd.read_csv(real_csv)
    table["month"] = table["scene"].str[15:17]
    table["hemisphere"] = table["scene"].str[41] >= "N"
    found = representativeness(open_release(real_csv), "dataset", replicates=50)
    for dataset, rows in table.groupby("dataset"):
        part = found.sel(dataset=dataset)
        for name in ("difficulty", "annotator", "month", "hemisphere"):
            whole, here = (each[name].value_counts(normalize=True) for each in (table, rows))
            distance = whole.sub(here, fill_value=0).abs().sum() / 2
            np.testing.assert_allclose(part["total_variation"].sel(attribute=name), distance, rtol=1e-12)
            assert part["difference"].sel(attribute=name).isnull()
        percent = ["clear_percent", "cloud_percent", "shadow_percent"]
        distance = (table[percent].mean() - rows[percent].mean()).abs().sum() / 200
        np.testing.assert_allclose(part["total_variation"].sel(attribute="class"), distance, rtol=1e-12)
        for tag in ("cirrus", "snow/ice"):
            difference = rows[tag].mean() - table[tag].mean()
            np.testing.assert_allclose(part["difference"].sel(attribute=tag), difference, rtol=1e-12)
            np.testing.assert_allclose(part["total_variation"].sel(attribute=tag), abs(difference), rtol=1e-12)
        assert part["scene_count"] == len(rows)


def test_random_parts_are_within_the_limit_and_chosen_ones_are_not() -> None:
    ds = synthetic(200, size=2).assign_coords(group=("scene", np.arange(200)))
    random = np.random.default_rng(1)
    chosen = np.stack([random.permutation(200) < 60 for _ in range(20)])
    found = representativeness(ds, xr.DataArray(chosen, dims=("part", "scene")), replicates=100)
    assert 0.9 < (found["total_variation"] <= found["random_total_variation"]).mean() < 0.99
    easy = representativeness(ds, "difficulty", replicates=100).sel(difficulty=1, attribute="difficulty")
    assert easy["total_variation"] > 3 * easy["random_total_variation"]


def test_the_whole_is_like_itself() -> None:
    ds = synthetic(12)
    found = representativeness(ds, None, replicates=20)
    np.testing.assert_allclose(found["total_variation"], 0, atol=1e-15)
    np.testing.assert_allclose(found["random_total_variation"], 0, atol=1e-15)
    assert found.to_dataframe().index.name == "attribute"

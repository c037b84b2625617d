from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import TAGS
from s2cmc_zarr.scoring.explanation import explain
from scored import random_scores, scores

PIXELS = 100_000


def explained(scenes: int = 400, seed: int = 0) -> xr.Dataset:
    """Scenes in which snow adds 10 % of error and thin clouds 5 %; mountains come with snow, and add nothing."""
    random = np.random.default_rng(seed)
    tags = random.random((scenes, len(TAGS))) < 0.3
    snow, mountains, thin = (TAGS.index(tag) for tag in ("snow/ice", "hills/mountains", "thin"))
    tags[:, mountains] = np.where(tags[:, snow], random.random(scenes) < 0.9, random.random(scenes) < 0.1)
    of_group = np.repeat(random.normal(0, 0.02, scenes // 2), 2)
    error = 0.2 + 0.1 * tags[:, snow] + 0.05 * tags[:, thin] + of_group + random.normal(0, 0.01, scenes)
    wrong = np.rint(PIXELS * error).astype(np.int64)
    counts = np.zeros((scenes, 4, 4), dtype=np.int64)
    counts[:, 0, 0], counts[:, 0, 1] = PIXELS - wrong, wrong
    found = scores(counts).drop_dims("tag")
    return found.assign_coords(tag=list(TAGS), tags=(("scene", "tag"), tags))


def test_effects_are_told_apart() -> None:
    table = explain(explained()).isel(model=0)
    truth = xr.DataArray(np.zeros(len(TAGS)), {"tag": list(TAGS)}, "tag")
    truth.loc["snow/ice"], truth.loc["thin"] = 0.1, 0.05
    np.testing.assert_allclose(table["effect"], truth, atol=0.012)
    np.testing.assert_allclose(table["intercept"], 0.2, atol=0.012)
    found = table["tag"].values[(table["p_value_holm"] < 0.001).values]
    assert found.tolist() == ["snow/ice", "thin"]
    # Alone, mountains look as bad as the snow on them.
    alone = explain(explained(), ["hills/mountains"]).isel(model=0)
    assert float(alone["effect"][0]) > 0.06


def test_fit_is_that_of_matrices() -> None:
    """Liang and Zeger's sandwich with the small-sample factor of Stata and statsmodels, written out."""
    found = explained(120, seed=1)
    table = explain(found, ["thin", "snow/ice"], level=0.9).isel(model=0)
    counts = found["confusion"].values
    error = counts[:, 0, 1] / PIXELS
    tags = found["tags"].sel(tag=["thin", "snow/ice"]).values
    design = np.column_stack([np.ones(120), tags])
    bread = np.linalg.inv(design.T @ design)
    coefficients = bread @ design.T @ error
    residual = error - design @ coefficients
    groups = found["group"].values
    influence = np.stack([design[groups == group].T @ residual[groups == group] for group in np.unique(groups)])
    count = len(influence)
    factor = count / (count - 1) * (120 - 1) / (120 - 3)
    deviation = np.sqrt(np.diag(factor * bread @ influence.T @ influence @ bread))[1:]
    np.testing.assert_allclose(table["effect"], coefficients[1:], rtol=1e-9)
    half = stats.t.ppf(0.95, count - 1) * deviation
    np.testing.assert_allclose(table["effect_upper"] - table["effect"], half, rtol=1e-9)
    np.testing.assert_allclose(table["effect"] - table["effect_lower"], half, rtol=1e-9)
    p_value = 2 * stats.t.sf(abs(coefficients[1:] / deviation), count - 1)
    np.testing.assert_allclose(table["p_value"], p_value, rtol=1e-7)
    assert int(table["group_count"]) == count == 60
    assert table["tag_scene_count"].values.tolist() == tags.sum(axis=0).tolist()


def test_scenes_without_the_metric_are_left_out() -> None:
    found = random_scores(90, models=2)
    table = explain(found, ["thin", "low"], metric="f1")
    assert table["effect"].dims == ("model", "tag")
    # Every third scene has no cloud: F1 is 0 where it is predicted, and recall is undefined.
    assert table["scene_count"].values.tolist() == [90, 90]
    assert explain(found, ["thin"], metric="recall")["scene_count"].values.tolist() == [60, 60]
    omission = explain(found, ["thin"], metric="omission_error")
    xr.testing.assert_allclose(omission, explain(found, ["thin"], metric="recall"))


def test_tags_that_do_not_vary_are_left_out() -> None:
    found = explained(120)
    found["tags"].loc[{"tag": "cirrus"}] = True
    found["tags"].loc[{"tag": "haze/fog"}] = False
    table = explain(found, ["cirrus", "thin", "haze/fog"])
    assert table["tag"].values.tolist() == ["thin"]
    assert table.attrs["left_out"] == "cirrus, haze/fog"


def test_refusals() -> None:
    found = explained(120)
    with pytest.raises(CatalogueError, match="no tag 'fog'; there are: forest/jungle"):
        explain(found, ["fog"])
    with pytest.raises(CatalogueError, match=r"40 scenes in 20 independent groups cannot tell the effects of 24 tags"):
        explain(explained(40))
    found["tags"].loc[{"tag": "cirrus"}] = found["tags"].sel(tag="thin")
    with pytest.raises(CatalogueError, match="cannot tell the effects of 2 tags on m apart"):
        explain(found, ["cirrus", "thin"])
    with pytest.raises(CatalogueError, match="no coordinate tags"):
        explain(found.drop_dims("tag"))

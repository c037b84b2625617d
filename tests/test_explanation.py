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
    xr.testing.assert_identical(explain(explained(), ["hills/mountains"] * 2).isel(model=0), alone)


def test_fit_is_that_of_scenes_without_each_group() -> None:
    found = explained(120, seed=1)
    table = explain(found, ["thin", "snow/ice"], level=0.9).isel(model=0)
    error = found["confusion"].values[:, 0, 1] / PIXELS
    tags = found["tags"].sel(tag=["thin", "snow/ice"]).values
    design = np.column_stack([np.ones(120), tags])
    coefficients = np.linalg.lstsq(design, error)[0]
    groups = found["group"].values
    left_out = [np.linalg.lstsq(design[groups != group], error[groups != group])[0] for group in np.unique(groups)]
    count = len(left_out)
    deviation = np.sqrt((count - 1) / count * sum((found - coefficients) ** 2 for found in left_out))[1:]
    freedom = [
        min(len({g for g, tag in zip(groups, of, strict=True) if tag == has}) for has in (True, False)) - 1
        for of in tags.T
    ]
    np.testing.assert_allclose(table["effect"], coefficients[1:], rtol=1e-9)
    half = stats.t.ppf(0.95, freedom) * deviation
    np.testing.assert_allclose(table["effect_upper"] - table["effect"], half, rtol=1e-9)
    np.testing.assert_allclose(table["effect"] - table["effect_lower"], half, rtol=1e-9)
    p_value = 2 * stats.t.sf(abs(coefficients[1:] / deviation), freedom)
    np.testing.assert_allclose(table["p_value"], p_value, rtol=1e-7)
    assert int(table["group_count"]) == count == 60
    assert table["tag_scene_count"].values.tolist() == tags.sum(axis=0).tolist()


@pytest.mark.parametrize("scenes", [4, 60])
def test_tags_without_effect_are_seldom_found(scenes: int) -> None:
    """Also those of few scenes, where errors of large samples are several times too small."""
    random = np.random.default_rng(scenes)
    p_values = []
    for _ in range(200):
        wrong = random.integers(0, PIXELS // 2, 200)
        counts = np.zeros((200, 4, 4), dtype=np.int64)
        counts[:, 0, 0], counts[:, 0, 1] = PIXELS - wrong, wrong
        tags = np.zeros((200, 1), dtype=bool)
        tags[random.choice(200, scenes, replace=False)] = True
        found = scores(counts).drop_dims("tag").assign_coords(tag=["contrails"], tags=(("scene", "tag"), tags))
        p_values.append(float(explain(found)["p_value"].item()))
    assert np.mean(np.array(p_values) < 0.05) < 0.1
    assert np.mean(np.array(p_values) < 0.5) > 0.3  # and errors are not several times too large


def test_a_tag_of_one_group_has_an_effect_without_interval() -> None:
    found = explained(120)
    found["tags"].loc[{"tag": "contrails"}] = found["group"] == found["group"][0]
    table = explain(found, ["thin", "contrails"]).isel(model=0)
    assert np.isfinite(table["effect"]).all()
    assert table["p_value"].isnull().values.tolist() == [False, True]
    assert table["effect_lower"].isnull().values.tolist() == [False, True]
    np.testing.assert_allclose(table["p_value_holm"][0], table["p_value"][0])


def test_models_that_cannot_be_explained_do_not_hinder_others() -> None:
    found = random_scores(90, models=2)
    found["confusion"].loc[{"scene": found["scene"][4:], "model": found["model"][1]}] = 0
    table = explain(found, ["thin", "low"])
    assert np.isfinite(table["effect"].isel(model=0)).all()
    assert np.isnan(table["effect"].isel(model=1)).all()
    assert "independent groups cannot tell the effects of" in table.attrs["not_explained"]
    assert table.attrs["not_explained"].startswith(str(found["model"].values[1]))


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
    with pytest.raises(CatalogueError, match="cannot tell the effects of 2 tags apart"):
        explain(found, ["cirrus", "thin"])
    with pytest.raises(CatalogueError, match="no coordinate tags"):
        explain(found.drop_dims("tag"))

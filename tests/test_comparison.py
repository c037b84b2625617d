from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.comparison import compare
from s2cmc_zarr.scoring.intervals import intervals
from s2cmc_zarr.scoring.metrics import metrics
from s2cmc_zarr.scoring.probabilities import probability_metrics
from scored import random_scores, with_probabilities


def test_differences() -> None:
    found = random_scores(models=3)
    table, each = compare(found, "model_2", "model_0", replicates=100), metrics(found, "tags")["f1"]
    expected = each.sel(model="model_2") - each.sel(model="model_0")
    np.testing.assert_allclose(table["f1_difference"], expected, rtol=1e-9)
    assert table["f1_difference"].dims == ("averaging", "tag", "label")
    assert table["model"].values.tolist() == ["model_2", "model_0"]
    assert (table["f1_difference_lower"] <= table["f1_difference"]).all()
    assert (table["f1_difference"] <= table["f1_difference_upper"]).all()
    turned = compare(found, "model_0", "model_2", replicates=100, method="percentile")
    again = compare(found, "model_2", "model_0", replicates=100, method="percentile")
    np.testing.assert_allclose(turned["f1_difference_lower"], -again["f1_difference_upper"], rtol=1e-9)
    np.testing.assert_allclose(turned["f1_difference_p_value"], again["f1_difference_p_value"])


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "brier_score", "expected_calibration_error"])
def test_differences_of_probabilities(name: str) -> None:
    found = with_probabilities(random_scores(models=3))
    table = compare(found, "model_2", "model_0", metric=name, replicates=100)
    each = probability_metrics(found, "tags")[name]
    expected = each.sel(model="model_2") - each.sel(model="model_0")
    np.testing.assert_allclose(table[f"{name}_difference"], expected, rtol=1e-9, atol=1e-12)
    assert table[f"{name}_difference"].dims == ("averaging", "tag")
    assert (table[f"{name}_difference_lower"] <= table[f"{name}_difference"]).all()
    assert (table[f"{name}_difference_p_value_holm"] >= table[f"{name}_difference_p_value"]).all()


def test_models_without_probabilities_are_refused() -> None:
    found = with_probabilities(random_scores())
    found["probability_count"][:, 1] = 0
    with pytest.raises(CatalogueError, match="model model_1 gives no probabilities; choose others"):
        compare(found, "model_0", "model_1", metric="roc_auc")


def test_a_clear_difference_is_found_and_equal_models_are_not_told_apart() -> None:
    found = random_scores(60, models=2)
    table = compare(found, "model_0", "model_1", None, replicates=500)
    assert (table["f1_difference_p_value"] == 1 / 501).all()
    assert (table["f1_difference_lower"].sel(label="cloud") > 0).all()
    copy = found.sel(model=["model_0", "model_0"]).assign_coords(model=["one", "other"])
    table = compare(copy, "one", "other", None, replicates=500)
    assert (table["f1_difference_p_value"] == 1).all()
    assert (table["f1_difference"] == 0).all()
    assert (table["f1_difference_upper"] == 0).all()


def test_pairing_removes_what_is_hard_for_both() -> None:
    """The second model misses 5 pixels of each scene more than the first; scenes differ much more than that."""
    found = random_scores(60, models=1)
    random = np.random.default_rng(0)
    confusion = found["confusion"].values.copy()
    confusion[:, 0, 1, 1] = random.integers(100, 3000, 60)
    worse = confusion.copy()
    worse[:, 0, 1, 1] -= 5
    worse[:, 0, 1, 0] += 5
    both = xr.concat(
        [found.assign(confusion=found["confusion"].copy(data=data)) for data in (confusion, worse)],
        "model",
        data_vars="all",
        coords="minimal",
        compat="override",
    ).assign_coords(model=["good", "worse"])
    alone = intervals(both, None, replicates=300).sel(label="cloud", averaging="pooled")
    table = compare(both, "good", "worse", None, replicates=300).sel(label="cloud", averaging="pooled")
    width = (alone["f1_upper"] - alone["f1_lower"]).sel(model="good")
    assert table["f1_difference_upper"] - table["f1_difference_lower"] < width / 10
    assert table["f1_difference_p_value"] == 1 / 301


def test_p_values_are_corrected_over_groups_as_by_statsmodels() -> None:
    found = random_scores(60, models=2, seed=3)
    # Equal but for noise, so that p-values differ.
    confusion = found["confusion"].values
    noise = np.random.default_rng(0).integers(0, 200, confusion.shape)
    found = found.assign(confusion=found["confusion"].copy(data=confusion[:, [0, 0]] + noise))
    table = compare(found, "model_0", "model_1", "tags", metric=["f1", "kappa"], replicates=300)
    for averaging in ("pooled", "per_scene"):
        of_tags = table.sel(label="cloud", averaging=averaging)
        assert len(np.unique(of_tags["f1_difference_p_value"])) > 5
        expected = multipletests(of_tags["f1_difference_p_value"], method="holm")[1]
        np.testing.assert_allclose(of_tags["f1_difference_p_value_holm"], expected, rtol=1e-12)
    assert table["kappa_difference_p_value_holm"].dims == ("averaging", "tag")


def test_a_few_groups_prove_nothing() -> None:
    """The better model wins in all of 3 groups, as one of equal models does in 1 case of 4."""
    table = compare(random_scores(6), "model_0", "model_1", None, replicates=500)
    assert int(table["group_count"]) == 3
    assert bool(table["few_scenes"])
    assert (table["f1_difference"].sel(label="cloud") > 0).all()
    assert (table["f1_difference_p_value"] == 0.25).all()


@pytest.mark.parametrize("differing", [0, 1, 2, 3, 6])
def test_groups_in_which_models_agree_prove_nothing(differing: int) -> None:
    """Of 30 groups only some can tell; in all of these the first model is better, in what recall counts."""
    found = random_scores(60)
    confusion = found["confusion"].values.copy()
    confusion[:, 1] = confusion[:, 0]
    better = np.arange(60) // 2 >= 30 - differing
    confusion[better, :, 1] = confusion[-1, 0, 1]
    confusion[better, 1, 1, 1] -= 50
    confusion[better, 1, 1, 0] += 50
    # False alarms are nothing to recall.
    confusion[:, 1, 0, 1] += 100
    confusion[:, 1, 0, 0] -= 100
    both = found.assign(confusion=found["confusion"].copy(data=confusion))
    table = compare(both, "model_0", "model_1", None, metric=["recall", "precision"], replicates=4000)
    p_value = table["recall_difference_p_value"].sel(label="cloud")
    least = binomtest(differing, differing).pvalue if differing else 1
    np.testing.assert_allclose(p_value, least, atol=4 * np.sqrt(least / 4000))
    assert (table["precision_difference_p_value"].sel(label="cloud", averaging="pooled") == 1 / 4001).all()


@pytest.mark.parametrize("differing", [6, 8, 12])
def test_p_values_are_those_of_a_test_of_signs_where_all_differences_are_as_large(differing: int) -> None:
    """All groups are alike, but that in some either model misses as much."""
    found = random_scores(60)
    for worse in range(differing // 2):
        confusion = np.broadcast_to(found["confusion"].values[1, 0], found["confusion"].shape).copy()
        group = np.arange(60) // 2
        for model, there in enumerate((group < worse, (group >= worse) & (group < differing))):
            confusion[there, model, 1, 1] -= 50
            confusion[there, model, 1, 0] += 50
        both = found.assign(confusion=found["confusion"].copy(data=confusion))
        table = compare(both, "model_0", "model_1", None, metric="recall", replicates=4000)
        p_value = float(table["recall_difference_p_value"].sel(label="cloud", averaging="pooled"))
        expected = binomtest(worse, differing).pvalue
        assert p_value == pytest.approx(expected, abs=4 * np.sqrt(expected / 4000))


def test_scenes_without_a_mask_of_one_model_count_for_neither() -> None:
    found = random_scores(60)
    confusion = found["confusion"].values.copy()
    confusion[20:, 1, :, 3] += confusion[20:, 1, :, :3].sum(axis=-1)
    confusion[20:, 1, :, :3] = 0
    part = found.assign(confusion=found["confusion"].copy(data=confusion))
    table = compare(part, "model_0", "model_1", None, replicates=50)
    assert int(table["scene_count"]) == 20
    first = compare(found.isel(scene=slice(20)), "model_0", "model_1", None, replicates=50)
    xr.testing.assert_allclose(table[["f1", "f1_difference"]], first[["f1", "f1_difference"]])
    assert (table["pixel_count"] == found["confusion"].values[:20, 0, :3, :3].sum()).sel(model="model_0")


def test_refusals() -> None:
    with pytest.raises(CatalogueError, match="no scores of the model 'other'; there are: model_0, model_1"):
        compare(random_scores(), "model_0", "other")
    with pytest.raises(CatalogueError, match="model_0 cannot be compared with itself"):
        compare(random_scores(), "model_0", "model_0")

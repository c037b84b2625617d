from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from scipy import stats

from s2cmc_zarr.analysis import estimates
from s2cmc_zarr.analysis.resampling import resample
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.intervals import intervals
from s2cmc_zarr.scoring.metrics import metrics
from s2cmc_zarr.scoring.probabilities import probability_metrics
from scored import random_scores, scores, with_probabilities


def test_estimates_are_those_of_metrics() -> None:
    found = random_scores()
    names = ["f1", "mcc", "omission_error"]
    table, expected = intervals(found, "tags", metric=names, replicates=20), metrics(found, "tags")
    for name in names:
        xr.testing.assert_allclose(table[name], expected[name].transpose(*table[name].dims), rtol=1e-12)
        assert table[f"{name}_lower"].dims == table[name].dims
        np.testing.assert_array_equal(table[f"{name}_scenes"], expected[f"{name}_scenes"])
    np.testing.assert_array_equal(table["scene_count"], expected["scene_count"])
    assert table["f1"].dims == ("averaging", "model", "tag", "label")
    rules = ("classes", "shadow_policy", "level", "method", "replicates", "seed")
    assert [table.attrs[rule] for rule in rules] == ["cloud", "catalogue", 0.95, "bca", 20, 0]


@pytest.mark.parametrize("averaging", ["pooled", "per_scene"])
def test_percentiles_are_those_of_a_loop(averaging: str) -> None:
    """Scenes are drawn by group, put into a new catalogue, and scored like any other."""
    found = random_scores(30).sel(model="model_0")
    table = intervals(found, None, metric="iou", method="percentile", replicates=30, seed=5)
    group = found["group"].values
    units = np.unique(group)
    drawn = np.random.default_rng(5).multinomial(len(units), np.full(len(units), 1 / len(units)), 30)
    values = []
    for times in drawn:
        scenes = np.concatenate([np.flatnonzero(group == unit) for unit in np.repeat(units, times)])
        again = metrics(found.isel(scene=scenes), None)["iou"]
        values.append(again.sel(averaging=averaging, label="cloud").item())
    expected = np.quantile(values, [0.025, 0.975])
    limits = [table[name].sel(averaging=averaging, label="cloud") for name in ("iou_lower", "iou_upper")]
    np.testing.assert_allclose(limits, expected, rtol=1e-10)


PROBABILITY_METRICS = ["roc_auc", "average_precision", "brier_score", "expected_calibration_error"]


def test_estimates_of_probabilities_are_those_of_probability_metrics() -> None:
    found = with_probabilities(random_scores())
    table = intervals(found, "tags", metric=PROBABILITY_METRICS, replicates=20)
    expected = probability_metrics(found, "tags")
    for name in PROBABILITY_METRICS:
        xr.testing.assert_allclose(table[name], expected[name].transpose(*table[name].dims), rtol=1e-12)
        np.testing.assert_array_equal(table[f"{name}_scenes"], expected[f"{name}_scenes"])
        alone = intervals(found, "tags", metric=name, replicates=20)
        limits = [f"{name}_lower", f"{name}_upper"]
        xr.testing.assert_allclose(alone[limits], table[limits], rtol=1e-12)
    assert table["roc_auc"].dims == ("averaging", "model", "tag")
    np.testing.assert_array_equal(table["pixel_count"], expected["probability_pixel_count"])
    assert [table.attrs[rule] for rule in ("classes", "calibration_bins", "replicates")] == ["cloud", 10, 20]


@pytest.mark.parametrize("averaging", ["pooled", "per_scene"])
@pytest.mark.parametrize("name", PROBABILITY_METRICS)
def test_percentiles_of_probabilities_are_those_of_a_loop(name: str, averaging: str) -> None:
    found = with_probabilities(random_scores(30)).isel(model=[0])
    tagged = found["tags"].sel(tag="cirrus").values
    table = intervals(found, "tags", metric=name, method="percentile", replicates=30, seed=5)
    values = []
    for times in resample(found["group"].values, 30, 5):
        scenes = np.repeat(np.flatnonzero(tagged), times[tagged])
        values.append(probability_metrics(found.isel(scene=scenes), None)[name].sel(averaging=averaging).item())
    limits = [table[f"{name}_{side}"].sel(averaging=averaging, tag="cirrus").item() for side in ("lower", "upper")]
    np.testing.assert_allclose(limits, np.quantile(values, [0.025, 0.975]), rtol=1e-10)


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = with_probabilities(random_scores(30))
    whole = intervals(found, "tags", metric="roc_auc", replicates=50)
    monkeypatch.setattr(estimates, "_BLOCK", 1)
    xr.testing.assert_allclose(intervals(found, "tags", metric="roc_auc", replicates=50), whole, rtol=1e-12)


def test_bca_is_that_of_scipy() -> None:
    """Accuracy per scene is a mean, of which scipy makes the interval from resamples of its own."""
    found = random_scores(80).sel(model="model_0").assign_coords(group=("scene", np.arange(80)))
    table = intervals(found, None, metric="overall_accuracy", replicates=8000).sel(averaging="per_scene")
    each = metrics(found, xr.DataArray(np.eye(80, dtype=bool), dims=("one", "scene")))
    sample = each["overall_accuracy"].sel(averaging="pooled").values
    expected = stats.bootstrap(
        (sample,), np.mean, n_resamples=8000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    width = expected.high - expected.low
    np.testing.assert_allclose(table["overall_accuracy_lower"], expected.low, atol=0.05 * width)
    np.testing.assert_allclose(table["overall_accuracy_upper"], expected.high, atol=0.05 * width)


def catalogue(random: np.random.Generator, groups: int) -> npt.NDArray[np.int64]:
    """Pairs of scenes of 1000 pixels: a group shares its cloud cover, and how often the model is right."""
    cover, hits, alarms = random.beta(1, 1, groups), random.beta(8, 2, groups), random.beta(1, 9, groups)
    counts = np.zeros((groups, 2, 4, 4), dtype=np.int64)
    cloud = np.stack([np.floor(1000 * cover)] * 2, axis=1).astype(int)
    counts[..., 1, 1] = random.binomial(cloud, hits[:, np.newaxis])
    counts[..., 1, 0] = cloud - counts[..., 1, 1]
    counts[..., 0, 1] = random.binomial(1000 - cloud, alarms[:, np.newaxis])
    counts[..., 0, 0] = 1000 - cloud - counts[..., 0, 1]
    return counts.reshape(2 * groups, 4, 4)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_intervals_cover_the_truth(method: Any) -> None:
    """Of 100 catalogues of 50 pairs of scenes, about 95 should cover the F1 of a catalogue without end."""
    random = np.random.default_rng(7)
    truth = metrics(scores(catalogue(random, 100_000)), None)["f1"].sel(label="cloud")
    covered = []
    for _ in range(100):
        table = intervals(scores(catalogue(random, 50)), None, method=method, replicates=400).sel(label="cloud")
        covered.append((table["f1_lower"] <= truth) & (truth <= table["f1_upper"]))
    share = xr.concat(covered, "catalogue").mean("catalogue")
    # Three standard errors of a share of 100, and a little for 50 groups being few.
    assert (share >= 0.88).all()


def test_scenes_of_a_group_are_no_evidence_of_their_own() -> None:
    found = random_scores(40)
    renamed = found.assign_coords(scene=[f"{name}_again" for name in found["scene"].values])
    twice = xr.concat([found, renamed], "scene", data_vars="minimal", coords="minimal", compat="override")
    once, again = (intervals(part, None, replicates=200, seed=1) for part in (found, twice))
    assert int(again["scene_count"]) == 2 * int(once["scene_count"])
    assert int(again["group_count"]) == int(once["group_count"]) == 20
    xr.testing.assert_allclose(again[["f1_lower", "f1_upper"]], once[["f1_lower", "f1_upper"]], rtol=1e-9)


def test_one_group_has_no_interval() -> None:
    found = random_scores(20)
    first = xr.DataArray(np.arange(20) < 2, dims="scene")
    table = intervals(found, first, replicates=20)
    assert int(table["group_count"]) == 1
    assert bool(table["few_scenes"])
    assert table["f1"].notnull().all()
    assert table["f1_lower"].isnull().all()
    assert table["f1_upper"].isnull().all()


def test_models_that_gave_some_masks_are_judged_on_these_or_all_on_the_same() -> None:
    found = random_scores(60)
    confusion = found["confusion"].values.copy()
    confusion[20:, 1, :, 3] += confusion[20:, 1, :, :3].sum(axis=-1)
    confusion[20:, 1, :, :3] = 0
    part = found.assign(confusion=found["confusion"].copy(data=confusion))
    table = intervals(part, None, replicates=50)
    assert table["judged_scene_count"].values.tolist() == [60, 20]
    assert int(table["common_scene_count"]) == 20
    xr.testing.assert_allclose(table["f1"].sel(model="model_0"), metrics(found, None)["f1"].sel(model="model_0"))
    common = intervals(part, None, common=True, replicates=50)
    xr.testing.assert_allclose(common["f1"], metrics(found.isel(scene=slice(20)), None)["f1"])
    assert common["judged_scene_count"].values.tolist() == [20, 20]
    assert int(common["scene_count"]) == 20
    confusion[:20, 0, :, 3] += confusion[:20, 0, :, :3].sum(axis=-1)
    confusion[:20, 0, :, :3] = 0
    none = found.assign(confusion=found["confusion"].copy(data=confusion))
    assert int(intervals(none, None, replicates=50)["common_scene_count"]) == 0
    with pytest.raises(CatalogueError, match="there is no scene of which all of model_0, model_1 gave a mask"):
        intervals(none, "tags", common=True, replicates=50)


def test_unmarked_scenes_are_not_drawn_for_three_classes() -> None:
    found = random_scores(24).assign_coords(shadows_marked=("scene", np.arange(24) % 4 > 1))
    marked = found.isel(scene=found["shadows_marked"].values)
    ours = intervals(found, None, "three", metric="f1", replicates=50)
    assert int(ours["scene_count"]) == marked.sizes["scene"] == 12
    assert int(ours["group_count"]) == 6
    xr.testing.assert_allclose(ours["f1"], intervals(marked, None, "three", replicates=50)["f1"], rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "f3"}, "metric is 'f3', expected one of: precision, recall"),
        ({"method": "t"}, "method is 't', expected one of: bca, percentile"),
        ({"level": 95}, "level is 95, expected a number between 0 and 1"),
        ({"metric": ["f1", "roc_auc"]}, "metrics are f1, roc_auc, some of masks and some of probabilities"),
        ({"metric": "roc_auc", "classes": "three"}, "roc_auc is of cloud against the rest, and of all pixels: classes"),
        ({"metric": "roc_auc", "tolerance": 2}, "tolerance 2, expected 'cloud' and 0"),
        ({"metric": "roc_auc"}, "no probability_count in the scores"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        intervals(random_scores(), **({"replicates": 5} | arguments))


def test_independence_must_be_known() -> None:
    with pytest.raises(CatalogueError, match="no coordinate group: which scenes are independent is not known"):
        intervals(random_scores().drop_vars("group"))

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    fbeta_score,
    jaccard_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    recall_score,
)

from s2cmc_zarr.analysis.confusions import RATES, Classes
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.scoring.metrics import FEW_SCENES, ShadowPolicy, metrics
from scored import Counts, scores

# Zeros are frequent, so that classes are absent from scenes.
confusions = hnp.arrays(np.int64, (5, 4, 4), elements=st.one_of(st.just(0), st.integers(0, 6)))


def sklearn_rates(counts: Counts, classes: Classes) -> dict[str, npt.NDArray[np.float64]]:
    """Metrics of the pixels that a (truth, prediction) table stands for."""
    cells = [(t, p) for t in range(3) for p in range(3) for _ in range(counts[t, p])]
    truth, predicted = np.array(cells, dtype=int).reshape(-1, 2).T
    labels = [0, 1, 2]
    if classes == "cloud":
        truth, predicted, labels = (truth == 1).astype(int), (predicted == 1).astype(int), [0, 1]
    if not truth.size:
        nothing = np.full(len(labels), np.nan)
        return {name: nothing if rate.by_label else np.array(np.nan) for name, rate in RATES.items()}
    precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=np.nan)
    f2 = fbeta_score(truth, predicted, beta=2, labels=labels, average=None, zero_division=np.nan)
    there, chosen = np.unique(truth), np.unique(predicted)
    either = np.union1d(there, chosen)
    # scikit-learn gives 0 where the union is empty.
    iou = jaccard_score(truth, predicted, labels=labels, average=None, zero_division=0)
    one_class = len(either) == 1
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "f2": f2,
        "iou": np.where(np.isin(labels, either), iou, np.nan),
        "commission_error": 1 - precision,
        "omission_error": 1 - recall,
        "overall_accuracy": np.array(accuracy_score(truth, predicted)),
        # As balanced_accuracy_score, which warns where a class was predicted that is not there.
        "balanced_accuracy": np.array(recall_score(truth, predicted, labels=there, average="macro")),
        "mean_iou": np.array(jaccard_score(truth, predicted, labels=either, average="macro")),
        # Here scikit-learn warns, or gives 0.
        "kappa": np.array(np.nan if one_class else cohen_kappa_score(truth, predicted)),
        "mcc": np.array(np.nan if len(there) == 1 or len(chosen) == 1 else matthews_corrcoef(truth, predicted)),
    }


@pytest.mark.parametrize("classes", ["cloud", "three"])
@settings(deadline=None, max_examples=25)
@given(confusion=confusions)
def test_metrics_are_those_of_scikit_learn(classes: Classes, confusion: Counts) -> None:
    table = metrics(scores(confusion), "tags", classes)
    tags = scores(confusion)["tags"].values.T
    for tag, scenes in enumerate(tags):
        pooled = sklearn_rates(confusion[scenes].sum(axis=0), classes)
        each = [sklearn_rates(counts, classes) for counts in confusion[scenes]]
        for name in RATES:
            found = table[name].isel(tag=tag)
            np.testing.assert_allclose(found.sel(averaging="pooled"), pooled[name], rtol=1e-9, atol=1e-12, err_msg=name)
            values = np.stack([rates[name] for rates in each])
            counted = np.isfinite(values).sum(axis=0)
            mean = np.where(counted, np.nansum(values, axis=0) / np.maximum(counted, 1), np.nan)
            np.testing.assert_allclose(found.sel(averaging="per_scene"), mean, rtol=1e-9, atol=1e-12, err_msg=name)
            np.testing.assert_array_equal(table[f"{name}_scenes"].isel(tag=tag), counted)


@settings(deadline=None, max_examples=20)
@given(confusion=confusions)
def test_all_pixels_are_accounted_for(confusion: Counts) -> None:
    table = metrics(scores(confusion), None)
    assert table["pixel_count"] == confusion[:, :3, :3].sum()
    assert table["unlabelled_count"] == confusion[:, 3].sum()
    assert table["no_data_count"] == confusion[:, :3, 3].sum()
    assert table["scene_count"] == 5


def test_unlabelled_pixels_and_those_without_data_count_nowhere() -> None:
    counts = np.array([[[5, 1, 0, 0], [2, 7, 0, 0], [1, 0, 3, 0], [0, 0, 0, 0]]])
    more = counts.copy()
    more[:, 3, :] += 100
    more[:, :, 3] += 100
    for classes in ("cloud", "three"):
        xr.testing.assert_identical(
            metrics(scores(counts), None, classes)[list(RATES)], metrics(scores(more), None, classes)[list(RATES)]
        )


@settings(deadline=None, max_examples=12)
@given(confusions, st.sampled_from([0, 1, 2, 4, 8, 16]), st.integers(0, 9))
def test_a_tolerance_leaves_out_what_is_near_a_boundary(confusion: Counts, tolerance: int, seed: int) -> None:
    confusion[:, 3] = 0
    share = np.random.default_rng(seed).multinomial(confusion, np.full(6, 1 / 6))
    by_distance = (("scene", "truth", "prediction", "distance"), share)
    found = scores(confusion).assign(confusion_by_distance=by_distance)
    table = metrics(found, None, tolerance=tolerance)
    far = np.array([0, 1, 2, 4, 8, 16]) >= tolerance
    expected = metrics(scores(share[..., far].sum(axis=-1)), None)
    xr.testing.assert_allclose(table[list(RATES)], expected[list(RATES)], rtol=1e-12)
    assert table["boundary_count"] == share[:, :3, :3][..., ~far].sum()
    assert table["pixel_count"] + table["boundary_count"] + table["no_data_count"] == confusion.sum()
    assert table.attrs["tolerance"] == tolerance


def test_large_counts_do_not_overflow() -> None:
    """All pixels of the catalogue, of which 1 in 100 is wrong: kappa and MCC of two classes of equal size are 0.98."""
    half = 267_910_146
    counts = np.zeros((1, 4, 4), dtype=np.int64)
    counts[0, :2, :2] = [[99 * half // 100, half // 100], [half // 100, 99 * half // 100]]
    table = metrics(scores(counts), None).sel(averaging="pooled")
    np.testing.assert_allclose([table["kappa"], table["mcc"]], 0.98, rtol=1e-7)


def test_absent_class() -> None:
    all_clear = np.zeros((1, 4, 4), dtype=int)
    all_clear[0, 0, 0] = 10
    table = metrics(scores(all_clear), None).sel(averaging="pooled")
    for name in ("precision", "recall", "f1", "iou"):
        assert table[name].sel(label="not_cloud") == 1
        assert np.isnan(table[name].sel(label="cloud"))
        assert table[f"{name}_scenes"].values.tolist() == [1, 0]
    assert table["balanced_accuracy"] == 1


CLEAR_AS_SHADOW = np.array([[60, 0, 40, 0], [0, 50, 0, 0], [0, 0, 50, 0], [0, 0, 0, 0]])
CORRECT = np.diag([50, 50, 50, 0])


def test_shadow_over_clear_costs_only_where_shadows_were_marked() -> None:
    def accuracy(marked: list[bool], policy: ShadowPolicy = "catalogue", classes: Classes = "three") -> float:
        table = metrics(scores([CORRECT, CLEAR_AS_SHADOW], marked=marked), None, classes, policy)
        return float(table["overall_accuracy"].sel(averaging="pooled"))

    assert accuracy([True, False]) == 1
    assert accuracy([True, False], "marked_scenes") == 1
    assert accuracy([True, False], "as_labelled") == 1 - 40 / 350
    assert accuracy([True, True]) == 1 - 40 / 350
    policies: list[ShadowPolicy] = ["catalogue", "marked_scenes", "as_labelled"]
    for policy in policies:
        assert accuracy([True, True], policy, "cloud") == 1


def test_which_scenes_a_policy_scores() -> None:
    found = scores(np.ones((5, 4, 4)), marked=[True, False, True, True, False])
    pixels = {
        (classes, policy): (int(table["scene_count"]), int(table["pixel_count"]), int(table["unlabelled_count"]))
        for classes in ("cloud", "three")
        for policy in ("catalogue", "as_labelled", "marked_scenes")
        for table in [metrics(found, None, classes, policy)]
    }
    everything, marked = (5, 5 * 9, 5 * 4), (3, 3 * 9, 3 * 4)
    assert pixels == {
        ("cloud", "catalogue"): everything,
        ("cloud", "as_labelled"): everything,
        ("cloud", "marked_scenes"): marked,
        ("three", "catalogue"): marked,
        ("three", "as_labelled"): everything,
        ("three", "marked_scenes"): marked,
    }


def test_two_classes_cannot_be_scored_as_three() -> None:
    found = scores(np.ones((5, 4, 4)), shadow=False, model="braaten")
    assert metrics(found, None)["pixel_count"] == 45
    with pytest.raises(CatalogueError, match="model braaten predicts no cloud shadow: three classes cannot be scored"):
        metrics(found, None, "three")


def test_models_are_broadcast() -> None:
    random = np.random.default_rng(0)
    one = scores(random.integers(0, 9, (5, 4, 4)), model="one")
    two = scores(random.integers(0, 9, (5, 4, 4)), model="two", shadow=False)
    both = xr.concat([one, two], "model")
    table = metrics(both, "difficulty")
    assert table["f1"].dims == ("averaging", "model", "difficulty", "label")
    assert table["f1_scenes"].dims == ("model", "difficulty", "label")
    for name, single in (("one", one), ("two", two)):
        alone = metrics(single, "difficulty")
        xr.testing.assert_allclose(table.sel(model=name)[list(RATES)], alone[list(RATES)], rtol=1e-12, atol=0)
    with pytest.raises(CatalogueError, match="model two predicts no cloud shadow"):
        metrics(both, None, "three")
    assert metrics(both.sel(model="one"), None, "three")["pixel_count"] > 0


def test_few_scenes_are_flagged() -> None:
    for scenes in (FEW_SCENES - 1, FEW_SCENES):
        assert bool(metrics(scores(np.ones((scenes, 4, 4))), None)["few_scenes"]) == (scenes < FEW_SCENES)


def test_result_names_its_rules() -> None:
    table = metrics(scores(np.ones((5, 4, 4))), None, "three", "as_labelled")
    assert table.attrs["classes"] == "three"
    assert table.attrs["shadow_policy"] == "as_labelled"
    assert "per_scene: mean over the group's scenes" in table.attrs["averaging"]
    assert table["label"].values.tolist() == list(LABELS)


def test_lazy_scores_give_lazy_metrics() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (5, 4, 4))
    counts[2] = 0
    found = scores(counts)
    table = metrics(found.chunk(scene=1), "tags", "three")
    assert table["f1"].chunks
    xr.testing.assert_allclose(table.compute(), metrics(found, "tags", "three"), rtol=1e-12)


def test_metrics_as_data_frame() -> None:
    frame = metrics(scores(np.ones((5, 4, 4)))).to_dataframe()
    assert frame.index.names == ["averaging", "tag", "label"]
    assert frame.index[0] == ("pooled", "desert/barren", "not_cloud")
    assert list(frame.columns[: len(RATES)]) == list(RATES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": "two"}, "classes is 'two', expected one of: cloud, three"),
        ({"shadow_policy": "none"}, "expected one of: catalogue, as_labelled, marked_scenes"),
        ({"tolerance": 3}, "tolerance is 3, expected one of: 0, 1, 2, 4, 8, 16"),
        ({"tolerance": 2}, "a tolerance needs confusion_by_distance"),
        ({"by": "nonsense"}, "cannot be grouped by 'nonsense'"),
        ({"classes": "three"}, "no coordinate shadows_marked"),
        ({"by": None, "shadow_policy": "marked_scenes"}, "no coordinate shadows_marked"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        metrics(scores(np.ones((5, 4, 4))).drop_vars("shadows_marked"), **arguments)

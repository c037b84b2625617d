from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from releases import PlainRelease
from s2cmc_zarr import CatalogueError, agreement, agreement_rates, open_release
from s2cmc_zarr.schema import LABELS, UNLABELLED
from synthetic import synthetic

Array: TypeAlias = npt.NDArray[Any]


def annotated(scenes: int = 8, seed: int = 0) -> xr.Dataset:
    """Scenes of which all but one in four have a second mask that differs in a fifth of the pixels."""
    ds = synthetic(scenes, seed=seed, dask=False)
    random = np.random.default_rng(seed)
    other = random.choice(np.array([0, 1, 2, UNLABELLED], "u1"), ds["mask"].shape, p=[0.4, 0.4, 0.15, 0.05])
    alt_mask = np.where(random.random(other.shape) < 0.2, other, ds["mask"].values)
    there = np.arange(scenes) % 4 != 3
    alt_mask[~there] = UNLABELLED
    alt_mask[0] = 0
    return ds.assign(alt_mask=(ds["mask"].dims, alt_mask)).assign_coords(has_alt_mask=("scene", there))


def pixels(ds: xr.Dataset, scenes: Array) -> tuple[Array, Array]:
    first, second = ds["mask"].values[scenes].ravel(), ds["alt_mask"].values[scenes].ravel()
    both = (first != UNLABELLED) & (second != UNLABELLED)
    return first[both], second[both]


def test_counts_are_those_of_scikit_learn_and_lazy() -> None:
    ds = annotated()
    counts = agreement(ds.chunk(scene=3, y=5))
    assert counts["confusion"].chunks
    assert counts["scene"].values.tolist() == ds["scene"].values[ds["has_alt_mask"].values].tolist()
    for scene in counts["scene"].values:
        one = ds.sel(scene=scene)
        expected = sklearn.confusion_matrix(
            one["mask"].values.ravel(), one["alt_mask"].values.ravel(), labels=[0, 1, 2, UNLABELLED]
        )
        np.testing.assert_array_equal(counts["confusion"].sel(scene=scene), expected)


@pytest.mark.parametrize("classes", ["cloud", "three"])
def test_rates_are_those_of_scikit_learn(classes: str) -> None:
    ds = annotated()
    counts = agreement(ds).compute()
    found = agreement_rates(counts, "annotator", classes, replicates=50)  # type: ignore[arg-type]
    for annotator in ("A", "B"):
        chosen = ds["has_alt_mask"].values & (ds["annotator"].values == annotator)
        if classes == "three":
            chosen &= ds["shadows_marked"].values
        group = found.sel(annotator=annotator)
        assert group["scene_count"] == chosen.sum()
        assert group["group_count"] == len(set(ds["group"].values[chosen]))
        first, second = pixels(ds, chosen)
        assert group["pixel_count"] == first.size
        assert group["unlabelled_count"] == chosen.sum() * 256 - first.size
        each = [pixels(ds, np.arange(8) == number) for number in np.flatnonzero(chosen)]
        folded = [(a, b) if classes == "three" else (a == 1, b == 1) for a, b in [(first, second), *each]]
        labels = [0, 1, 2] if classes == "three" else [False, True]
        kappas = [sklearn.cohen_kappa_score(a, b) for a, b in folded if len({*a.tolist(), *b.tolist()}) > 1]
        assert group["kappa_scenes"] == len(kappas) - 1
        np.testing.assert_allclose(group["kappa"], [kappas[0], np.mean(kappas[1:])], rtol=1e-12)
        accuracies = [sklearn.accuracy_score(a, b) for a, b in folded]
        np.testing.assert_allclose(group["overall_accuracy"], [accuracies[0], np.mean(accuracies[1:])], rtol=1e-12)
        each_label: dict[str, Any] = {"labels": labels, "average": None}
        f1 = np.array([sklearn.f1_score(a, b, **each_label, zero_division=np.nan) for a, b in folded])
        overlap = np.array([sklearn.jaccard_score(a, b, **each_label, zero_division=0) for a, b in folded])
        for name, values in (("f1", f1), ("iou", np.where(np.isnan(f1), np.nan, overlap))):
            np.testing.assert_allclose(group[name].sel(averaging="pooled"), values[0], rtol=1e-12)
            np.testing.assert_allclose(group[name].sel(averaging="per_scene"), np.nanmean(values[1:], axis=0))
            np.testing.assert_array_equal(group[f"{name}_scenes"], np.isfinite(values[1:]).sum(axis=0))


def test_kappa_of_a_scene_of_one_class_is_undefined_and_counts_nowhere() -> None:
    counts = agreement(annotated()).compute()
    alone = agreement_rates(counts.isel(scene=[0]), replicates=10)
    assert alone["kappa"].isnull().all()
    assert alone["kappa_scenes"] == 0
    assert (alone["overall_accuracy"] == 1).all()
    assert alone["overall_accuracy_lower"].isnull().all()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 50), st.integers(1, 7))
def test_any_split_of_the_scenes_gives_the_same(seed: int, cut: int) -> None:
    ds = annotated(seed=seed)
    whole = agreement(ds).compute(scheduler="synchronous")
    parts = [
        part for part in (ds.isel(scene=slice(cut)), ds.isel(scene=slice(cut, None))) if part["has_alt_mask"].any()
    ]
    joined = xr.concat(
        [agreement(part).compute(scheduler="synchronous") for part in parts],
        "scene",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
    )
    xr.testing.assert_identical(joined, whole)


def test_the_annotators_may_change_places_and_limits_hold_the_estimate() -> None:
    ds = annotated(40)
    swapped = ds.assign(mask=ds["alt_mask"].variable, alt_mask=ds["mask"].variable)
    first, second = (agreement_rates(agreement(each), "difficulty", replicates=200) for each in (ds, swapped))
    xr.testing.assert_allclose(first, second, rtol=1e-12)
    for name in ("overall_accuracy", "f1", "iou", "kappa"):
        assert (first[f"{name}_lower"] <= first[name]).all()
        assert (first[name] <= first[f"{name}_upper"]).all()
        assert (first[f"{name}_lower"] < first[f"{name}_upper"]).all()
    assert first.to_dataframe().index.names == ["averaging", "difficulty", "label"]


def test_a_release(plain: PlainRelease, tmp_path: Path) -> None:
    counts = agreement(open_release(plain.write(tmp_path)))
    assert counts["scene"].values.tolist() == [plain.scenes[1], plain.scenes[3]]
    expected = [
        sklearn.confusion_matrix(plain.labels[scene].ravel(), plain.alt_labels[scene].ravel(), labels=[0, 1, 2])
        for scene in counts["scene"].values
    ]
    np.testing.assert_array_equal(
        counts["confusion"].sel(first_annotator=list(LABELS), second_annotator=list(LABELS)), expected
    )


def test_refusals() -> None:
    ds = annotated()
    counts = agreement(ds)
    with pytest.raises(CatalogueError, match="none of the 1 scenes has a second annotator's mask"):
        agreement(ds.isel(scene=[3]))
    with pytest.raises(CatalogueError, match="no coordinate has_alt_mask"):
        agreement(ds.drop_vars("has_alt_mask"))
    with pytest.raises(CatalogueError, match="no coordinate group: which scenes are independent"):
        agreement_rates(counts.drop_vars("group"))
    with pytest.raises(CatalogueError, match="no coordinate shadows_marked"):
        agreement_rates(counts.drop_vars("shadows_marked"), classes="three")
    with pytest.raises(CatalogueError, match="classes is 'two', expected one of: cloud, three"):
        agreement_rates(counts, classes="two")  # type: ignore[arg-type]
    wrong = ds.assign(alt_mask=ds["alt_mask"].where(ds["scene"] != "scene_02", 7).astype("u1"))
    with pytest.raises(CatalogueError, match=r"scene_02: the mask has the value\(s\) \[7\]"):
        agreement(wrong).compute()

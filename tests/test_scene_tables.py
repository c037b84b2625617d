from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from s2cmc_zarr import (
    CatalogueError,
    class_balance,
    cloud_cover,
    open_release,
    statistics,
    tag_co_occurrence,
    tag_counts,
)
from s2cmc_zarr.schema import LABELS, TAGS
from synthetic import synthetic

FEW: dict[str, Any] = {"replicates": 50}


@pytest.fixture(scope="module")
def catalogue(real_csv: Path) -> xr.Dataset:
    return open_release(real_csv)


@pytest.fixture(scope="module")
def table(real_csv: Path) -> pd.DataFrame:
    return pd.read_csv(real_csv)


def test_balance_of_the_real_table(catalogue: xr.Dataset, table: pd.DataFrame) -> None:
    found = class_balance(catalogue, "difficulty", **FEW)
    for difficulty, rows in table.groupby("difficulty"):
        means = rows[["clear_percent", "cloud_percent", "shadow_percent"]].mean() / 100
        np.testing.assert_allclose(found["class_fraction"].sel(difficulty=difficulty), means, rtol=1e-12)
        assert found["scene_count"].sel(difficulty=difficulty) == len(rows)
    whole = class_balance(catalogue, **FEW)
    assert whole["class_count"].values.tolist() == [246_171_470, 281_740_439, 7_908_383]
    assert whole["group_count"] == 493


def test_counted_pixels_come_before_the_table() -> None:
    ds = synthetic(8)
    changed = ds.assign_coords(table_class_count=ds["table_class_count"] + 1)
    found = class_balance(statistics(changed), "dataset", **FEW)
    mask = ds["mask"].values
    for dataset in ("CALIBRATION", "MAIN"):
        chosen = mask[ds["dataset"].values == dataset]
        counts = np.array([(chosen == value).sum() for value in range(3)])
        assert found["class_count"].sel(dataset=dataset).values.tolist() == counts.tolist()
        np.testing.assert_allclose(found["class_fraction"].sel(dataset=dataset), counts / counts.sum())


def test_cover_of_the_real_table(catalogue: xr.Dataset, table: pd.DataFrame) -> None:
    found = cloud_cover(catalogue, "annotator", **FEW)
    edges = [-1, 0, *range(10, 100, 10), 99.99999, 100]
    for annotator, rows in table.groupby("annotator"):
        inside = np.searchsorted(edges, rows["cloud_percent"].to_numpy(), side="left") - 1
        expected = np.bincount(inside, minlength=12)
        group = found.sel(annotator=annotator)
        assert group["scenes"].values.tolist() == expected.tolist()
        np.testing.assert_allclose(group["scene_fraction"], expected / len(rows))
        np.testing.assert_allclose(group["mean_cover"], rows["cloud_percent"].mean() / 100)
        np.testing.assert_allclose(group["median_cover"], rows["cloud_percent"].median() / 100)
    assert found["scenes"].sel(cloud_cover="100").sum() == 192


def test_a_scene_without_labels_has_no_cover() -> None:
    ds = synthetic(4)
    counts = ds["table_class_count"].values.copy()
    counts[1] = 0
    found = cloud_cover(ds.assign_coords(table_class_count=(("scene", "label"), counts)), **FEW)
    assert found["scene_count"] == found["scenes"].sum() == 3
    np.testing.assert_allclose(found["mean_cover"], np.mean([c[1] / c.sum() for c in counts if c.sum()]))


def test_tags_of_the_real_table(catalogue: xr.Dataset, table: pd.DataFrame) -> None:
    found = tag_counts(catalogue, "dataset", **FEW)
    np.testing.assert_array_equal(found["tag_scenes"], table.groupby("dataset")[list(TAGS)].sum())
    np.testing.assert_allclose(found["frequency"], table.groupby("dataset")[list(TAGS)].mean())


def test_limits_are_near_those_of_a_binomial() -> None:
    random = np.random.default_rng(3)
    tags = random.random((400, len(TAGS))) < np.linspace(0.1, 0.9, len(TAGS))
    ds = xr.Dataset(coords={"tags": (("scene", "tag"), tags), "tag": list(TAGS), "group": ("scene", np.arange(400))})
    found = tag_counts(ds, level=0.9)
    for tag in TAGS:
        one = found.sel(tag=tag)
        interval = stats.binomtest(int(one["tag_scenes"]), 400).proportion_ci(0.9, method="wilson")
        np.testing.assert_allclose([one["frequency_lower"], one["frequency_upper"]], interval, atol=0.01)


def test_scenes_of_one_group_are_not_independent() -> None:
    ds = synthetic(40).assign_coords(group=("scene", np.arange(40)))
    alone = tag_counts(ds)
    tags = np.repeat(ds["tags"].values[:10], 4, axis=0)
    related = ds.assign_coords(tags=(("scene", "tag"), tags), group=("scene", np.repeat(np.arange(10), 4)))
    width = {
        name: float((t["frequency_upper"] - t["frequency_lower"]).mean())
        for name, t in (("alone", alone), ("related", tag_counts(related)))
    }
    assert width["related"] > 1.5 * width["alone"]
    single = tag_counts(ds.assign_coords(group=("scene", np.zeros(40, dtype=int))), **FEW)
    assert single["frequency_lower"].isnull().all()
    assert single["group_count"] == 1


def test_co_occurrence_of_the_real_table(catalogue: xr.Dataset, table: pd.DataFrame) -> None:
    found = tag_co_occurrence(catalogue, **FEW)
    tags = table[list(TAGS)]
    both = tags.T.to_numpy() @ tags.to_numpy()
    np.testing.assert_array_equal(found["both_scenes"], both)
    conditional = np.array([tags[tags[tag] == 1].mean() for tag in TAGS])
    np.testing.assert_allclose(found["conditional_frequency"], conditional, rtol=1e-12)
    np.testing.assert_allclose(found["lift"], conditional / tags.mean().to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(found["lift"], found["lift"].values.T, rtol=1e-12)
    assert found.to_dataframe().index.names == ["tag", "other_tag"]


def test_a_tag_without_scenes_has_no_lift() -> None:
    ds = synthetic(6)
    tags = ds["tags"].values.copy()
    tags[:, 0] = False
    found = tag_co_occurrence(ds.assign_coords(tags=(("scene", "tag"), tags)), **FEW)
    assert found["lift"].isel(tag=0).isnull().all()
    assert found["lift"].isel(other_tag=0).isnull().all()
    assert found["conditional_frequency"].isel(tag=0).isnull().all()


@settings(deadline=None, max_examples=8)
@given(st.permutations(range(9)), st.integers(1, 8))
def test_counts_of_parts_add_up(order: list[int], cut: int) -> None:
    ds = synthetic(9, size=4)
    parts = [ds.isel(scene=order[:cut]), ds.isel(scene=order[cut:])]
    for make, name in (
        (class_balance, "class_count"),
        (cloud_cover, "scenes"),
        (tag_counts, "tag_scenes"),
        (tag_co_occurrence, "both_scenes"),
    ):
        whole, *of_parts = (make(each, replicates=1)[name] for each in (ds, *parts))
        xr.testing.assert_identical(whole, sum(of_parts).assign_attrs(whole.attrs))  # type: ignore[union-attr]


def test_data_frames_and_refusals(catalogue: xr.Dataset) -> None:
    frame = class_balance(catalogue, "hemisphere,annotator", **FEW).to_dataframe()
    assert frame.index.names == ["hemisphere", "annotator", "label"]
    assert frame.index.get_level_values("label").unique().tolist() == list(LABELS)
    with pytest.raises(CatalogueError, match="tags of tags are asked for: see tag_co_occurrence"):
        tag_counts(catalogue, "tags")
    with pytest.raises(CatalogueError, match="no coordinate group"):
        class_balance(catalogue.drop_vars("group"))
    with pytest.raises(CatalogueError, match="neither class_count nor the coordinate table_class_count"):
        cloud_cover(catalogue.drop_vars("table_class_count"))
    with pytest.raises(CatalogueError, match="no coordinate tags"):
        tag_co_occurrence(catalogue.drop_vars("tags"))

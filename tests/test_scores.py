from __future__ import annotations

from typing import Any

import dask.base
import distributed
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from s2cmc_zarr.analysis.statistics import statistics, tabulate
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS, UNLABELLED
from s2cmc_zarr.scoring.metrics import metrics
from s2cmc_zarr.scoring.models import BraatenCohenYang, Prediction
from s2cmc_zarr.scoring.scores import score
from synthetic import reference, synthetic, watched

Pixels = npt.NDArray[np.float32]


class Darkness:
    """Bright is cloud, dark is cloud shadow, and it gives no mask in the last column."""

    name = "darkness"
    labels = LABELS

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        green = reflectance[2]
        mask = np.where(green > 0.3, 1, np.where(green < 0.1, 2, 0)).astype(np.uint8)
        mask[:, -1] = UNLABELLED
        return mask


def test_counts_are_those_of_scikit_learn() -> None:
    ds = synthetic()
    lazy = score(ds, Darkness())
    assert lazy["confusion"].chunks
    found = lazy.compute()
    assert found["confusion"].dims == ("scene", "truth", "prediction")
    assert found["confusion"].dtype == np.int64
    assert found["truth"].values.tolist() == ["clear", "cloud", "cloud_shadow", "unlabelled"]
    assert found["prediction"].values.tolist() == ["clear", "cloud", "cloud_shadow", "no_data"]
    for scene in range(ds.sizes["scene"]):
        pixels = ds["reflectance"].values[scene]
        predicted = Darkness()(pixels)
        predicted[~np.isfinite(pixels).all(axis=0) | (pixels == 0).all(axis=0)] = UNLABELLED
        truth = ds["mask"].values[scene]
        expected = confusion_matrix(truth.ravel(), predicted.ravel(), labels=[0, 1, 2, UNLABELLED])
        np.testing.assert_array_equal(found["confusion"].values[scene], expected)


def test_every_pixel_is_in_one_cell() -> None:
    found = score(synthetic(size=16), "braaten").compute()
    assert (found["confusion"].sum(("truth", "prediction")) == 16 * 16).all()


def test_coordinates() -> None:
    ds = synthetic()
    found = score(ds, "braaten")
    for name in ("tags", "tag_group", "difficulty", "shadows_marked"):
        assert found[name].chunks is None
        np.testing.assert_array_equal(found[name], ds[name])
    assert found["model"] == "braaten"
    assert found["predicts"].values.tolist() == [True, True, False, False]
    assert score(ds, Darkness())["predicts"].values.tolist() == [True, True, True, False]


def test_a_bool_mask_is_cloud() -> None:
    ds = synthetic()

    def bright(reflectance: Pixels) -> npt.NDArray[Any]:
        cloud: npt.NDArray[np.bool_] = reflectance[2] > 0.3
        return cloud

    def bright_as_numbers(reflectance: Pixels) -> npt.NDArray[Any]:
        return bright(reflectance).astype(np.uint8)

    found = score(ds, bright).compute()
    assert found["model"] == "bright"
    np.testing.assert_array_equal(found["confusion"], score(ds, bright_as_numbers)["confusion"])


def test_labels_can_be_given() -> None:
    def plain(reflectance: Pixels) -> npt.NDArray[Any]:
        return Darkness()(reflectance)

    ds = synthetic()
    with pytest.raises(CatalogueError, match=r"scene_0\d: model plain predicted cloud_shadow, but its labels are"):
        score(ds, plain).compute()
    found = score(ds, plain, labels=LABELS).compute()
    named = ["model", "model_digest"]
    xr.testing.assert_equal(found.drop_vars(named), score(ds, Darkness()).drop_vars(named).compute())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda pixels: pixels[0, 1:] > 0, r"model <lambda> gave the shape \(15, 16\), expected \(16, 16\)"),
        (lambda pixels: pixels[0], "gave float32, expected a NumPy array of uint8 or bool"),
        (lambda _: None, "gave NoneType, expected a NumPy array"),
        (lambda pixels: np.full(pixels.shape[1:], 4, np.uint8), r"model <lambda>: the mask has the value\(s\) \[4\]"),
    ],
    ids=["shape", "dtype", "no array", "values"],
)
def test_a_wrong_mask_is_refused_with_the_name_of_the_scene(model: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=f"scene_00: .*{message}"):
        score(synthetic().isel(scene=[0]), model).compute()


def _beyond(pixels: Pixels) -> npt.NDArray[np.bool_]:
    return np.asarray(pixels[13] > 0)


def test_what_a_model_raises_is_one_message_and_the_cause() -> None:
    with pytest.raises(
        CatalogueError, match=r"^scene_00: model _beyond failed: IndexError: .*test_scores\.py, line"
    ) as e:
        score(synthetic().isel(scene=[0]), _beyond).compute()
    assert isinstance(e.value.__cause__, IndexError)


class Probable:
    """A model whose probability of cloud is the same everywhere."""

    name = "probable"
    labels = ("clear", "cloud")
    digest = "0" * 64
    variables = ("reflectance",)

    def __init__(self, probability: float) -> None:
        self.probability = np.float32(probability)

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        return np.ones(reflectance.shape[1:], np.uint8)

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:  # noqa: ARG002
        mask = self(arrays["reflectance"])
        return Prediction(mask, np.full(mask.shape, self.probability))


def test_a_probability_may_be_off_by_rounding_only() -> None:
    ds = synthetic()
    xr.testing.assert_identical(score(ds, Probable(1.0000001)).compute(), score(ds, Probable(1)).compute())
    with pytest.raises(CatalogueError, match=r"scene_00: model probable: probabilities go from 1.5 to 1.5, expected 0"):
        score(ds.isel(scene=[0]), Probable(1.5)).compute()


class Answering(Probable):
    """A model that answers anything."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Any:  # noqa: ARG002
        return self.answer(np.zeros(arrays["reflectance"].shape[1:], np.uint8))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda mask: Prediction(mask.astype(np.float32)), "gave float32, expected a NumPy array of uint8 or bool"),
        (lambda mask: Prediction(mask + np.uint8(7)), r"probable: the mask has the value\(s\) \[7\]"),
        (lambda mask: Prediction(mask + np.uint8(2)), "predicted cloud_shadow, but its labels are"),
        (lambda mask: mask, "gave ndarray, expected a Prediction"),
        (lambda _: None, "gave NoneType, expected a Prediction"),
        (lambda mask: Prediction(mask.tolist()), "gave list, expected a NumPy array of uint8 or bool"),
        (lambda mask: Prediction(mask, mask[1:]), r"gave probabilities of shape \(15, 16\), expected \(16, 16\)"),
        (lambda mask: Prediction(mask, 0.5), r"gave probabilities of shape \(\), expected"),  # type: ignore[arg-type]
    ],
)
def test_an_object_with_wrong_answers_is_refused_like_a_function(answer: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=f"scene_00: model probable.*{message}|scene_00: model {message}"):
        score(synthetic().isel(scene=[0]), Answering(answer)).compute()


def test_bool_from_a_model_of_three_classes_is_refused() -> None:
    with pytest.raises(CatalogueError, match="gave bool, which is cloud or not, but its labels are"):
        score(synthetic(), lambda pixels: pixels[0] > 0, labels=LABELS).compute()


def test_a_model_cannot_harm_the_pixels() -> None:
    def careless(reflectance: Pixels) -> npt.NDArray[Any]:
        reflectance[reflectance > 1] = 1
        return np.zeros(reflectance.shape[1:], dtype=bool)

    with pytest.raises(ValueError, match="read-only"):
        score(synthetic(), careless).compute()


def test_a_model_gets_float32() -> None:
    def bright(reflectance: Pixels) -> npt.NDArray[Any]:
        return np.full(reflectance.shape[1:], reflectance.dtype == np.float32)

    ds = synthetic()
    found = score(ds.assign(reflectance=ds["reflectance"].astype(float)), bright).compute()
    assert found["confusion"].sel(prediction="cloud").sum() > 0
    assert found["confusion"].sel(prediction="clear").sum() == 0


def test_an_unknown_class_is_refused_with_the_name_of_the_scene() -> None:
    ds = synthetic(dask=False)
    ds["mask"][3, 0, 0] = 9
    with pytest.raises(CatalogueError, match=r"scene_03: the mask has the value\(s\) \[9\]"):
        score(ds, "braaten").compute()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.sel(band=["B03", "B04", "B11"]), r"bands are \['B03', 'B04', 'B11'\]; a model expects all"),
        (lambda ds: ds.drop_vars("band"), "bands are None"),
        (lambda ds: ds.drop_vars("mask"), "no mask"),
        (lambda ds: ds.isel(scene=0), "a single scene is selected by"),
    ],
)
def test_refusals(change: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        score(change(synthetic()), "braaten")


def test_unknown_labels_and_models_are_refused() -> None:
    with pytest.raises(CatalogueError, match="expected clear, cloud and perhaps cloud_shadow"):
        score(synthetic(), Darkness(), labels=["clear", "thin", "cloud"])
    with pytest.raises(CatalogueError, match="no model 'nonsense'; built in: braaten"):
        score(synthetic(), "nonsense")


@pytest.mark.parametrize("chunks", [{"scene": 4, "band": 3, "y": 5, "x": 7}, {"scene": -1}, None])
def test_chunks_do_not_matter(chunks: dict[str, int] | None) -> None:
    ds = synthetic(dask=False)
    found = score(ds if chunks is None else ds.chunk(chunks), Darkness()).compute()
    xr.testing.assert_identical(found, score(synthetic(), Darkness()).compute())


def test_pixels_are_read_once_for_statistics_and_scores_together() -> None:
    reads: list[tuple[str, int]] = []
    ds = watched(synthetic(dask=False), reads)
    lazy = statistics(ds), score(ds, "braaten"), score(ds, Darkness())
    assert not reads
    dask.base.compute(*lazy)
    assert sorted(reads) == [(name, scene) for name in ("mask", "reflectance") for scene in range(6)]


@settings(deadline=None, max_examples=10)
@given(st.permutations(range(8)), st.integers(0, 8), st.integers(0, 3))
def test_any_split_of_the_scenes_gives_the_same(order: list[int], cut: int, seed: int) -> None:
    ds = synthetic(8, size=6, seed=seed, dask=False)
    parts = [
        score(ds.isel(scene=part), Darkness()).compute(scheduler="synchronous")
        for part in (order[:cut], order[cut:])
        if part
    ]
    joined = xr.concat(parts, "scene", data_vars="minimal", coords="minimal", compat="override", join="override")
    whole = score(ds, Darkness()).compute(scheduler="synchronous")
    xr.testing.assert_identical(joined.sel(scene=whole["scene"]), whole)
    for by in (None, "tags", "difficulty"):
        xr.testing.assert_allclose(metrics(joined, by), metrics(whole, by), rtol=1e-12, atol=0)


def test_braaten_on_real_pixels() -> None:
    ds = reference()
    found = score(ds, BraatenCohenYang()).compute()
    clouds = found["confusion"].sel(truth="clear", prediction="cloud") / (101 * 100)
    np.testing.assert_allclose(clouds, [0.4624, 0.0265, 0, 0, 0], atol=1e-4)


def test_processes_of_a_cluster_give_the_same() -> None:
    ds = synthetic()
    expected = statistics(ds).compute(), score(ds, "braaten").compute(), score(ds, Darkness()).compute()
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    )
    with cluster, distributed.Client(cluster):
        found = dask.base.compute(statistics(ds), score(ds, "braaten"), score(ds, Darkness()))
        table = tabulate(statistics(ds), "difficulty").compute()
    for ours, theirs in zip(found, expected, strict=True):
        xr.testing.assert_identical(ours, theirs)
    xr.testing.assert_allclose(table, tabulate(expected[0], "difficulty"), rtol=1e-12)

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.boosters import LightGBMBooster, load_booster, probabilities_of_pixels
from s2cmc_zarr.scoring.models.forest import Forest, UnsupportedForestError, read_lightgbm
from s2cmc_zarr.scoring.models.installed import file_of
from synthetic import reference

lightgbm = pytest.importorskip("lightgbm")
TINY = np.array([0, -0.0, 1e-36, -1e-36, 1e-35, -1e-35, 1.1e-35, -1.1e-35, 1e-40, np.nan, np.inf, -np.inf, 3e38, -3e38])


def adversarial(text: str, pixels: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Values at each threshold, one float32 above and below, and special ones; shape (feature, pixel)."""
    random = np.random.default_rng(seed)
    trees, features, _ = read_lightgbm(text)
    values = np.empty((features, pixels), dtype=np.float32)
    for feature in range(features):
        with np.errstate(over="ignore"):
            edges = np.concatenate([tree.threshold[tree.feature == feature] for tree in trees]).astype(np.float32)
        near = [edges, np.nextafter(edges, np.float32(np.inf)), np.nextafter(edges, np.float32(-np.inf))]
        near.append(np.repeat(TINY.astype(np.float32), 1 + len(edges) // 20))
        values[feature] = random.choice(np.concatenate(near), pixels)
    return values


@pytest.fixture(scope="module")
def real_text() -> str:
    pytest.importorskip("s2cloudless")
    return file_of("s2cloudless", "models", "pixel_s2_cloud_detector_lightGBM_v0.1.txt").read_text()


@pytest.fixture(scope="module")
def real_forest(real_text: str) -> Forest:
    return Forest(*read_lightgbm(real_text))


def test_real_forest_on_adversarial_rows(real_text: str, real_forest: Forest) -> None:
    values = adversarial(real_text, 4000)
    expected = LightGBMBooster(real_text)
    np.testing.assert_array_equal(real_forest.raw_scores(values), expected.raw_scores(values))
    np.testing.assert_array_equal(real_forest.probabilities(values), expected.probabilities(values))


def test_real_forest_on_real_pixels(real_text: str, real_forest: Forest) -> None:
    bands = [0, 1, 3, 4, 7, 8, 9, 10, 11, 12]
    values = np.ascontiguousarray(reference()["reflectance"].values.transpose(1, 0, 2, 3).reshape(13, -1)[bands])
    some = np.ascontiguousarray(values[:, ::9])
    expected = LightGBMBooster(real_text).raw_scores(some)
    np.testing.assert_array_equal(real_forest.raw_scores(some), expected)
    # However many pixels there are at a time.
    np.testing.assert_array_equal(real_forest.raw_scores(np.tile(values, 2))[: values.shape[1] : 9], expected)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"max_bin": 1000, "min_data_in_bin": 1, "num_leaves": 400},
        {"num_leaves": 2},
        {"min_data_in_leaf": 10_000},
        {"sigmoid": 0.7},
    ],
    ids=str,
)
def test_other_forests(options: dict[str, Any]) -> None:
    random = np.random.default_rng(3)
    training = random.normal(size=(2000, 5)).round(2)
    training[:, 4] = random.normal(size=2000) * 1e37
    training[:, 3] = random.choice(TINY[:9], 2000)
    training[random.random(training.shape) < 0.15] = np.nan
    training[random.random(training.shape) < 0.15] = 0
    if "max_bin" in options:
        training[:, 0] = random.normal(size=2000)
    truth = (np.nan_to_num(training[:, 0]) + random.normal(size=2000) > 0).astype(int)
    parameters = {"objective": "binary", "num_leaves": 100, "min_data_in_leaf": 3, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(parameters | options, lightgbm.Dataset(training, truth), 12)
    text = booster.model_to_string()
    forest = Forest(*read_lightgbm(text))
    with np.errstate(over="ignore"):
        values = np.concatenate([adversarial(text, 3000), training.T.astype(np.float32)], axis=1)
    rows = np.ascontiguousarray(values.T)
    np.testing.assert_array_equal(forest.raw_scores(values), booster.predict(rows, raw_score=True))
    np.testing.assert_array_equal(forest.probabilities(values), booster.predict(rows))


def train(**options: Any) -> str:
    random = np.random.default_rng(0)
    training = random.integers(0, 5, (300, 3)).astype(float)
    truth = random.integers(0, 3 if options.get("num_class") else 2, 300)
    columns: Any = "auto"
    if options.pop("categories", False):
        columns, truth = [0], np.isin(training[:, 0], [1, 3]).astype(int)
    data = lightgbm.Dataset(training, truth, categorical_feature=columns, params={"verbose": -1})
    parameters = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 2, "num_threads": 1, "num_leaves": 5}
    return str(lightgbm.train(parameters | options, data, 3).model_to_string())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "multiclass", "num_class": 3}, "has 3 classes"),
        ({"categories": True, "min_data_per_group": 1, "cat_smooth": 0}, "categorical features"),
        ({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, "averages its trees"),
        ({"objective": "regression"}, "the objective is 'regression'"),
    ],
    ids=["classes", "categories", "average", "objective"],
)
def test_what_only_lightgbm_can_is_left_to_it(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    text = train(**options)
    with pytest.raises(UnsupportedForestError, match=message):
        Forest(*read_lightgbm(text))
    (tmp_path / "model.txt").write_text(text)
    booster = load_booster(tmp_path / "model.txt")
    assert isinstance(booster, LightGBMBooster)
    values = np.random.default_rng(1).integers(0, 5, (3, 4, 5)).astype(np.float32)
    found = probabilities_of_pixels(booster, values)
    expected = np.asarray(lightgbm.Booster(model_str=text).predict(values.reshape(3, -1).T))
    expected = expected.T if expected.ndim == 2 else np.stack([1 - expected, expected])
    np.testing.assert_array_equal(found, expected.astype(np.float32).reshape(-1, 4, 5))


def test_one_file_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text(train())
    booster = load_booster(tmp_path / "model.txt")
    assert isinstance(booster, Forest)
    assert load_booster(tmp_path / "model.txt") is booster
    (tmp_path / "model.txt").write_text(train(num_leaves=3))
    assert load_booster(tmp_path / "model.txt") is not booster


def test_refusals() -> None:
    with pytest.raises(CatalogueError, match="not a model of LightGBM"):
        read_lightgbm("hello")
    text = train()
    with pytest.raises(CatalogueError, match="is the file whole"):
        read_lightgbm(text[: text.index("leaf_value=") + 15])
    with pytest.raises(
        CatalogueError, match=r"the forest got float64 of shape \(3, 2\), expected float32 \(3, pixel\)"
    ):
        Forest(*read_lightgbm(text)).raw_scores(np.zeros((3, 2)))  # type: ignore[arg-type]

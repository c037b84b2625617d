from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter
from scipy.special import softmax

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import UNLABELLED
from s2cmc_zarr.scoring.models import SceneModel, Specification

Pixels = npt.NDArray[np.float32]
SPECIFICATION = Specification("mean", "1", "MIT", ("B03", "B8A"), {"clear": "clear", "cloud": "cloud"})


@dataclass(frozen=True)
class LocalMean:
    """Cloud where the mean over a square of 2·halo + 1 pixels is high."""

    specification: Specification
    largest: int = 10_000

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        assert reflectance.dtype == np.float32
        assert reflectance.flags.c_contiguous
        assert max(reflectance.shape[1:]) <= self.largest
        assert not any(size % self.specification.size_multiple for size in reflectance.shape[1:])
        size = 2 * (self.specification.halo or 0) + 1
        mean = uniform_filter(np.rint(reflectance[0] * 64).astype(np.int64) * size**2, size, mode="reflect")
        cloud: npt.NDArray[np.bool_] = mean > 32 * size**2
        return cloud.astype(np.uint8)


def scene(rows: int, columns: int) -> Pixels:
    return np.random.default_rng(rows).random((13, rows, columns), dtype=np.float32) + np.float32(0.01)


sizes = st.integers(1, 50)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 50), st.integers(1, 50), st.integers(0, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 2)
)
def test_tiles_give_what_the_whole_gives(
    rows: int, columns: int, halo: int, multiple: int, tiles: int, threads: int
) -> None:
    reflectance = scene(rows, columns)
    tile = (2 * halo // multiple + tiles) * multiple
    expected = LocalMean(replace(SPECIFICATION, halo=halo)).predict(np.ascontiguousarray(reflectance[[2, 8]]))
    tiled = replace(SPECIFICATION, halo=halo, size_multiple=multiple, tile=tile)
    np.testing.assert_array_equal(SceneModel(LocalMean(tiled, tile), threads)(reflectance), expected)
    if not halo:  # the square reaches over the border, where padding may differ
        padded = replace(SPECIFICATION, size_multiple=multiple)
        np.testing.assert_array_equal(SceneModel(LocalMean(padded))(reflectance), expected)


def test_missing_pixels_are_zero_for_the_predictor_and_none_in_the_mask() -> None:
    seen = []

    @dataclass(frozen=True)
    class Watching:
        specification = replace(SPECIFICATION, scale=10_000, outputs="probabilities")

        def predict(self, reflectance: Pixels) -> Pixels:
            seen.append(reflectance.copy())
            return np.stack([1 - reflectance[0] / 20_000, reflectance[0] / 20_000])

    reflectance = scene(4, 5)
    reflectance[:, 0, 0] = 0
    reflectance[:, 0, 1] = np.nan
    reflectance[8, 0, 2] = np.inf
    reflectance[0, 0, 3] = np.nan  # not a band of the model
    reflectance.flags.writeable = False
    prediction = SceneModel(Watching()).predict_scene("scene", reflectance=reflectance)
    assert (seen[0][:, 0, :3] == 0).all()
    np.testing.assert_allclose(seen[0][:, 1:], reflectance[[2, 8], 1:] * 10_000)
    assert (prediction.mask == UNLABELLED).sum() == 3
    assert (prediction.mask[0, :3] == UNLABELLED).all()
    assert prediction.probability is not None
    np.testing.assert_array_equal(np.isnan(prediction.probability), prediction.mask == UNLABELLED)
    np.testing.assert_allclose(prediction.probability[1:], reflectance[2, 1:] / 2, rtol=1e-6)


def test_probabilities_of_several_kinds_of_cloud_are_added() -> None:
    classes = {"shade": "cloud shadow", "thin": "thin cloud", "clear": "clear", "thick": "cloud"}

    @dataclass(frozen=True)
    class Numbers:
        specification = replace(SPECIFICATION, classes=classes, outputs="logits")

        def predict(self, reflectance: Pixels) -> Pixels:
            return np.concatenate([reflectance, reflectance[::-1] * 2])

    reflectance = scene(6, 7)
    prediction = SceneModel(Numbers()).predict_scene("scene", reflectance=reflectance)
    numbers = np.concatenate([reflectance[[2, 8]], reflectance[[8, 2]] * 2])
    expected = softmax(numbers, axis=0)
    assert prediction.probability is not None
    np.testing.assert_allclose(prediction.probability, expected[1] + expected[3], rtol=1e-6)
    np.testing.assert_array_equal(prediction.mask, np.array([2, 1, 0, 1])[numbers.argmax(axis=0)])


def test_what_does_not_fit_the_specification_is_refused() -> None:
    @dataclass(frozen=True)
    class Wrong:
        specification = SPECIFICATION

        def predict(self, reflectance: Pixels) -> Pixels:
            first: Pixels = reflectance[0]
            return first

    with pytest.raises(CatalogueError, match=r"model mean gave float32 \(2, 3\), expected uint8 \(2, 3\)"):
        SceneModel(Wrong())(scene(2, 3))
    with pytest.raises(CatalogueError, match=r"model mean got the shape \(2, 2, 3\), expected \(13, y, x\)"):
        SceneModel(Wrong())(scene(2, 3)[:2])


@dataclass(frozen=True)
class Giving:
    """Gives the same for every pixel."""

    given: tuple[float, ...]
    outputs: Literal["classes", "probabilities", "logits"] = "probabilities"

    @property
    def specification(self) -> Specification:
        return replace(SPECIFICATION, outputs=self.outputs)

    def predict(self, reflectance: Pixels) -> npt.NDArray[np.generic]:
        shape = reflectance.shape[1:]
        if self.outputs == "classes":
            return np.full(shape, self.given[0], dtype=np.uint8)
        return np.stack([np.full(shape, value, dtype=np.float32) for value in self.given])


@pytest.mark.parametrize("outputs", ["probabilities", "logits"])
@pytest.mark.parametrize("given", [(np.nan, np.nan), (0.3, np.nan), (np.nan, 0.7)])
def test_where_a_probability_is_nan_there_is_no_prediction(
    outputs: Literal["probabilities", "logits"], given: tuple[float, float]
) -> None:
    prediction = SceneModel(Giving(given, outputs)).predict_scene("scene", reflectance=scene(3, 4))
    assert (prediction.mask == UNLABELLED).all()
    assert prediction.probability is not None
    assert np.isnan(prediction.probability).all()


class Classifying(Giving):
    """Classifies by itself, and wrongly."""

    def classify(self, probabilities: Pixels) -> npt.NDArray[np.generic]:
        cloud: npt.NDArray[np.bool_] = probabilities[1] > 0.5
        return cloud if self.given[1] == 1 else np.where(cloud, np.uint8(9), np.uint8(0))


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        (
            Giving((2,), "classes"),
            r"predict of model mean gave the value\(s\) \[2\], expected 0 to 1, as it specifies 2",
        ),
        (Classifying((0.1, 0.9)), r"classify of model mean gave the value\(s\) \[9\], expected 0 to 1"),
        (Classifying((0, 1)), "classify of model mean gave bool, expected values of classes, uint8"),
    ],
)
def test_values_that_mean_nothing_are_refused(predictor: Giving, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        SceneModel(predictor)(scene(3, 4))


def test_a_predictor_may_give_no_class() -> None:
    assert (SceneModel(Giving((UNLABELLED,), "classes"))(scene(3, 4)) == UNLABELLED).all()


def test_a_specification_is_one() -> None:
    class Plain:
        specification = "mean"

        def predict(self, reflectance: Pixels) -> Pixels:
            return reflectance

    with pytest.raises(CatalogueError, match="the specification of Plain is str, expected a Specification"):
        SceneModel(Plain())  # type: ignore[arg-type]

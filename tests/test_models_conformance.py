from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import uniform_filter

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS
from s2cmc_zarr.scoring.models import MODELS, Prediction, Specification, check_model

Pixels = npt.NDArray[np.float32]


@pytest.mark.parametrize("name", MODELS)
def test_built_in_models_conform(name: str) -> None:
    assert len(check_model(name, size=32)) == 7


@dataclass(frozen=True)
class Bad:
    """A model that keeps to everything, but for what a test changes."""

    wrong: str
    name: str = "bad"
    labels: tuple[str, ...] = ("clear", "cloud")
    variables: tuple[str, ...] = ("reflectance",)
    digest: str = "0" * 64
    calls: list[int] = field(default_factory=list)

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        return self.predict_scene("", reflectance=reflectance).mask

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:  # noqa: ARG002
        reflectance = arrays["reflectance"]
        missing = ~np.isfinite(reflectance).all(axis=0) | (reflectance == 0).all(axis=0)
        mask = (reflectance[2] > 0.3).astype(np.uint8)
        probability = reflectance[2].clip(0, 1)
        if self.wrong != "missing":
            mask[missing] = 255
        self.calls.append(1)
        if self.wrong == "random":
            mask[0, 0] = len(self.calls) % 2
        if self.wrong == "dtype":
            mask = mask.astype(np.int64)
        if self.wrong == "values":
            mask[mask == 1] = 2
        if self.wrong == "probability":
            probability = probability * 100
        return Prediction(mask[:, :-1] if self.wrong == "shape" else mask, probability)

    def __reduce__(self) -> Any:
        if self.wrong == "pickle":
            raise TypeError("cannot pickle a session")
        return (Bad, (self.wrong,))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("dtype", "its mask is int64, expected uint8"),
        ("shape", r"its mask has the shape \(32, 38\), expected \(32, 39\)"),
        ("values", r"its mask has the values \[0, 2\], expected of \[0, 1, 255\]"),
        ("missing", "it predicts where all bands are 0 or NaN, expected 255"),
        ("random", "it gives another result when it is called again"),
        ("pickle", "it cannot be pickled, as worker processes need it: cannot pickle a session"),
        ("probability", "its probability is not between 0 and 1"),
    ],
)
def test_what_is_wrong_is_found(wrong: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=f"model bad does not conform:\n(.*\n)*.*{message}"):
        check_model(Bad(wrong), size=32)


def test_a_good_one_passes() -> None:
    assert "Shape, type and values of the mask" in check_model(Bad(""), size=32)


def test_labels_and_digest() -> None:
    with pytest.raises(CatalogueError, match=r"its labels are .*\n.*its digest is|its labels are"):
        check_model(Bad("", labels=(*LABELS, "haze"), digest="x"), size=32)


def test_a_halo_that_is_too_small() -> None:
    @dataclass(frozen=True)
    class Mean:
        halo: int

        @property
        def specification(self) -> Specification:
            classes = {"clear": "clear", "cloud": "cloud"}
            return Specification("mean", "1", "MIT", ("B03",), classes, halo=self.halo)

        def predict(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
            mean: npt.NDArray[Any] = uniform_filter(np.rint(reflectance[0] * 1000).astype(np.int64) * 49, 7)
            return (mean > 300 * 49).astype(np.uint8)

    for halo, conforms in ((3, True), (0, False)):
        with pytest.raises(CatalogueError) as error:
            check_model(Mean(halo), size=32)
        # A class inside a function cannot be pickled, whatever its halo.
        assert ("depends on pixels farther away than its halo" not in str(error.value)) == conforms

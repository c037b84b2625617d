"""Whether a model keeps to what `Model` promises: checks for the tests of whoever writes one."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.probability import ROUNDING
from s2cmc_zarr.schema import BAND_NAMES, LABELS, UNLABELLED
from s2cmc_zarr.scoring.models.naming import NamedModel
from s2cmc_zarr.scoring.models.prediction import Model, Pixels, Prediction
from s2cmc_zarr.scoring.models.registry import ModelLike, as_model
from s2cmc_zarr.scoring.models.runner import SceneModel

_SPECTRA: Final = np.array(
    [
        # Vegetation, bare soil, water, cloud, snow: reflectance at the top of the atmosphere, rounded.
        [0.13, 0.10, 0.09, 0.06, 0.10, 0.23, 0.28, 0.30, 0.32, 0.10, 0.001, 0.16, 0.08],
        [0.16, 0.14, 0.15, 0.18, 0.21, 0.23, 0.25, 0.25, 0.28, 0.09, 0.002, 0.34, 0.28],
        [0.12, 0.09, 0.06, 0.04, 0.03, 0.03, 0.03, 0.02, 0.02, 0.01, 0.001, 0.01, 0.01],
        [0.55, 0.54, 0.52, 0.55, 0.57, 0.59, 0.61, 0.60, 0.63, 0.30, 0.020, 0.45, 0.35],
        [0.85, 0.85, 0.83, 0.84, 0.84, 0.83, 0.82, 0.80, 0.78, 0.40, 0.003, 0.08, 0.06],
    ]
)


def check_model(model: ModelLike, *, size: int = 64) -> tuple[str, ...]:
    """Check that a model does what is expected of one, on a made-up scene; does not say whether it is any good.

    Parameters
    ----------
    model : str, Model, Predictor or callable
        See `as_model`.
    size : int
        Rows of the scene; its columns are a few more.

    Returns
    -------
    tuple of str
        What was checked.

    Raises
    ------
    CatalogueError
        With everything that was found wrong.
    """
    checked = as_model(model)
    if isinstance(checked, NamedModel):
        checked = checked.model
    done, wrong = [], []
    for check in _checks(checked, size):
        done.append((check.__doc__ or "").rstrip("."))
        try:
            check()
        except AssertionError as error:
            wrong.append(str(error))
    if wrong:
        raise CatalogueError(f"model {checked.name} does not conform:\n" + "\n".join(f"* {what}" for what in wrong))
    return tuple(done)


def make_scene(size: int, seed: int = 0) -> dict[str, npt.NDArray[Any]]:
    """Make a scene of patches of vegetation, soil, water, cloud and snow, with noise, and some mask as `alt_mask`.

    Returns
    -------
    dict of numpy.ndarray
        ``reflectance``, float32, shape (13, size, size + 7), and ``alt_mask``, uint8, shape (size, size + 7), both
        read-only.
    """
    random = np.random.default_rng(seed)
    rows, columns = np.ogrid[:size, : size + 7]
    patches = random.integers(len(_SPECTRA), size=(size // 8 + 1, (size + 7) // 8 + 1))[rows // 8, columns // 8]
    noise = random.normal(1, 0.05, (len(BAND_NAMES), *patches.shape))
    reflectance = (_SPECTRA[patches].transpose(2, 0, 1) * noise).astype(np.float32)
    alt_mask = np.where(patches == 3, 1, np.where(patches == 2, 2, 0)).astype(np.uint8)
    for array in (reflectance, alt_mask):
        array.flags.writeable = False
    return {"reflectance": reflectance, "alt_mask": alt_mask}


def _expect(condition: object, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _equal(one: Prediction, other: Prediction) -> bool:
    if (one.probability is None) != (other.probability is None):
        return False
    return np.array_equal(one.mask, other.mask) and (
        one.probability is None or np.array_equal(one.probability, other.probability, equal_nan=True)  # type: ignore[arg-type]
    )


def _checks(model: Model, size: int) -> Iterator[Callable[[], None]]:
    scene = make_scene(size)
    shape = scene["alt_mask"].shape

    def predict(arrays: dict[str, npt.NDArray[Any]], using: Model = model) -> Prediction:
        return using.predict_scene("scene", **{name: arrays[name] for name in using.variables})

    first = predict(scene)

    def describes_itself() -> None:
        """Name, labels, variables and digest."""
        _expect(model.name and isinstance(model.name, str), f"its name is {model.name!r}, expected a str")
        _expect(
            {"clear", "cloud"} <= set(model.labels) <= set(LABELS),
            f"its labels are {model.labels}, expected clear, cloud and perhaps cloud_shadow",
        )
        _expect(
            set(model.variables) <= set(scene), f"its variables are {model.variables}, expected some of {set(scene)}"
        )
        _expect(re.fullmatch("[0-9a-f]{64}", model.digest), f"its digest is {model.digest!r}, expected a SHA-256")

    def gives_a_mask() -> None:
        """Shape, type and values of the mask."""
        mask = first.mask
        _expect(mask.dtype == np.uint8, f"its mask is {mask.dtype}, expected uint8")
        _expect(mask.shape == shape, f"its mask has the shape {mask.shape}, expected {shape}")
        allowed = {value for value, label in enumerate(LABELS) if label in model.labels} | {UNLABELLED}
        found = set(np.unique(mask).tolist())
        _expect(found <= allowed, f"its mask has the values {sorted(found)}, expected of {sorted(allowed)}")

    def gives_probabilities() -> None:
        """Shape, type and values of the probability, where there is one."""
        if (probability := first.probability) is None:
            return
        found = f"{probability.dtype} {probability.shape}"
        _expect(probability.dtype == np.float32 and probability.shape == shape, f"its probability is {found}")
        if probability.shape != first.mask.shape:
            return
        seen = probability[first.mask != UNLABELLED]
        _expect(((seen >= -ROUNDING) & (seen <= 1 + ROUNDING)).all(), "its probability is not between 0 and 1")

    def repeats_itself() -> None:
        """The same twice, and in two threads at once."""
        _expect(_equal(predict(scene), first), "it gives another result when it is called again")
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(predict, [scene, scene]))
        _expect(all(_equal(one, first) for one in both), "it gives another result in several threads at once")

    def is_pickled() -> None:
        """The same after pickling."""
        try:
            copy = pickle.loads(pickle.dumps(model))  # noqa: S301  made here
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise AssertionError(f"it cannot be pickled, as worker processes need it: {error}") from None
        _expect(copy.digest == model.digest, "its digest is another after pickling")
        _expect(_equal(predict(scene, copy), first), "it gives another result after pickling")

    def leaves_missing_pixels() -> None:
        """No mask where there is no data."""
        holes = scene["reflectance"].copy()
        holes[:, :3, :] = 0
        holes[:, :, -2:] = np.nan
        arrays = scene | {"reflectance": holes, "alt_mask": scene["alt_mask"].copy()}
        if "alt_mask" in model.variables:
            return
        mask = predict(arrays).mask
        missing = (mask[:3] == UNLABELLED).all() and (mask[:, -2:] == UNLABELLED).all()
        _expect(missing, f"it predicts where all bands are 0 or NaN, expected {UNLABELLED}")
        nothing = predict(arrays | {"reflectance": np.zeros_like(holes)}).mask
        _expect((nothing == UNLABELLED).all(), f"it predicts a scene without data, expected {UNLABELLED} all over")

    def looks_no_farther_than_its_halo() -> None:
        """A part of a scene, away from its border by the halo, as in the whole."""
        halo = model.specification.halo if isinstance(model, SceneModel) else None
        if halo is None or 4 * halo > size:
            return
        start = size // 4 // 8 * 8
        part: Pixels = np.ascontiguousarray(scene["reflectance"][:, start:, start:])
        inner = predict({"reflectance": part}).mask[halo:, halo:]
        expected = first.mask[start + halo :, start + halo :]
        _expect(np.array_equal(inner, expected), f"its mask depends on pixels farther away than its halo of {halo}")

    return iter(
        (
            describes_itself,
            gives_a_mask,
            gives_probabilities,
            repeats_itself,
            is_pickled,
            leaves_missing_pixels,
            looks_no_farther_than_its_halo,
        )
    )

from __future__ import annotations

import numpy as np
import pytest
from dask.base import tokenize

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import BAND_NAMES, UNLABELLED
from s2cmc_zarr.scoring.models import BraatenCohenYang, as_model, load_model
from synthetic import reference

# B03, B04 and B11 of a pixel, and whether it is cloud.
PIXELS = [
    ((0.20, 0.15, 0.15), True),
    ((0.20, 0.20, 0.15), False),  # not greener than red
    ((0.17, 0.10, 0.15), False),  # too dark
    ((0.40, 0.50, 0.15), True),  # bright enough whatever its colour
    ((0.80, 0.75, 0.05), False),  # snow
    ((0.80, 0.75, 0.11), True),
    ((np.nan, 0.10, 0.15), False),
]


def test_braaten() -> None:
    reflectance = np.zeros((len(BAND_NAMES), 1, len(PIXELS)), dtype=np.float32)
    for name, values in zip(("B03", "B04", "B11"), zip(*(pixel for pixel, _ in PIXELS), strict=True), strict=True):
        reflectance[BAND_NAMES.index(name), 0] = values
    model = load_model("braaten")
    mask = model(reflectance)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[UNLABELLED if np.isnan(values).any() else cloud for values, cloud in PIXELS]]
    snow_too = load_model("braaten", swir=0.0)
    assert snow_too(reflectance)[0, 4]


def test_braaten_on_real_pixels() -> None:
    clouds = [(load_model("braaten")(pixels) == 1).mean() for pixels in reference()["reflectance"].values]
    # The second scene has thin cloud, of which a brightness test finds little; the clear ones have none.
    np.testing.assert_allclose(clouds, [0.4624, 0.0265, 0, 0, 0], atol=1e-4)


def test_models_are_values() -> None:
    model = load_model("braaten", bright=0.5)
    assert model == as_model(BraatenCohenYang(bright=0.5))
    assert tokenize(model) == tokenize(as_model(BraatenCohenYang(bright=0.5))) != tokenize(load_model("braaten"))
    assert model.digest == as_model(BraatenCohenYang(bright=0.5)).digest != load_model("braaten").digest


def test_unknown_names() -> None:
    with pytest.raises(CatalogueError, match="no model 'fmask'; built in: braaten"):
        load_model("fmask")
    with pytest.raises(CatalogueError, match="no parameter 'tau'; it has: swir, green, bright"):
        load_model("braaten", tau=0.2)

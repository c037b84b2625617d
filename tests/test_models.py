from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from dask.base import tokenize

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import BAND_NAMES, LABELS, UNLABELLED
from s2cmc_zarr.scoring.models import MODELS, BraatenCohenYang, Model, as_model, load_model
from s2cmc_zarr.scoring.models.installed import require
from s2cmc_zarr.scoring.models.naming import NamedModel
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


def bright(reflectance: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """A model as one may have it in a module."""
    cloud: npt.NDArray[np.bool_] = reflectance[2] > 0.3
    return cloud


def make_bright() -> Any:
    return bright


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


def hollstein(b: dict[str, float]) -> str:
    """The tree as it is drawn, for one pixel."""
    if b["B03"] < 0.319:
        if b["B8A"] < 0.166:
            if b["B03"] - b["B07"] < 0.027:
                return "clear" if b["B09"] - b["B11"] < -0.097 else "cloud_shadow"
            return "clear" if b["B09"] - b["B11"] < 0.021 else "cloud_shadow"
        if b["B02"] / b["B10"] < 14.689:
            return "clear" if b["B02"] / b["B09"] < 0.788 else "cloud"
        return "clear"
    if b["B05"] / b["B11"] < 4.33:
        if b["B11"] - b["B10"] < 0.255:
            return "cloud"
        return "clear" if b["B01"] < 0.3 else "cloud"
    if b["B03"] < 0.525:
        return "clear" if b["B01"] / b["B05"] < 1.184 else "cloud_shadow"
    return "clear"


def fmask(b: dict[str, float]) -> str:
    """The equations as they are written, for one pixel."""
    visible = [b["B02"], b["B03"], b["B04"]]
    mean = sum(visible) / 3
    whiteness = sum(abs((value - mean) / mean) for value in visible)
    ndsi = (b["B03"] - b["B11"]) / (b["B03"] + b["B11"])
    ndvi = (b["B08"] - b["B04"]) / (b["B08"] + b["B04"])
    basic = b["B12"] > 0.03 and ndsi < 0.8 and ndvi < 0.8
    potential = basic and whiteness < 0.7 and b["B02"] - 0.5 * b["B04"] - 0.08 > 0 and b["B08"] / b["B11"] > 0.75
    return "cloud" if potential or b["B10"] > 0.01 else "clear"


@pytest.mark.parametrize(("name", "plainly"), [("hollstein", hollstein), ("fmask", fmask)])
def test_thresholds_are_those_of_one_pixel_at_a_time(name: str, plainly: Any) -> None:
    random = np.random.default_rng(1)
    made = random.uniform(0.001, 0.9, (13, 1, 3000)) * random.choice([0.2, 1, 1], (1, 1, 3000))
    made[10] *= random.choice([0.01, 0.5], (1, 3000))  # the cirrus band is dark
    real = reference()["reflectance"].values[:, :, ::7, ::7].transpose(1, 0, 2, 3).reshape(13, 1, -1)
    reflectance = np.concatenate([made, np.maximum(real, 1e-4)], axis=2).astype(np.float32)
    expected = [
        plainly(dict(zip(BAND_NAMES, pixel, strict=True))) for pixel in reflectance[:, 0].T.astype(float).tolist()
    ]
    found = load_model(name)(reflectance)[0]
    agree = [LABELS[value] == label for value, label in zip(found.tolist(), expected, strict=True)]
    assert set(expected) == set(load_model(name).labels)
    # float32 and float64 may differ where a pixel lies on a threshold.
    assert np.mean(agree) > 0.999


def test_models_are_values() -> None:
    model = load_model("braaten", bright=0.5)
    assert model == NamedModel(as_model(BraatenCohenYang(bright=0.5)), "braaten bright=0.5")
    assert tokenize(model) == tokenize(load_model("braaten", bright=0.5)) != tokenize(load_model("braaten"))
    assert load_model("braaten", bright=0.39) == load_model("braaten") == as_model(BraatenCohenYang())
    assert model.digest == as_model(BraatenCohenYang(bright=0.5)).digest != load_model("braaten").digest


def test_a_function_is_a_model() -> None:
    model = as_model(bright)
    assert isinstance(model, Model)
    assert (model.name, model.labels, model.variables) == ("bright", ("clear", "cloud"), ("reflectance",))
    reflectance = np.zeros((13, 2, 2), np.float32)
    reflectance[2, 0] = 0.5, 0.2
    assert model(reflectance).tolist() == [[1, 0], [UNLABELLED, UNLABELLED]]
    assert as_model(model) is model
    assert as_model(bright, LABELS).digest != model.digest


def test_the_second_annotator() -> None:
    model = load_model("annotator")
    mask = np.array([[0, 1], [2, UNLABELLED]], dtype=np.uint8)
    np.testing.assert_array_equal(model.predict_scene("a", alt_mask=mask).mask, mask)
    assert model.variables == ("reflectance", "alt_mask")
    with pytest.raises(CatalogueError, match="a: model annotator needs alt_mask"):
        model.predict_scene("a", reflectance=np.zeros((13, 2, 2), np.float32))
    with pytest.raises(CatalogueError, match="predicts nothing from reflectance"):
        model(np.zeros((13, 2, 2), np.float32))


def test_a_factory_in_a_module() -> None:
    assert load_model("test_models:make_bright").name == "bright"
    for name in ("test_models:nowhere", "no_such_module:factory"):
        with pytest.raises(CatalogueError, match=f"model '{name}' cannot be imported"):
            load_model(name)
    with pytest.raises(
        CatalogueError, match=r"model 'test_models:make_fail' failed: ZeroDivisionError: .*test_models\.py"
    ):
        load_model("test_models:make_fail")


def make_fail() -> float:
    return 1 / 0


def test_models_that_other_packages_register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[s2cmc_zarr.models]\ntheirs = test_models:make_bright\nbroken = nowhere:x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_model("theirs").name == "bright"
    with pytest.raises(CatalogueError, match="model 'broken' of nowhere:x cannot be imported"):
        load_model("broken")
    with pytest.raises(CatalogueError, match="registered: broken, theirs"):
        load_model("nonsense")


def test_unknown_names() -> None:
    with pytest.raises(CatalogueError, match="no model 'nonsense'; built in: braaten"):
        load_model("nonsense")
    expected = "model 'braaten': .*unexpected keyword argument 'tau'; its parameters are: swir, green, bright, name"
    with pytest.raises(CatalogueError, match=expected):
        load_model("braaten", tau=0.2)
    with pytest.raises(CatalogueError, match="int is no model"):
        as_model(3)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        MODELS["nonsense"]


def test_a_missing_package_is_named() -> None:
    with pytest.raises(CatalogueError, match=r"'x' needs no_such_package.*pip install 's2cmc-zarr\[models\]'"):
        require("x", "numpy", "no_such_package")


@pytest.mark.parametrize("name", ["omnicloudmask", "sentle"])
def test_adapters_say_what_to_install(name: str) -> None:
    if name in MODELS:
        pytest.skip(f"{name} is installed")
    with pytest.raises(CatalogueError, match=f"model '{name}' needs .*{name}.*pip install"):
        load_model(name)


def test_importing_the_package_imports_no_model() -> None:
    heavy = "{'lightgbm', 'onnxruntime', 'sentinelhub', 's2cloudless', 'ukis_csmask', 'cv2', 'torch', 'sklearn'}"
    code = f"import sys; from s2cmc_zarr.scoring.models import MODELS; list(MODELS); print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "set()\n"

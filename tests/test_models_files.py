from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_file import onnx_file
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models import Specification, check_model, load_model
from s2cmc_zarr.scoring.models.conformance import make_scene
from s2cmc_zarr.scoring.models.installed import is_installed

SPECIFICATION = Specification(
    name="theirs",
    version="1",
    licence="MIT",
    bands=("B11", "B02", "B04"),
    classes={"land": "clear", "cloud": "cloud", "shade": "cloud shadow"},
    outputs="logits",
)
BANDS = [11, 1, 3]


def write(path: Path, specification: Specification) -> None:
    path.with_suffix(".json").write_text(json.dumps(specification.to_stac_mlm()))


def test_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_file("Identity", (1, 3, "rows", "columns")))
    with pytest.raises(CatalogueError, match=r"has no specification: expected model.json beside it, or JSON in"):
        load_model(str(path))
    write(path, SPECIFICATION)
    model = load_model(str(path))
    reflectance = make_scene(24)["reflectance"]
    np.testing.assert_array_equal(model(reflectance), reflectance[BANDS].argmax(axis=0))
    check_model(model, size=24)
    tiled = replace(SPECIFICATION, tile=16, size_multiple=8)
    write(path, tiled)
    np.testing.assert_array_equal(load_model(str(path), threads=2)(reflectance), model(reflectance))
    assert load_model(str(path)).digest != model.digest


def test_onnx_with_its_specification_inside(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    text = json.dumps(replace(SPECIFICATION, tile=16).to_stac_mlm())
    path.write_bytes(onnx_file("Identity", (1, 3, 16, 16), {"stac_mlm": text}))
    reflectance = make_scene(24)["reflectance"]
    np.testing.assert_array_equal(load_model(str(path))(reflectance), reflectance[BANDS].argmax(axis=0))
    write(path, SPECIFICATION)
    with pytest.raises(CatalogueError, match=r"takes \[1, 3, 16, 16\], the specification gives it \(1, 3, 24, 31\)"):
        load_model(str(path))(reflectance)


def test_the_probability_of_cloud_alone(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_file("Sigmoid", (1, 1, "rows", "columns")))
    classes = {"clear": "clear", "cloud": "cloud"}
    write(path, replace(SPECIFICATION, bands=("B02",), classes=classes, outputs="probabilities"))
    reflectance = make_scene(16)["reflectance"]
    found = load_model(str(path)).predict_scene("", reflectance=reflectance)
    expected = 1 / (1 + np.exp(-reflectance[1]))
    np.testing.assert_allclose(found.probability, expected, rtol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.mask, expected > 0.5)
    path.write_bytes(onnx_file("Identity", (1, 1, "rows", "columns")))
    write(path, replace(SPECIFICATION, bands=("B02",), classes=classes))
    logits = load_model(str(path)).predict_scene("", reflectance=reflectance)
    np.testing.assert_allclose(logits.probability, expected, rtol=1e-6)  # type: ignore[arg-type]


def test_lightgbm(tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    reflectance = make_scene(32)["reflectance"]
    pixels = reflectance[BANDS].reshape(3, -1).T
    truth = (pixels[:, 1] > 0.3).astype(int)
    parameters = {"objective": "binary", "verbose": -1, "num_threads": 1, "num_leaves": 4}
    booster = lightgbm.train(parameters, lightgbm.Dataset(pixels, truth), 5)
    path = tmp_path / "model.txt"
    booster.save_model(path)
    write(path, replace(SPECIFICATION, classes={"clear": "clear", "cloud": "cloud"}, outputs="probabilities"))
    expected = (
        np.asarray(booster.predict(np.ascontiguousarray(pixels))).astype(np.float32).reshape(reflectance.shape[1:])
    )
    for threshold in (0.5, 0.3):
        model = load_model(str(path), threshold=threshold)
        found = model.predict_scene("", reflectance=reflectance)
        np.testing.assert_array_equal(found.probability, expected)
        np.testing.assert_array_equal(found.mask, expected > threshold)
        check_model(model, size=16)


@pytest.mark.parametrize("outputs", ["classes", "probabilities"])
def test_scikit_learn(tmp_path: Path, outputs: Any) -> None:
    naive_bayes = pytest.importorskip("sklearn.naive_bayes")
    scene = make_scene(32)
    pixels = scene["reflectance"][BANDS].reshape(3, -1).T
    classifier = naive_bayes.GaussianNB().fit(pixels, scene["alt_mask"].ravel())
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(classifier))
    write(path, replace(SPECIFICATION, outputs=outputs))
    with pytest.raises(CatalogueError, match="runs whatever code is in it; if you trust it, say allow_pickle=True"):
        load_model(str(path))
    found = load_model(str(path), allow_pickle=True)(scene["reflectance"])
    np.testing.assert_array_equal(found.ravel(), classifier.predict(pixels))


def test_pytorch_is_named_where_it_is_missing(tmp_path: Path) -> None:
    if is_installed("torch"):
        pytest.skip("PyTorch is installed")
    path = tmp_path / "model.pt2"
    path.write_bytes(b"")
    write(path, SPECIFICATION)
    with pytest.raises(CatalogueError, match="needs torch, which is not installed: pip install torch"):
        load_model(str(path))


def test_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt2"
    dims = {2: torch.export.Dim("rows"), 3: torch.export.Dim("columns")}
    program = torch.export.export(torch.nn.Softmax(1), (torch.zeros(1, 3, 8, 9),), dynamic_shapes=(dims,))
    torch.export.save(program, path)
    write(path, replace(SPECIFICATION, outputs="probabilities"))
    model = load_model(str(path))
    reflectance = make_scene(24)["reflectance"]
    np.testing.assert_array_equal(model(reflectance), reflectance[BANDS].argmax(axis=0))
    check_model(model, size=24)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.onnx", b"nonsense", "ONNX Runtime cannot read .*model.onnx"),
        ("model.onnx", b"", "ONNX Runtime cannot read .*model.onnx"),
        ("model.txt", b"nonsense", "model.txt: not a model of LightGBM"),
        ("model.txt", b"\xff\xfe", "model.txt: not a model of LightGBM"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / name
    path.write_bytes(content)
    write(path, replace(SPECIFICATION, outputs="probabilities"))
    with pytest.raises(CatalogueError, match=message):
        load_model(str(path))


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"no file .*absent.onnx"):
        load_model(str(tmp_path / "absent.onnx"))
    path = tmp_path / "model.txt"
    path.write_text("tree")
    with pytest.raises(CatalogueError, match=r"model.txt has no specification: expected model.json beside it, as Spec"):
        load_model(str(path))
    path.with_suffix(".json").write_text("{")
    with pytest.raises(CatalogueError, match=r"model.json is no JSON"):
        load_model(str(path))
    for other in ("{}", "[]"):
        path.with_suffix(".json").write_text(other)
        with pytest.raises(CatalogueError, match=r"model.json: not a specification as STAC MLM"):
            load_model(str(path))
    for threshold, message in (
        ("high", "threshold='high', expected a number"),
        ("1.5", "threshold=1.5, expected 0 to"),
    ):
        with pytest.raises(CatalogueError, match=message):
            load_model(f"{path} threshold={threshold}")
    path = tmp_path / "model.pkl"
    write(path, SPECIFICATION)
    for content, message in ((b"", "is no pickle that can be read here"), (pickle.dumps(3), "holds int, expected a")):
        path.write_bytes(content)
        with pytest.raises(CatalogueError, match=message):
            load_model(f"{path} allow_pickle=true")
    with pytest.raises(CatalogueError, match="has no parameter 'threshold'"):
        load_model(str(path), threshold=0.2)

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import BAND_NAMES
from s2cmc_zarr.scoring.models import check_model, load_model
from s2cmc_zarr.scoring.models.naming import join_parameters, read_value, split_parameters


@dataclass(frozen=True)
class Darker:
    """A factory with all kinds of parameters."""

    limit: float
    band: str = "B03"
    power: int = 1
    inverse: bool = False

    def __call__(self, reflectance: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        value = reflectance[BAND_NAMES.index(self.band)] ** self.power
        cloud: npt.NDArray[np.bool_] = (value > self.limit) != self.inverse
        return cloud


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("s2cloudless", "s2cloudless", {}),
        ("s2cloudless threshold=0.5  average_over=2 ", "s2cloudless", {"threshold": "0.5", "average_over": "2"}),
        ("package.module:factory path=a=b", "package.module:factory", {"path": "a=b"}),
        ("predictions:https://host:80/x?a=1,b=2", "predictions:https://host:80/x?a=1,b=2", {}),
        (
            "predictions:s3://bucket/m values=0=clear,1=thin cloud variable=theirs",
            "predictions:s3://bucket/m",
            {"values": "0=clear,1=thin cloud", "variable": "theirs"},
        ),
        ("my models/the best.onnx threads=2", "my models/the best.onnx", {"threads": "2"}),
        ("annotator name=second annotator", "annotator", {"name": "second annotator"}),
    ],
)
def test_names_and_parameters_are_divided(text: str, name: str, parameters: dict[str, str]) -> None:
    assert split_parameters(text) == (name, parameters)


words = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True),
        st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.dictionaries(words, st.integers())),
    ),
    words.filter(lambda word: "=" not in word),
)
def test_what_is_joined_is_divided_again(parameters: dict[str, Any], name: str) -> None:
    found, texts = split_parameters(join_parameters(name, parameters))
    assert found == name
    assert {key: read_value(text, None) for key, text in texts.items()} == parameters


def test_parameters_as_text_are_those_of_python() -> None:
    reflectance = np.random.default_rng(0).random((13, 4, 5), dtype=np.float32)
    model = load_model("test_models_naming:Darker limit=0.25 band=B11 power=2 inverse=true")
    assert model == load_model("test_models_naming:Darker", limit=0.25, band="B11", power=2, inverse=True)
    np.testing.assert_array_equal(model(reflectance), reflectance[11] ** 2 <= 0.25)
    assert model.name == "Darker band=B11 inverse=true limit=0.25 power=2"
    assert load_model("test_models_naming:Darker power=1", limit=np.float32(0.25)).name == "Darker limit=0.25"
    assert load_model("braaten swir=0.1").name == "braaten"
    assert load_model("braaten swir=0.2 name=strict").name == "strict"
    assert load_model("braaten swir=0.2 name=2024").digest == load_model("braaten", swir=0.2).digest
    assert load_model("braaten swir=0.2 name=2024").name == "2024"
    assert "The same after pickling" in check_model("braaten swir=0.2")


def test_secrets_and_threads_are_in_no_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2), np.uint8))
    model = load_model(
        f'predictions:{tmp_path.as_uri()} storage_options={{"auto_mkdir": false}} values=0=clear,1=cloud'
    )
    assert model.name == f"{tmp_path.name} values=0=clear,1=cloud"
    assert load_model(f"predictions:{tmp_path} name=2024").name == "2024"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("braaten tau=1", "unexpected keyword argument 'tau'; its parameters are: swir, green, bright, name"),
        ("braaten swir=1 swir=2", "model 'braaten' is given 'swir' twice"),
        ("braaten swir=high", "model 'braaten' got swir='high', expected a number, such as 0.1"),
        ("braaten swir=true", "model 'braaten' got swir=True, expected a number"),
        ("test_models_naming:Darker", "missing a required argument: 'limit'; its parameters are: limit, band, power"),
        ("test_models_naming:Darker limit=1 power=1.5", "got power=1.5, expected a whole number, such as 1"),
        ("test_models_naming:Darker limit=1 inverse=1", "got inverse=1, expected true or false, such as False"),
        ("predictions:. path=a", "'path'; its parameters are: values, variable, name, storage_options"),
        ("predictions:. url=a", "'url'; its parameters are: values, variable, name, storage_options"),
        ("predictions:. storage_options=3", "storage options are no mapping"),
        ("test_models_naming:__name__", "test_models_naming:__name__ is str, expected a function or class"),
        ("os:getcwd", "model 'os:getcwd' gave a str, expected a model"),
        ("braaten name=", "got an empty name; leave it out"),
        ("annotator x=1", "unexpected keyword argument 'x'; its parameters are: name"),
        ("nonsense x=1", "no model 'nonsense'; built in: .*parameters follow it: NAME parameter=value"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        load_model(text)


def test_text_is_expected_where_python_gives_a_number() -> None:
    with pytest.raises(CatalogueError, match="got band=3, expected text, such as 'B03'"):
        load_model("test_models_naming:Darker", limit=1.0, band=3)

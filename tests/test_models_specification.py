from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import UNLABELLED
from s2cmc_zarr.scoring.models import MODELS, Specification, load_model
from s2cmc_zarr.scoring.models.runner import SceneModel

SPECIFICATION = Specification(
    name="theirs",
    version="2",
    licence="MIT",
    bands=("B8A", "B03"),
    classes={"nothing": "no data", "snow": "snow", "thin": "thin cloud", "shade": "cloud shadow", "thick": "cloud"},
    outputs="probabilities",
    level="L2A",
    scale=10_000,
    resolution=10,
    halo=4,
    size_multiple=8,
    tile=64,
    reference="https://example.org",
)


def test_it_survives_json() -> None:
    text = json.dumps(SPECIFICATION.to_stac_mlm())
    assert Specification.from_stac_mlm(json.loads(text)) == SPECIFICATION
    assert Specification.from_stac_mlm({"type": "Feature", "properties": json.loads(text)}) == SPECIFICATION
    assert hash(Specification.from_stac_mlm(json.loads(text))) == hash(SPECIFICATION)
    assert replace(SPECIFICATION, halo=None).to_stac_mlm()["s2cmc:halo"] is None


@pytest.mark.parametrize("name", MODELS)
def test_those_of_the_built_in_models_survive(name: str) -> None:
    model = load_model(name)
    if isinstance(model, SceneModel):
        found = Specification.from_stac_mlm(json.loads(json.dumps(model.specification.to_stac_mlm())))
        assert found == model.specification


def test_classes_are_folded() -> None:
    assert SPECIFICATION.labels == ("clear", "cloud", "cloud_shadow")
    assert SPECIFICATION.values[:6].tolist() == [UNLABELLED, 0, 1, 2, 1, UNLABELLED]
    assert SPECIFICATION.cloud == [2, 4]
    assert SPECIFICATION.band_indices == [8, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": ("B13",)}, r"bands is \('B13',\), expected some of B01"),
        ({"classes": {"a": "haze"}}, "expected names with what they mean, one of: clear, cloud"),
        ({"classes": {"a": "snow"}}, "at least one that means cloud"),
        ({"outputs": "scores"}, "outputs is 'scores', expected one of: classes"),
        ({"level": "L3"}, "level is 'L3'"),
        ({"scale": 0}, "positive numbers"),
        ({"halo": -1}, "not negative"),
        ({"tile": 60}, "a multiple of size_multiple that is larger than twice the halo"),
        ({"tile": 8}, "larger than twice the halo"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogueError, match=f"specification of theirs: .*{message}"):
        replace(SPECIFICATION, **change)


def test_incomplete_metadata() -> None:
    properties = SPECIFICATION.to_stac_mlm()
    with pytest.raises(CatalogueError, match=r"not a specification as STAC MLM \(KeyError: 'mlm:input'\)"):
        Specification.from_stac_mlm({})
    del properties["mlm:output"][0]["classification:classes"][0]
    with pytest.raises(CatalogueError, match="values of classification:classes are not 0, 1, 2"):
        Specification.from_stac_mlm(properties)

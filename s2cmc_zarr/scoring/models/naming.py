"""What a model is called: its name with parameters as text, and its name in tables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.prediction import Model, Pixels, Prediction, gives_probability

_PARAMETER: Final = re.compile(r"\s+(?=[^\W\d]\w*=)")
"""Before ``parameter=``: neither URLs nor paths of factories contain spaces, whatever else they contain."""


@dataclass(frozen=True)
class NamedModel:
    """A model under another name; see `Model`."""

    model: Model
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of the model."""
        return self.model.labels

    @property
    def digest(self) -> str:
        """That of the model: a name changes no prediction."""
        return self.model.digest

    @property
    def variables(self) -> tuple[str, ...]:
        """Those of the model."""
        return self.model.variables

    @property
    def gives_probability(self) -> bool:
        """Whether the model does."""
        return gives_probability(self.model)

    @property
    def source(self) -> str:
        """Where it is, if it says so."""
        return source_of(self.model)

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        """Predict as the model does."""
        return self.model(reflectance)

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:
        """Predict as the model does."""
        return self.model.predict_scene(scene, **arrays)


def source_of(model: Model) -> str:
    """Give the URL of finished masks; empty for what is a model whatever its place."""
    return str(getattr(model, "source", ""))


def split_parameters(text: str) -> tuple[str, dict[str, str]]:
    """Divide ``"s2cloudless threshold=0.5 average_over=2"`` into the name and the texts of parameters.

    A value goes on until the next parameter, so that it may contain spaces, commas and ``=``.

    Raises
    ------
    CatalogueError
        If a parameter is given twice.
    """
    name, *entries = _PARAMETER.split(text.strip())
    parameters: dict[str, str] = {}
    for entry in entries:
        parameter, _, value = entry.partition("=")
        if parameter in parameters:
            raise CatalogueError(f"model {name!r} is given {parameter!r} twice")
        parameters[parameter] = value
    return name, parameters


def join_parameters(name: str, parameters: Mapping[str, Any]) -> str:
    """Write what `split_parameters` reads."""

    def plain(value: object) -> object:
        return value.item() if isinstance(value, np.generic) else str(value)

    texts = [
        f"{parameter}={value if isinstance(value, str) else json.dumps(value, default=plain)}"
        for parameter, value in parameters.items()
    ]
    return " ".join([name, *texts])


def read_value(text: str, default: object) -> Any:
    """Read the value of a parameter: text if its default is, and else JSON, if it is that."""
    if isinstance(default, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_kind(name: str, parameter: str, value: object, default: object) -> None:
    """Refuse text for a number and the like, as far as the default of a parameter says what is expected.

    Raises
    ------
    CatalogueError
        If the value is of another kind.
    """
    is_bool = isinstance(value, (bool, np.bool_))
    if isinstance(default, bool):
        expected, fits = "true or false", is_bool
    elif isinstance(default, int):
        expected, fits = "a whole number", isinstance(value, Integral) and not is_bool
    elif isinstance(default, float):
        expected, fits = "a number", isinstance(value, Real) and not is_bool
    elif isinstance(default, str):
        expected, fits = "text", isinstance(value, str)
    else:
        return
    if not fits:
        raise CatalogueError(f"model {name!r} got {parameter}={value!r}, expected {expected}, such as {default!r}")

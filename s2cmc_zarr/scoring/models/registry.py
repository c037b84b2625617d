"""Finding a model by what the user calls it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.prediction import FunctionModel, MaskFunction, Model
from s2cmc_zarr.scoring.models.runner import Predictor, SceneModel
from s2cmc_zarr.scoring.models.thresholds import BraatenCohenYang

ModelLike: TypeAlias = Model | Predictor | MaskFunction
"""What `as_model` makes a model of."""

MODELS: Final[MappingProxyType[str, Callable[..., Any]]] = MappingProxyType({"braaten": BraatenCohenYang})
"""Built-in models by name."""


def load_model(name: str, **parameters: Any) -> Model:
    """Make a built-in model.

    Parameters
    ----------
    name : str
        ``"braaten"``: see `BraatenCohenYang`.
    **parameters
        Of the model, where its defaults are not wanted.

    Returns
    -------
    Model
        Called with float32 reflectance of shape (band, y, x), it gives a mask, uint8, shape (y, x).

    Raises
    ------
    CatalogueError
        If there is no such model, or it has no such parameter.
    """
    try:
        factory = MODELS[name]
    except KeyError:
        raise CatalogueError(f"no model {name!r}; built in: {', '.join(MODELS)}") from None
    known = signature(factory).parameters
    if unknown := [parameter for parameter in parameters if parameter not in known]:
        raise CatalogueError(f"model {name!r} has no parameter {unknown[0]!r}; it has: {', '.join(known)}")
    return as_model(factory(**parameters))


def as_model(model: ModelLike, labels: Sequence[str] | None = None) -> Model:
    """Make a model of a model, of a predictor with a specification, or of a plain function.

    Parameters
    ----------
    model : Model, Predictor or callable
        A callable takes the reflectance of one scene, float32, shape (band, y, x), read-only, and gives its mask, uint8
        or bool, shape (y, x).
    labels : sequence of str, optional
        The classes that a callable tells apart. Default: its attribute `labels`, or else ``("clear", "cloud")``.

    Returns
    -------
    Model

    Raises
    ------
    CatalogueError
        If it is none of these, or the labels are not classes.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, Predictor):
        return SceneModel(model)
    if callable(model):
        return FunctionModel(model, tuple(labels or ()))
    raise CatalogueError(
        f"{type(model).__name__} is no model; expected a name, a function of one scene's reflectance, or an object "
        "with `specification` and `predict`"
    )

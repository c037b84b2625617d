"""Finding a model by what the user calls it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from inspect import Parameter, signature
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models.installed import is_installed
from s2cmc_zarr.scoring.models.prediction import FunctionModel, MaskFunction, Model
from s2cmc_zarr.scoring.models.runner import Predictor, SceneModel

ModelLike: TypeAlias = str | Model | Predictor | MaskFunction
"""What `as_model` makes a model of."""

GROUP: Final = "s2cmc_zarr.models"
"""Group of entry points under which other packages register models: a name, and a factory of a `Predictor`, a `Model`
or a function of reflectance."""

_HERE: Final = "s2cmc_zarr.scoring.models"
_FACTORIES: Final = MappingProxyType(
    {
        "braaten": f"{_HERE}.thresholds:BraatenCohenYang",
        "fmask": f"{_HERE}.thresholds:FmaskPotentialCloud",
        "hollstein": f"{_HERE}.thresholds:Hollstein",
        "s2cloudless": f"{_HERE}.s2cloudless:S2Cloudless",
        "ukis-csmask": f"{_HERE}.csmask:UkisCSMask",
        "annotator": f"{_HERE}.annotator:SecondAnnotator",
        "omnicloudmask": f"{_HERE}.adapters:OmniCloudMask",
        "sentle": f"{_HERE}.adapters:Sentle",
    }
)
_NEEDS: Final = MappingProxyType(
    {
        "s2cloudless": ("s2cloudless", "cv2"),
        "ukis-csmask": ("ukis_csmask", "onnxruntime"),
        "omnicloudmask": ("omnicloudmask", "torch"),
        "sentle": ("sentle", "torch"),
    }
)
_PATH_OF_FACTORY: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class _BuiltIn(Mapping[str, Callable[..., Any]]):
    """Names to factories, of what is installed; a factory is imported when it is asked for."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if name not in _FACTORIES or not is_installed(*_NEEDS.get(name, ())):
            raise KeyError(name)
        return _import(_FACTORIES[name])

    def __iter__(self) -> Iterator[str]:
        return (name for name in _FACTORIES if is_installed(*_NEEDS.get(name, ())))

    def __len__(self) -> int:
        return sum(1 for _ in self)


MODELS: Final[Mapping[str, Callable[..., Any]]] = _BuiltIn()
"""Built-in models whose packages are installed, by name."""


def load_model(name: str, /, **parameters: Any) -> Model:
    """Make a model.

    Parameters
    ----------
    name : str
        * A built-in model: ``"braaten"``, ``"hollstein"``, ``"fmask"``, ``"s2cloudless"``, ``"ukis-csmask"``,
          ``"annotator"``, and where they are installed ``"omnicloudmask"`` and ``"sentle"``.
        * A name that another package has registered under the entry-point group ``s2cmc_zarr.models``.
        * ``"package.module:factory"``.
        * A file ``.onnx``, ``.txt`` (LightGBM), ``.pt2``, or, with ``allow_pickle=True``, ``.pkl``: see `load_file`.
        * ``"predictions:URL"``: finished masks, see `Predictions`.
    **parameters
        Of the model, where its defaults are not wanted.

    Returns
    -------
    Model
        Called with float32 reflectance of shape (band, y, x), it gives a mask, uint8, shape (y, x).

    Raises
    ------
    CatalogueError
        If there is no such model, a package that it needs is not installed, or it has no such parameter.
    """
    if name in _FACTORIES:
        return _make(name, _import(_FACTORIES[name]), parameters)
    kind, _, url = name.partition(":")
    if kind == "predictions" and url:
        return _make(name, _import(f"{_HERE}.predictions:Predictions"), {"url": url, **parameters})
    registered = entry_points(group=GROUP)
    if name in registered.names:
        try:
            factory = registered[name].load()
        except (ImportError, AttributeError) as error:
            raise CatalogueError(f"model {name!r} of {registered[name].value} cannot be imported: {error}") from None
        return _make(name, factory, parameters)
    if name.lower().endswith((".onnx", ".txt", ".pt2", ".pkl", ".pickle")):
        return _make(name, _import(f"{_HERE}.files:load_file"), {"path": Path(name), **parameters})
    if _PATH_OF_FACTORY.fullmatch(name):
        try:
            factory = _import(name)
        except (ImportError, AttributeError) as error:
            raise CatalogueError(f"model {name!r} cannot be imported: {error}") from None
        return _make(name, factory, parameters)
    also = f"; registered: {', '.join(sorted(registered.names))}" if registered else ""
    raise CatalogueError(
        f"no model {name!r}; built in: {', '.join(MODELS)}{also}; or package.module:factory, a file .onnx, .txt, .pt2, "
        "or predictions:URL"
    )


def as_model(model: ModelLike, labels: Sequence[str] | None = None) -> Model:
    """Make a model of a name, a model, a predictor with a specification, or a plain function.

    Parameters
    ----------
    model : str, Model, Predictor or callable
        A name is given to `load_model`. A callable takes the reflectance of one scene, float32, shape (band, y, x),
        read-only, and gives its mask, uint8 or bool, shape (y, x).
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
    if isinstance(model, str):
        return load_model(model)
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


def _import(path: str) -> Callable[..., Any]:
    module, _, attribute = path.partition(":")
    factory: Callable[..., Any] = getattr(import_module(module), attribute)
    return factory


def _make(name: str, factory: Callable[..., Any], parameters: Mapping[str, Any]) -> Model:
    known = signature(factory).parameters
    takes_any = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in known.values())
    if unknown := [parameter for parameter in parameters if parameter not in known and not takes_any]:
        raise CatalogueError(f"model {name!r} has no parameter {unknown[0]!r}; it has: {', '.join(known) or 'none'}")
    return as_model(factory(**parameters))

"""Finding a model by what the user calls it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from s2cmc_zarr.choices import MODEL_NAMES
from s2cmc_zarr.errors import CatalogueError, blaming, suggestion
from s2cmc_zarr.scoring.models.installed import is_installed
from s2cmc_zarr.scoring.models.naming import (
    NamedModel,
    check_kind,
    join_parameters,
    read_value,
    split_parameters,
)
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
_UNNAMED: Final = frozenset({"allow_pickle", "storage_options", "threads"})
"""Parameters that names in tables do not mention: they change no prediction, or may be secret."""
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

        Parameters may follow it: ``"s2cloudless threshold=0.5 average_over=2"``. A value goes on until the next
        parameter, and is JSON, or else text.
    **parameters
        The same, where the model's defaults are not wanted. Every model also takes ``name``, its name in tables.

    Returns
    -------
    Model
        Called with float32 reflectance of shape (band, y, x), it gives a mask, uint8, shape (y, x). Its name in tables
        mentions the parameters that are not as by default.

    Raises
    ------
    CatalogueError
        If there is no such model, a package that it needs is not installed, it has no such parameter, the value of
        one is of another kind than its default, or making it fails.
    """
    name, texts = split_parameters(name)
    factory, fixed = _find(name)
    if not callable(factory):
        raise CatalogueError(f"{name} is {type(factory).__name__}, expected a function or class that makes a model")
    known = signature(factory).parameters
    read = {key: read_value(text, known[key].default if key in known else "") for key, text in texts.items()}
    return _make(name, factory, fixed, read | parameters)


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


def _find(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Find the factory of a name, and what of its parameters the name itself says."""
    if name in _FACTORIES:
        return _import(_FACTORIES[name]), {}
    kind, _, url = name.partition(":")
    if kind == "predictions" and url:
        return _import(f"{_HERE}.predictions:Predictions"), {"url": url}
    registered = entry_points(group=GROUP)
    if name.lower().endswith((".onnx", ".txt", ".pt2", ".pkl", ".pickle")) and name not in registered.names:
        return _import(f"{_HERE}.files:load_file"), {"path": Path(name)}
    if name in registered.names or _PATH_OF_FACTORY.fullmatch(name):
        where = f" of {registered[name].value}" if name in registered.names else ""
        try:
            return (registered[name].load() if where else _import(name)), {}
        except Exception as error:  # whatever the module raises
            reason = f"{error} ({type(error).__name__})"
            raise CatalogueError(f"model {name!r}{where} cannot be imported: {reason}") from error
    also = f"; registered: {', '.join(sorted(registered.names))}" if registered else ""
    raise CatalogueError(
        f"no model {name!r}; built in: {', '.join(MODELS)}{also}; or package.module:factory, a file .onnx, .txt, .pt2, "
        "or predictions:URL; parameters follow it: NAME parameter=value"
        + suggestion(name, [*MODEL_NAMES, *registered.names])
    )


def _import(path: str) -> Callable[..., Any]:
    module, _, attribute = path.partition(":")
    factory: Callable[..., Any] = getattr(import_module(module), attribute)
    return factory


def _make(name: str, factory: Callable[..., Any], fixed: Mapping[str, Any], parameters: Mapping[str, Any]) -> Model:
    known = signature(factory).parameters
    # Every model can be named, whether its factory knows of it or not.
    title = None if "name" in known else parameters.get("name")
    given = {key: value for key, value in parameters.items() if key != "name" or "name" in known}
    try:
        signature(factory).bind(**fixed, **given)
    except TypeError as error:
        settable = dict.fromkeys([key for key in known if key not in fixed] + ["name"])
        raise CatalogueError(
            f"model {name!r}: {error}; its parameters are: {', '.join(settable)}, with which it is called to make "
            "a model"
        ) from None
    if title == "":
        raise CatalogueError(f"model {name!r} got an empty name; leave it out, or say name=mine")
    changed = {}
    for key, value in given.items():
        default = known[key].default if key in known else None
        check_kind(name, key, value, default)
        if key not in _UNNAMED and value != default:
            changed[key] = value
    with blaming(f"model {name!r}"):
        made = factory(**fixed, **given)
    if isinstance(made, str):
        raise CatalogueError(f"model {name!r} gave a str, expected a model; see check_model")
    model = as_model(made)
    if title is None and "name" not in given:
        title = join_parameters(model.name, dict(sorted(changed.items())))
    return model if title in (None, model.name) else NamedModel(model, str(title))

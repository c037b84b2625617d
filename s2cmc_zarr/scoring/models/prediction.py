"""What a model is, what it gives for a scene, and plain functions as models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.pixels import count_values, has_data
from s2cmc_zarr.schema import LABELS, UNLABELLED
from s2cmc_zarr.scoring.models.content import digest_of

Pixels: TypeAlias = npt.NDArray[np.float32]
MaskFunction: TypeAlias = Callable[[Pixels], npt.NDArray[Any]]
"""Takes the reflectance of one scene, float32, shape (band, y, x), read-only, the 13 bands in the schema's order. Gives
its mask, shape (y, x): uint8 of the schema's values (255 where it gives none), or bool (cloud). It may have the
attributes `name` (str) and `labels` (sequence of str: the classes that it tells apart)."""


class Prediction(NamedTuple):
    """What a model gives for one scene.

    Attributes
    ----------
    mask : numpy.ndarray
        uint8, shape (y, x): the schema's values, 255 where the model gives none.
    probability : numpy.ndarray or None
        float32, shape (y, x): of cloud, before any smoothing; NaN where the model gives none. None if the model
        gives only classes.
    """

    mask: npt.NDArray[np.uint8]
    probability: npt.NDArray[np.float32] | None = None


@runtime_checkable
class Model(Protocol):
    """A model of the cloud mask of a scene.

    It can be pickled; what is heavy (sessions, tables) is made once a process, when it is first needed. An attribute
    `gives_probability`, False, says that it gives only classes.
    """

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of the schema that it tells apart."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 over what its predictions depend on, hexadecimal."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """Arrays of pixels that it needs: usually only ``"reflectance"``."""
        ...

    def __call__(self, reflectance: Pixels, /) -> npt.NDArray[np.uint8]:
        """Predict the mask, uint8, shape (y, x), of all 13 bands, float32, shape (band, y, x)."""
        ...

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:
        """Predict for the scene of this name, whose arrays of pixels are passed by name."""
        ...


def gives_probability(model: Model) -> bool:
    """Say whether a model gives probabilities of cloud, as its attribute of this name says; if it has none, yes."""
    return bool(getattr(model, "gives_probability", True))


def checked_mask(mask: Any, shape: tuple[int, ...], labels: Sequence[str], name: str) -> npt.NDArray[np.uint8]:
    """Check what a model gave for a scene.

    Parameters
    ----------
    mask : object
        uint8 of the schema's values, or bool, which is cloud.
    shape : tuple of int
        (y, x) of the scene.
    labels : sequence of str
        Classes that the model tells apart.
    name : str
        The model's, for messages.

    Returns
    -------
    numpy.ndarray
        uint8, shape (y, x).

    Raises
    ------
    CatalogueError
        If type, shape or values are not those.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype not in (np.uint8, np.bool_):
        kind = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise CatalogueError(f"model {name} gave {kind}, expected a NumPy array of uint8 or bool")
    if mask.shape != shape:
        raise CatalogueError(f"model {name} gave the shape {mask.shape}, expected {shape}")
    if mask.dtype == np.bool_:
        if "cloud_shadow" in labels:
            raise CatalogueError(
                f"model {name} gave bool, which is cloud or not, but its labels are {tuple(labels)}; expected uint8"
            )
        return mask.astype(np.uint8)
    try:
        counts = count_values(mask)
    except CatalogueError as error:
        raise CatalogueError(f"model {name}: {error}") from None
    undeclared = [label for label, count in zip(LABELS, counts, strict=False) if count and label not in labels]
    if undeclared:
        raise CatalogueError(
            f"model {name} predicted {undeclared[0]}, but its labels are {tuple(labels)}; "
            f"give labels={LABELS}, or the model an attribute `labels`"
        )
    return mask


@dataclass(frozen=True)
class FunctionModel:
    """A plain function of one scene's reflectance, as a model.

    Parameters
    ----------
    function : callable
        See `MaskFunction`; picklable.
    labels : tuple of str, optional
        Classes that it tells apart. Default: its attribute `labels`, or else ``("clear", "cloud")``.

    Raises
    ------
    CatalogueError
        If the labels are not classes of the schema, clear and cloud among them.
    """

    function: MaskFunction
    labels: tuple[str, ...] = ()
    name: str = field(init=False)
    variables: tuple[str, ...] = field(init=False, default=("reflectance",))
    gives_probability: ClassVar[bool] = False

    def __post_init__(self) -> None:
        function = self.function
        name = getattr(function, "name", None) or getattr(function, "__name__", type(function).__name__)
        labels = tuple(self.labels or getattr(function, "labels", None) or ("clear", "cloud"))
        if not {"clear", "cloud"} <= set(labels) <= set(LABELS):
            raise CatalogueError(f"labels of model {name} are {labels}, expected clear, cloud and perhaps cloud_shadow")
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "labels", labels)

    @property
    def digest(self) -> str:
        """SHA-256 over what the function is made of, see `digest_of`, and the labels."""
        return digest_of(self.function, *self.labels)

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        """Predict a mask; see `Model`."""
        # Other tasks may hold the same array.
        reflectance = reflectance.view()
        reflectance.flags.writeable = False
        mask = checked_mask(self.function(reflectance), reflectance.shape[1:], self.labels, self.name)
        return np.where(has_data(reflectance, every_band=True), mask, np.uint8(UNLABELLED))

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:  # noqa: ARG002  every model's
        """Predict from the scene's reflectance; see `Model`."""
        return Prediction(self(arrays["reflectance"]))

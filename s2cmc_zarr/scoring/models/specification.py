"""What a model expects and gives, as values that can be written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import BAND_NAMES, BANDS, LABELS, UNLABELLED

Level: TypeAlias = Literal["L1C", "L2A"]
Outputs: TypeAlias = Literal["classes", "probabilities", "logits"]

CANONICAL: Final[MappingProxyType[str, str | None]] = MappingProxyType(
    {
        "clear": "clear",
        "cloud": "cloud",
        "thin cloud": "cloud",
        "cloud shadow": "cloud_shadow",
        "snow": "clear",
        "water": "clear",
        "no data": None,
    }
)
"""Canonical classes of cloud masks, and the class of the schema that each is folded into."""


@dataclass(frozen=True)
class Specification:
    """What a model expects and gives.

    Parameters
    ----------
    name, version, licence : str
        Of the model and its weights; the licence as an SPDX identifier where there is one.
    bands : tuple of str
        The bands that it takes, in its order.
    classes : mapping of str to str
        The names of its classes in the order of their values, each with the canonical class that it means, see
        `CANONICAL`.
    outputs : {"classes", "probabilities", "logits"}
        Whether it gives uint8 values of classes, shape (y, x), or float32 probabilities, shape (class, y, x), or
        numbers that the softmax over the classes makes probabilities of.
    level : {"L1C", "L2A"}
        Processing level that it was trained on. Scenes are L1C whatever is said here.
    scale : float
        What reflectance is multiplied with: 1 for a model of reflectance, 10000 for one of digital numbers.
    resolution : float
        Pixel size that it was made for, in metres. Scenes are 20 m; nothing is resampled.
    halo : int, optional
        Pixels around a pixel that its class depends on: a model of single pixels has 0, None is all that it is given.
    size_multiple : int
        What rows and columns must be multiples of.
    tile : int, optional
        Rows and columns that it is given at a time, halo included. Default: the whole scene.
    reference : str
        Where it is described: a DOI or an address.

    Raises
    ------
    CatalogueError
        If any of these cannot be.
    """

    name: str
    version: str
    licence: str
    bands: tuple[str, ...]
    classes: Mapping[str, str]
    outputs: Outputs = "classes"
    level: Level = "L1C"
    scale: float = 1.0
    resolution: float = 20.0
    halo: int | None = 0
    size_multiple: int = 1
    tile: int | None = None
    reference: str = ""
    labels: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        def refuse(what: str, found: object, expected: object) -> None:
            raise CatalogueError(f"specification of {self.name}: {what} is {found!r}, expected {expected}")

        object.__setattr__(self, "bands", tuple(self.bands))
        object.__setattr__(self, "classes", dict(self.classes))
        for number in ("scale", "resolution"):
            object.__setattr__(self, number, float(getattr(self, number)))
        if not self.bands or not set(self.bands) <= set(BAND_NAMES):
            refuse("bands", self.bands, f"some of {', '.join(BAND_NAMES)}")
        if not self.classes or not set(self.classes.values()) <= set(CANONICAL):
            refuse("classes", self.classes, f"names with what they mean, one of: {', '.join(CANONICAL)}")
        for name, choices in (("outputs", get_args(Outputs)), ("level", get_args(Level))):
            if getattr(self, name) not in choices:
                refuse(name, getattr(self, name), f"one of: {', '.join(choices)}")
        if not self.scale > 0 or not self.resolution > 0:
            refuse("scale, resolution", (self.scale, self.resolution), "positive numbers")
        if (self.halo or 0) < 0 or self.size_multiple < 1:
            refuse("halo, size_multiple", (self.halo, self.size_multiple), "not negative, positive")
        if self.tile is not None and (self.tile <= 2 * (self.halo or 0) or self.tile % self.size_multiple):
            refuse("tile", self.tile, "a multiple of size_multiple that is larger than twice the halo")
        folded = {CANONICAL[meaning] for meaning in self.classes.values()}
        if not {"clear", "cloud"} <= folded:
            refuse("classes", self.classes, "at least one that means cloud and one that means clear")
        object.__setattr__(self, "labels", tuple(label for label in LABELS if label in folded))

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_stac_mlm(), sort_keys=True))

    @property
    def band_indices(self) -> list[int]:
        """Positions of the bands in the schema's order."""
        return [BAND_NAMES.index(band) for band in self.bands]

    @property
    def values(self) -> npt.NDArray[np.uint8]:
        """uint8, shape (256,): the mask's value for each value that the model may give."""
        table = np.full(256, UNLABELLED, dtype=np.uint8)
        for value, meaning in enumerate(self.classes.values()):
            label = CANONICAL[meaning]
            table[value] = UNLABELLED if label is None else LABELS.index(label)
        return table

    @property
    def cloud(self) -> list[int]:
        """Positions of the classes that are folded into cloud."""
        return [value for value, meaning in enumerate(self.classes.values()) if CANONICAL[meaning] == "cloud"]

    def to_stac_mlm(self) -> dict[str, Any]:
        """Give the properties of a STAC item of the Machine Learning Model extension (1.4), which JSON can hold.

        What the extension has no field for stands under ``s2cmc:``.
        """
        size = self.tile or -1
        dims = ["batch", "channel", "height", "width"]
        common_names = {band.name: band.common_name for band in BANDS}
        result = {
            "name": self.outputs,
            "tasks": ["semantic-segmentation"],
            "result": {
                "shape": [-1, size, size] if self.outputs == "classes" else [-1, len(self.classes), size, size],
                "dim_order": ["batch", "height", "width"] if self.outputs == "classes" else dims,
                "data_type": "uint8" if self.outputs == "classes" else "float32",
            },
            "classification:classes": [
                {"value": value, "name": name, "description": meaning}
                for value, (name, meaning) in enumerate(self.classes.items())
            ],
        }
        return {
            "mlm:name": self.name,
            "mlm:architecture": "",
            "mlm:tasks": ["semantic-segmentation"],
            "version": self.version,
            "license": self.licence,
            "mlm:input": [
                {
                    "name": "reflectance",
                    "bands": [{"name": band, "eo:common_name": common_names[band]} for band in self.bands],
                    "input": {
                        "shape": [-1, len(self.bands), size, size],
                        "dim_order": dims,
                        "data_type": "float32",
                    },
                    "value_scaling": [{"type": "scale", "value": 1 / self.scale}],
                    "resize_type": None,
                }
            ],
            "mlm:output": [result],
            "processing:level": self.level,
            "gsd": self.resolution,
            "s2cmc:scale": self.scale,
            "s2cmc:halo": self.halo,
            "s2cmc:size_multiple": self.size_multiple,
            "s2cmc:tile": self.tile,
            "s2cmc:reference": self.reference,
        }

    @classmethod
    def from_stac_mlm(cls, properties: Mapping[str, Any]) -> Specification:
        """Read what `to_stac_mlm` gives, as a mapping of properties or a whole STAC item.

        Raises
        ------
        CatalogueError
            If something that is needed is not there, or cannot be.
        """
        try:
            properties = properties.get("properties", properties)
            (source,), (result,) = properties["mlm:input"], properties["mlm:output"]
            classes = sorted(result["classification:classes"], key=lambda entry: int(entry["value"]))
            if [entry["value"] for entry in classes] != list(range(len(classes))):
                raise CatalogueError("the values of classification:classes are not 0, 1, 2, …")
            return cls(
                name=properties["mlm:name"],
                version=str(properties.get("version", "")),
                licence=str(properties.get("license", "")),
                bands=tuple(band if isinstance(band, str) else band["name"] for band in source["bands"]),
                classes={entry["name"]: entry.get("description", entry["name"]) for entry in classes},
                outputs=result["name"],
                level=properties.get("processing:level", "L1C"),
                scale=float(properties.get("s2cmc:scale", 1)),
                resolution=float(properties.get("gsd", 20)),
                halo=properties.get("s2cmc:halo", 0),
                size_multiple=int(properties.get("s2cmc:size_multiple", 1)),
                tile=properties.get("s2cmc:tile"),
                reference=properties.get("s2cmc:reference", ""),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, CatalogueError):
                raise
            raise CatalogueError(
                f"not a specification as STAC MLM ({type(error).__name__}: {error}); "
                "Specification.to_stac_mlm() shows what is expected"
            ) from None

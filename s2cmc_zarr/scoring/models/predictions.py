"""Finished masks as a model: whatever made them, and wherever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, ClassVar

import fsspec
import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr.errors
from fsspec.implementations.local import LocalFileSystem

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.npy import read_array
from s2cmc_zarr.retrying import attempt
from s2cmc_zarr.schema import LABELS, UNLABELLED
from s2cmc_zarr.scoring.models.installed import once
from s2cmc_zarr.scoring.models.prediction import Pixels, Prediction
from s2cmc_zarr.scoring.models.specification import CANONICAL
from s2cmc_zarr.storage import exists, find, open_file_system, read

_INTEGERS = ("|b1", "|u1", "|i1", "<u2", "<i2", "<i4", "<i8")
_SUFFIXES = (".npy", ".tif", ".tiff")
_VERSIONS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified")
"""What changes with a file, by the names that file systems give it."""


@dataclass(frozen=True)
class Predictions:
    """Masks that were made before, one a scene.

    Parameters
    ----------
    url : str
        A folder at any fsspec URL with a file a scene, whose name begins with the scene's and ends with ``.npy``,
        ``.tif`` or ``.tiff`` (its first band); or a Zarr group with a variable of dims (scene, y, x) and the coordinate
        ``scene``.
    values : mapping or str, optional
        What the values mean: canonical classes by value, or as ``"0=clear,1=cloud,2=thin cloud"``. 255 is always no
        data. Default: those of the catalogue's masks.
    variable : str
        Of a Zarr group.
    name : str, optional
        In tables. Default: the last part of the URL. Masks of different URLs need different names.
    storage_options : mapping, optional
        For fsspec.

    Raises
    ------
    CatalogueError
        If a class is not canonical, or there are no masks at the URL. When predicting: if the scene has none, it has
        another shape, or a value that is not among `values`.
    """

    url: str
    values: Mapping[int, str] | str = field(default_factory=lambda: dict(enumerate(("clear", "cloud", "cloud shadow"))))
    variable: str = "mask"
    name: str = ""
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    version: str = field(init=False, repr=False)
    source: str = field(init=False, repr=False)
    variables: ClassVar[tuple[str, ...]] = ("reflectance",)
    gives_probability: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.storage_options, Mapping):
            raise CatalogueError("storage options are no mapping, expected for example {'anon': True}")
        object.__setattr__(self, "values", _parse(self.values))
        object.__setattr__(self, "name", self.name or PurePosixPath(self.url.rstrip("/")).stem)
        fs, path = open_file_system(self.url, self.storage_options)
        version = _version(fs, path) or _open(self).content()
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "source", fs.unstrip_protocol(path) if isinstance(fs, LocalFileSystem) else self.url)
        if not self._source.scenes:
            raise CatalogueError(
                f"{self.url}: no predictions; expected files named by scene ({', '.join(_SUFFIXES)}), "
                "or a Zarr group with the coordinate `scene`"
            )

    def __hash__(self) -> int:
        return hash((self.url, self.variable, self.name, str(self.values)))

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of the schema that the values are folded into."""
        folded = {CANONICAL[meaning] for meaning in dict(self.values).values()}  # type: ignore[arg-type]
        return tuple(label for label in LABELS if label in folded)

    @property
    def digest(self) -> str:
        """SHA-256 over where they are, what the values mean, and the versions of the files or else their content."""
        parts = (self.source, self.variable, str(self.values), self.version)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def __call__(self, reflectance: Pixels) -> npt.NDArray[np.uint8]:
        """Refuse: the scene is not known.

        Raises
        ------
        CatalogueError
            Always.
        """
        raise CatalogueError(
            f"model {self.name} has finished masks and predicts nothing from reflectance of shape {reflectance.shape}; "
            "expected predict_scene(scene, reflectance=…)"
        )

    def predict_scene(self, scene: str, **arrays: npt.NDArray[Any]) -> Prediction:
        """Read the scene's mask; see `Model`."""
        shape = arrays["reflectance"].shape[1:]
        found = self._source.read(scene, shape)
        mask = np.full(shape, UNLABELLED, dtype=np.uint8)
        known = found == UNLABELLED
        for value, meaning in dict(self.values).items():  # type: ignore[arg-type]
            here = found == int(value)
            known |= here
            if (label := CANONICAL[meaning]) is not None:
                mask[here] = LABELS.index(label)
        if not known.all():
            raise CatalogueError(
                f"{self.url} has the value(s) {np.unique(found[~known]).tolist()[:5]}, expected "
                f"{self.values} or {UNLABELLED}; say what they mean with values='0=clear,1=cloud'"
            )
        return Prediction(mask)

    @property
    def _source(self) -> _Files | _Group:
        return once(_open, self)


def _parse(values: Mapping[int, str] | str) -> dict[int, str]:
    try:
        if isinstance(values, str):
            pairs = [entry.split("=", 1) for entry in values.split(",")]
            values = {int(value): meaning.strip() for value, meaning in pairs}
        parsed = {int(value): meaning.replace("_", " ") for value, meaning in values.items()}
    except (ValueError, AttributeError):
        raise CatalogueError(f"values are {values!r}, expected such as '0=clear,1=cloud,2=cloud shadow'") from None
    if unknown := sorted(set(parsed.values()) - set(CANONICAL)):
        raise CatalogueError(f"values mean {', '.join(unknown)}, expected some of: {', '.join(CANONICAL)}")
    return parsed


def _version(fs: fsspec.AbstractFileSystem, path: str) -> str:
    """Names, sizes and versions of all files; nothing, where the file system does not list them or their versions."""
    if not find(fs, path):
        return ""
    listing: Mapping[str, Mapping[str, Any]] = attempt(f"list {path}", fs.find, path, detail=True)
    found = [
        (name, info["size"], *(str(info[key]) for key in _VERSIONS if info.get(key)))
        for name, info in sorted(listing.items())
    ]
    return str(found) if all(len(of_file) > 2 for of_file in found) else ""


def _open(predictions: Predictions) -> _Files | _Group:
    options = dict(predictions.storage_options)
    fs, path = open_file_system(predictions.url, options)
    if any(exists(fs, f"{path.rstrip('/')}/{name}") for name in ("zarr.json", ".zgroup", ".zmetadata")):
        return _Group(predictions.url, predictions.variable, options)
    return _Files(fs, path)


class _Files:
    """A folder with a file a scene."""

    def __init__(self, fs: fsspec.AbstractFileSystem, path: str) -> None:
        self._fs = fs
        self.scenes: dict[str, list[str]] = {}
        for name in sorted(find(fs, path)):
            file = PurePosixPath(name)
            if file.suffix.lower() in _SUFFIXES:
                self.scenes.setdefault(file.stem, []).append(name)

    def content(self) -> str:
        """Compute the SHA-256 over all files, hexadecimal."""
        content = hashlib.sha256()
        for scene, names in self.scenes.items():
            for name in names:
                content.update(scene.encode() + hashlib.sha256(read(self._fs, name)).digest())
        return content.hexdigest()

    def read(self, scene: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        names = self.scenes.get(scene) or [
            name for stem, named in self.scenes.items() if stem.startswith(scene) for name in named
        ]
        if len(names) != 1:
            files = sum(map(len, self.scenes.values()))
            raise CatalogueError(f"{len(names)} of {files} predictions bear the name of {scene}, expected 1")
        data = read(self._fs, names[0])
        if names[0].lower().endswith(".npy"):
            return read_array(data, names[0], shape, _INTEGERS)
        return _read_geotiff(data, names[0], shape)


def _read_geotiff(data: bytes, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    import rasterio.errors
    import rasterio.io

    try:
        with rasterio.io.MemoryFile(data) as memory, memory.open() as file:
            band: npt.NDArray[Any] = file.read(1)
    except rasterio.errors.RasterioError as error:
        raise CatalogueError(f"{name} is no GeoTIFF that can be read: {error}") from None
    if band.shape != shape:
        raise CatalogueError(f"{name}: shape {band.shape}, expected {shape}")
    return band


class _Group:
    """A Zarr group with an array of all scenes."""

    def __init__(self, url: str, variable: str, options: dict[str, Any]) -> None:
        try:
            ds = xr.open_zarr(url, storage_options=options or None, chunks=None, mask_and_scale=False)
        except (OSError, ValueError, zarr.errors.GroupNotFoundError) as error:
            raise CatalogueError(f"{url} cannot be opened as Zarr: {error}") from None
        if variable not in ds.data_vars or set(ds[variable].dims) != {"scene", "y", "x"} or "scene" not in ds.coords:
            found = {name: array.dims for name, array in ds.data_vars.items()}
            raise CatalogueError(
                f"{url} has {found}, expected {variable!r} with dims (scene, y, x) and the coordinate scene; "
                "another variable is chosen by variable="
            )
        self._array = ds[variable].transpose("scene", "y", "x")
        self.scenes = {str(scene): position for position, scene in enumerate(ds["scene"].values)}
        if len(self.scenes) < ds.sizes["scene"]:
            raise CatalogueError(
                f"{url} has {ds.sizes['scene']} masks of {len(self.scenes)} scenes, expected one of each"
            )
        self._url = url

    def content(self) -> str:
        """Compute the SHA-256 over the masks of all scenes, hexadecimal."""
        content = hashlib.sha256()
        for scene, position in self.scenes.items():
            mask = np.ascontiguousarray(self._array[position].values)
            content.update(f"{scene} {mask.dtype} {mask.shape}".encode() + hashlib.sha256(mask.tobytes()).digest())
        return content.hexdigest()

    def read(self, scene: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if scene not in self.scenes:
            raise CatalogueError(f"{scene} is not among the {len(self.scenes)} scenes of {self._url}")
        values: npt.NDArray[Any] = self._array[self.scenes[scene]].values
        if values.shape != shape:
            raise CatalogueError(f"{self._url} has the shape {values.shape}, expected {shape}")
        return values

"""Audit: what in the catalogue contradicts itself, and which of its scenes are related."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from s2cmc_zarr.analysis.checks import CHECKS
from s2cmc_zarr.analysis.scenes import Output, SceneKernel, map_scenes
from s2cmc_zarr.errors import CatalogueError, DefectError
from s2cmc_zarr.kernels.audit import count_invalid_values, count_mask_values
from s2cmc_zarr.progress import compute
from s2cmc_zarr.schema import LABELS

COLUMNS: Final = ("severity", "check", "row", "scene", "found")


class _Counting(NamedTuple):
    kernel: SceneKernel
    outputs: dict[str, Output]
    prefix: str = ""


_MASK: Final = {
    "class_count": Output(("label",), np.int64, "pixels of the class"),
    "unlabelled_count": Output((), np.int64, "unlabelled pixels"),
    "invalid_count": Output((), np.int64, "pixels that are neither a class nor 255"),
}
_COUNTING: Final = MappingProxyType(
    {
        "mask": _Counting(count_mask_values, _MASK),
        "alt_mask": _Counting(count_mask_values, _MASK, "alt_"),
        "reflectance": _Counting(
            count_invalid_values,
            {
                "no_data_count": Output((), np.int64, "pixels without data"),
                "non_finite_count": Output(("band",), np.int64, "values that are not finite, in pixels with data"),
                "negative_count": Output(("band",), np.int64, "values below zero, in pixels with data"),
            },
        ),
    }
)


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes
    ----------
    findings : pandas.DataFrame
        One row for each, with the columns ``severity`` (``"defect"`` or ``"note"``), ``check`` (a name of `CHECKS`),
        ``row`` (int: position of the scene among those audited, which with the whole catalogue is its row in the tag
        table; -1 for one that the table does not know), ``scene`` and ``found``.
    group : pandas.Series
        Independent group of every scene, int, indexed by `scene`; empty if the groups are not known.
    scene_count : int
    skipped : mapping of str to tuple of str
        Checks that could not be made, and what they lack.
    """

    findings: pd.DataFrame
    group: pd.Series[int]
    scene_count: int
    skipped: MappingProxyType[str, tuple[str, ...]]

    @property
    def passed(self) -> bool:
        """Whether there is no defect; notes do not count."""
        return not (self.findings["severity"] == "defect").any()

    def to_dict(self) -> dict[str, Any]:
        """Give everything as values that JSON knows."""
        return {
            "passed": self.passed,
            "scene_count": self.scene_count,
            "group_count": int(self.group.nunique()),
            "findings": self.findings.to_dict(orient="records"),
            "skipped": {name: list(lacking) for name, lacking in self.skipped.items()},
            "group": {str(scene): int(group) for scene, group in self.group.items()},
        }


def audit(ds: xr.Dataset, *, progress: bool = False) -> Audit:
    """Look for everything in the catalogue that contradicts itself; all arrays of pixels that are there are read.

    Masks are compared with the tag table, tags with classes, shadows with whether they were marked, footprints with
    tile, zone and size; masks that are not one-hot, pixels without data, values that are not finite or below zero are
    found; and tiles and passes that occur more than once. Scenes that cannot be read are findings like any other.

    Parameters
    ----------
    ds : xarray.Dataset
        Of the schema, whole scenes, from a store or a release, the latter opened with ``on_defect="mark"``; the tag
        table alone will do.
    progress : bool
        Whether to draw a bar on the terminal while pixels are read.

    Returns
    -------
    Audit

    Raises
    ------
    CatalogueError
        If there are no scenes, or an array is not of the schema.

    Examples
    --------
    >>> found = audit(open_release("classification_tags.csv"))  # doctest: +SKIP
    >>> found.findings[found.findings.check == "cloud_tags"]  # doctest: +SKIP
    """
    if not ds.sizes.get("scene") or "scene" not in ds.coords:
        raise CatalogueError(f"no scenes to audit: the Dataset has the sizes {dict(ds.sizes)}")
    arrays = [name for name in _COUNTING if name in ds.data_vars]
    counts, unreadable = _count(ds, arrays, progress)
    scenes = ds.drop_vars(list(ds.data_vars)).compute().assign(counts.data_vars)
    names = [str(scene) for scene in scenes["scene"].values]
    excluded = {array: {names.index(scene) for scene in unreadable.get(array, ())} for array in _COUNTING}
    if "converted" in scenes:
        for positions in excluded.values():
            positions |= set(np.flatnonzero(~scenes["converted"].values).tolist())

    rows = [("defect", "unknown_scene", -1, *text.split(": ", 1)) for text in ds.attrs.get("not_in_table", ())]
    problems = sorted((names.index(scene), array) for array, found in unreadable.items() for scene in found)
    rows += [
        ("defect", "unreadable", position, names[position], f"{array}: {unreadable[array][names[position]]}")
        for position, array in problems
    ]
    skipped = {}
    for name, check in CHECKS.items():
        if lacking := tuple(variable for variable in check.needs if variable not in ds.variables):
            skipped[name] = lacking
            continue
        rows += [
            (check.severity, name, position, names[position], text)
            for position, text in check.find(scenes)
            if check.array is None or position not in excluded[check.array]
        ]
    return Audit(
        findings=pd.DataFrame(rows, columns=list(COLUMNS)).astype({"row": "int64"}),
        group=pd.Series(scenes["group"].values if "group" in scenes else [], names if "group" in scenes else [], int),
        scene_count=len(names),
        skipped=MappingProxyType(skipped),
    )


def _count(ds: xr.Dataset, arrays: list[str], progress: bool) -> tuple[xr.Dataset, dict[str, dict[str, str]]]:
    """Count what is in arrays, in one pass; of those that cannot be read, say why, by array and scene.

    A scene that fails ends the whole computation, so the scenes are halved until it is alone.
    """
    counts = xr.Dataset()
    for name in arrays:
        kernel, outputs, prefix = _COUNTING[name]
        found = map_scenes(kernel, ds, (name,), outputs, {"label": LABELS} if "mask" in name else {})
        counts = counts.assign({prefix + output: found[output].variable for output in outputs})
    try:
        (counts,) = compute(counts, progress=progress)
    except (OSError, ValueError, RuntimeError) as error:
        # Of a damaged release or of Zarr; our other errors say that the storage or the cluster failed.
        if isinstance(error, CatalogueError) and not isinstance(error, DefectError):
            raise
        scene_count = ds.sizes["scene"]
        if scene_count > 1:
            halves = [slice(None, scene_count // 2), slice(scene_count // 2, None)]
            parts = [_count(ds.isel(scene=half), arrays, progress) for half in halves]
            counts = xr.concat([part for part, _ in parts], "scene")
        elif len(arrays) > 1:
            parts = [_count(ds, [name], progress) for name in arrays]
            counts = xr.merge([part for part, _ in parts])
        else:
            nothing = {name: (array.dims, np.zeros(array.shape, array.dtype)) for name, array in counts.items()}
            return xr.Dataset(nothing), {arrays[0]: {str(ds["scene"].values[0]): str(error)}}
        unreadable: dict[str, dict[str, str]] = {}
        for _, problems in parts:
            for name, by_scene in problems.items():
                unreadable.setdefault(name, {}).update(by_scene)
        return counts, unreadable
    return counts, {}

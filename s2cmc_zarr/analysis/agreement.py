"""Agreement of the two annotators, on the scenes that both have marked: the ceiling against which models are read."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.confusions import RATES, Classes, fold, rates
from s2cmc_zarr.analysis.estimates import (
    averages,
    estimates,
    independent_groups,
    scene_counts,
    scene_values,
    with_limits,
)
from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset, without_scene_coords
from s2cmc_zarr.analysis.resampling import REPLICATES
from s2cmc_zarr.analysis.scenes import Output, map_scenes
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.confusion import confusion
from s2cmc_zarr.kernels.pixels import count_values
from s2cmc_zarr.schema import LABELS

_LABELS: Final = (*LABELS, "unlabelled")
_DIMS: Final = ("first_annotator", "second_annotator")
_RATES: Final = ("overall_accuracy", "f1", "iou", "kappa")
_OUTPUTS: Final = MappingProxyType(
    {"confusion": Output(_DIMS, np.int64, "pixels of each class of the first and of the second annotator")}
)


def agreement(ds: xr.Dataset) -> xr.Dataset:
    """Count how the masks of the two annotators agree, on every scene that has both.

    Parameters
    ----------
    ds : xarray.Dataset
        Of the schema, with `mask`, `alt_mask` and the coordinate `has_alt_mask`; all scenes or some, in any chunks.

    Returns
    -------
    xarray.Dataset
        Backed by Dask: ``confusion``, int64, dims (scene, first_annotator, second_annotator), both of the three classes
        and ``"unlabelled"``: every pixel of a scene is in one cell. The scenes are those with a second mask.

    Raises
    ------
    CatalogueError
        If no scene has a second mask, or an array is absent or not of the schema. When computed: if a mask has a value
        that is neither a class nor 255.
    """
    if "has_alt_mask" not in ds.coords:
        raise CatalogueError("no coordinate has_alt_mask: which scenes have a second mask is not known")
    chosen = ds.isel(scene=np.flatnonzero(ds["has_alt_mask"].values))
    if not chosen.sizes["scene"]:
        raise CatalogueError(f"none of the {ds.sizes['scene']} scenes has a second annotator's mask")
    return map_scenes(_confusion, chosen, ("mask", "alt_mask"), _OUTPUTS, dict.fromkeys(_DIMS, _LABELS))


def agreement_rates(
    counts: xr.Dataset,
    by: By = None,
    classes: Classes = "cloud",
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> xr.Dataset:
    """Compute accuracy, F1, IoU and kappa of the two annotators over groups of scenes; reads no pixels.

    All four are the same whichever of the two is taken as the truth. Pixels that either has not labelled do not count.
    Intervals draw independent groups of scenes with replacement (bias-corrected and accelerated bootstrap).

    Parameters
    ----------
    counts : xarray.Dataset
        As `agreement` gives it; computed, if it is lazy.
    by : str, xarray.DataArray or None
        Groups of scenes, as for `members`: None for all together, ``"tags"``, a coordinate such as ``"difficulty"``.
    classes : {"cloud", "three"}
        Cloud against the rest, on all scenes; or all three classes, on those whose shadows were marked.
    level : float
        Nominal coverage of the intervals, between 0 and 1.
    replicates, seed : int
        Number of resamples, and the seed that makes them.

    Returns
    -------
    xarray.Dataset
        In memory.

        * ``overall_accuracy`` and ``kappa`` with dims (averaging, group), ``f1`` and ``iou`` with dims (averaging,
          group, label): float64; each with ``_lower`` and ``_upper``. ``averaging`` is ``"pooled"`` (of the group's
          summed counts) or ``"per_scene"`` (the mean over its scenes).
        * ``overall_accuracy_scenes`` and so on: the scenes in the per-scene mean. Kappa is undefined in a scene where
          both annotators see one and the same class only, and F1 where neither sees the class.
        * ``scene_count``, ``group_count`` (independent groups), ``pixel_count`` and ``unlabelled_count`` (by either
          annotator) with dims (group,).

    Raises
    ------
    CatalogueError
        If there are no such groups or classes, or it is not known which scenes are independent or, for three classes,
        where shadows were marked.
    """
    if classes not in get_args(Classes):
        raise CatalogueError(f"classes is {classes!r}, expected one of: {', '.join(get_args(Classes))}")
    independent = independent_groups(counts)
    groups = members(counts, by)
    if classes == "three":
        if "shadows_marked" not in counts.coords:
            raise CatalogueError("no coordinate shadows_marked: where shadows were marked is not known")
        groups = groups & counts["shadows_marked"].values
    pixels = without_scene_coords(counts)["confusion"].compute()
    folded = fold(pixels.rename(dict(zip(_DIMS, ("truth", "prediction"), strict=True))), classes)
    values = groups * scene_values(folded, _rates)
    found = estimates(
        values,
        groups,
        independent,
        lambda sums: averages(sums, _rates),
        level=level,
        replicates=replicates,
        seed=seed,
    )
    labelled = folded["true"].sum("label")
    tables: dict[str, tuple[xr.DataArray, str]] = {}
    for name in _RATES:
        counted = values[f"{name}_scenes"].sum("scene")
        tables |= with_limits(found, name, RATES[name].long_name)
        tables[f"{name}_scenes"] = (counted, f"scenes in the per-scene mean of {name}")
    tables |= scene_counts(groups, independent)
    tables |= {
        "pixel_count": (xr.dot(groups, labelled, dim="scene"), "pixels that both annotators have labelled"),
        "unlabelled_count": (
            xr.dot(groups, pixels.sum(_DIMS) - labelled, dim="scene"),
            "pixels that either annotator has not labelled",
        ),
    }
    result = table_dataset(tables, ("averaging", *group_dims(groups), "label"))
    return result.assign_attrs(found.attrs | {"classes": classes})


def _rates(counts: xr.Dataset) -> xr.Dataset:
    return rates(counts, _RATES)


def _confusion(mask: npt.NDArray[np.uint8], alt_mask: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.int64]]:
    for values in (mask, alt_mask):
        count_values(values)
    return {"confusion": confusion(mask, alt_mask)}

"""Metrics: what follows from confusion counts, for groups of scenes, under the rules of scoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, get_args

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.confusions import RATES, Classes, fold, rates
from s2cmc_zarr.analysis.estimates import averages, scene_values
from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset, without_scene_coords
from s2cmc_zarr.choices import ShadowPolicy as ShadowPolicy
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.kernels.boundaries import DISTANCE_EDGES
from s2cmc_zarr.schema import LABELS

FEW_SCENES: Final = 20
"""Groups of fewer scenes are flagged: their averages say little of other scenes."""

AVERAGING: Final = (
    "pooled: metric of the counts summed over the group's scenes; "
    "per_scene: mean over the group's scenes of the metric of each, without scenes for which it is undefined"
)


class Selection(NamedTuple):
    """What the rules of scoring leave of scores.

    Attributes
    ----------
    counts : xarray.Dataset
        As `fold` gives it, dims (scene, …, label).
    groups : xarray.DataArray
        bool, dims (group…, scene): the scenes of each group that the policy scores.
    attributes : dict
        The rules, for the attributes of results.
    """

    counts: xr.Dataset
    groups: xr.DataArray
    attributes: dict[str, str | int]


def metrics(
    scores: xr.Dataset,
    by: By = "tags",
    classes: Classes = "cloud",
    shadow_policy: ShadowPolicy = "catalogue",
    *,
    tolerance: int = 0,
) -> xr.Dataset:
    """Compute accuracies, F scores, IoU, kappa and MCC over groups of scenes; reads no pixels.

    A metric whose denominator is 0 is NaN and left out of means. Unlabelled pixels and those without data or prediction
    count in no metric.

    Parameters
    ----------
    scores : xarray.Dataset
        As `score` gives it, or such results concatenated along `scene` or `model`; further dimensions are kept.
    by : str, xarray.DataArray or None
        Groups of scenes: None for all together, ``"tags"``, the name of any other coordinate of the scenes such as
        ``"difficulty"``, or a bool array with the dimension `scene` and at most one other.
    classes : {"cloud", "three"}
        Cloud against the rest, in which clear and cloud shadow are one class; or all three classes.
    shadow_policy : {"catalogue", "as_labelled", "marked_scenes"}
        In scenes whose shadows were not marked, clear means clear or cloud shadow.

        * ``"catalogue"`` scores cloud against the rest on all scenes, and three classes on those whose shadows were
          marked: a predicted shadow over clear in another scene is never an error.
        * ``"as_labelled"`` takes clear at face value in all scenes.
        * ``"marked_scenes"`` scores only scenes whose shadows were marked, whatever the classes.
    tolerance : {0, 1, 2, 4, 8, 16}
        Pixels. Those nearer to the boundary of their true class are left out, as nobody can say where it lies exactly;
        the boundaries are those of the three classes.

    Returns
    -------
    xarray.Dataset
        In memory if `scores` is. The group's dimension is `tag`, or named as the coordinate; with None there is none.

        * ``precision`` (user's accuracy), ``recall`` (producer's accuracy), ``f1``, ``f2``, ``iou``,
          ``commission_error`` and ``omission_error`` with dims (averaging, group, label); ``overall_accuracy``,
          ``balanced_accuracy``, ``mean_iou``, ``kappa`` and ``mcc`` with dims (averaging, group): float64.
          ``averaging`` is ``"pooled"`` (the metric of the group's summed counts) or ``"per_scene"`` (the mean of the
          metric over the group's scenes). Balanced accuracy is the mean recall of the classes that are there, as
          scikit-learn has it; mean IoU is that of the classes that are there or predicted.
        * ``precision_scenes`` and so on, without `averaging`: the scenes that counted in the per-scene mean.
        * ``scene_count``, ``few_scenes`` (fewer than 20), ``pixel_count`` (in the metrics), ``boundary_count`` (left
          out by `tolerance`), ``unlabelled_count``, and ``no_data_count`` (labelled, without data or prediction) with
          dims (group,): of the scenes that the policy scores; the last four sum to all of their pixels.

    Raises
    ------
    CatalogueError
        If there are no scenes or no such groups, classes, policy or tolerance; if three classes are asked of a model
        that predicts no shadow; or if it is not known in which scenes shadows were marked, and that matters.
    """
    counts, groups, attributes = select(scores, by, classes, shadow_policy, tolerance)
    weights = groups.astype(np.int64)

    def total(count: xr.DataArray) -> xr.DataArray:
        summed: xr.DataArray = xr.dot(weights, count, dim="scene")
        return summed

    sums = scene_values(counts, rates).map(total)
    averaged = averages(sums, rates)
    confusion = without_scene_coords(scores)["confusion"]
    labelled = confusion.sel(truth=list(LABELS))
    pixels = sums["true"].sum("label")
    scene_count = weights.sum("scene")
    tables = {name: (averaged[name], rate.long_name) for name, rate in RATES.items()}
    tables |= {f"{name}_scenes": (sums[f"{name}_scenes"], f"scenes in the per-scene mean of {name}") for name in RATES}
    tables |= {
        "scene_count": (scene_count, "scenes"),
        "few_scenes": (scene_count < FEW_SCENES, f"whether there are fewer than {FEW_SCENES} scenes"),
        "pixel_count": (pixels, "pixels in the metrics"),
        "boundary_count": (
            total(labelled.sel(prediction=list(LABELS)).sum(["truth", "prediction"])) - pixels,
            "pixels left out for being near a boundary",
        ),
        "unlabelled_count": (
            total(confusion.sel(truth="unlabelled", drop=True).sum("prediction")),
            "unlabelled pixels",
        ),
        "no_data_count": (
            total(labelled.sel(prediction="no_data", drop=True).sum("truth")),
            "labelled pixels without data or prediction",
        ),
    }
    result = table_dataset(tables, ("averaging", ..., *group_dims(groups), "label"))
    return result.assign_attrs(attributes)


def select(scores: xr.Dataset, by: By, classes: Classes, shadow_policy: ShadowPolicy, tolerance: int) -> Selection:
    """Apply the rules of scoring: which scenes count in which group, and which pixels; arguments as for `metrics`."""
    check_choice("classes", classes, get_args(Classes))
    check_choice("shadow_policy", shadow_policy, get_args(ShadowPolicy))
    if classes == "three":
        _check_predicts_shadow(scores)
    groups = members(scores, by)
    if shadow_policy == "marked_scenes" or (shadow_policy == "catalogue" and classes == "three"):
        groups = groups & shadows_marked(scores)
    attributes = {
        "classes": classes,
        "shadow_policy": shadow_policy,
        "averaging": AVERAGING,
        "tolerance": tolerance,
    }
    return Selection(fold(_confusion(scores, tolerance), classes), groups, attributes)


def check_choice(name: str, found: object, choices: Sequence[object]) -> None:
    """Refuse an argument that is none of the choices."""
    if found not in choices:
        raise CatalogueError(f"{name} is {found!r}, expected one of: {', '.join(map(str, choices))}")


def _confusion(scores: xr.Dataset, tolerance: int) -> xr.DataArray:
    check_choice("tolerance", tolerance, DISTANCE_EDGES)
    scores = without_scene_coords(scores)
    if tolerance == 0:
        return scores["confusion"]
    if "confusion_by_distance" not in scores:
        raise CatalogueError("a tolerance needs confusion_by_distance, which these scores lack; score the scenes again")
    far = slice(DISTANCE_EDGES.index(tolerance), None)
    return scores["confusion_by_distance"].isel(distance=far).sum("distance")


def _check_predicts_shadow(scores: xr.Dataset) -> None:
    predicts = scores["predicts"].sel(prediction="cloud_shadow", drop=True)
    if "scene" in predicts.dims:
        predicts = predicts.all("scene")
    if not predicts.all():
        names = np.unique(scores["model"].broadcast_like(predicts).values[~predicts.values])
        raise CatalogueError(
            f"model {', '.join(names)} predicts no cloud shadow: three classes cannot be scored; "
            "use classes='cloud', or select models that do"
        )


def shadows_marked(scores: xr.Dataset) -> xr.DataArray:
    """Give the scenes in which shadows were marked, in memory; refuse scores that do not say."""
    if "shadows_marked" not in scores.coords:
        raise CatalogueError(
            "no coordinate shadows_marked: where shadows were marked is not known; "
            "score the Dataset with its coordinates, or choose shadow_policy='as_labelled'"
        )
    marked = scores["shadows_marked"]
    return marked.compute().reset_coords(drop=True).drop_vars("scene", errors="ignore")

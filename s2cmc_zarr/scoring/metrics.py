"""Metrics: what follows from confusion counts, for groups of scenes, under the rules of scoring."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
import xarray as xr

from s2cmc_zarr.analysis.groups import By, group_dims, members, table_dataset, without_scene_coords
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import LABELS

Classes: TypeAlias = Literal["cloud", "three"]
ShadowPolicy: TypeAlias = Literal["catalogue", "as_labelled", "marked_scenes"]

FEW_SCENES: Final = 20
"""Groups of fewer scenes are flagged: their averages say little of other scenes."""

_FOLDINGS: Final = MappingProxyType(
    {
        "cloud": MappingProxyType({"not_cloud": ("clear", "cloud_shadow"), "cloud": ("cloud",)}),
        "three": MappingProxyType({label: (label,) for label in LABELS}),
    }
)
_LONG_NAMES: Final = MappingProxyType(
    {
        "precision": "precision: true positives / predicted",
        "recall": "recall: true positives / true",
        "f1": "F1 score: 2 · true positives / (true + predicted)",
        "iou": "intersection over union: true positives / (true or predicted)",
        "overall_accuracy": "overall accuracy: pixels of the right class / pixels",
        "balanced_accuracy": "balanced accuracy: mean recall of the classes that are there",
    }
)
_AVERAGING: Final = (
    "pooled: metric of the counts summed over the group's scenes; "
    "per_scene: mean over the group's scenes of the metric of each, without scenes for which it is undefined"
)


def metrics(
    scores: xr.Dataset,
    by: By = "tags",
    classes: Classes = "cloud",
    shadow_policy: ShadowPolicy = "catalogue",
) -> xr.Dataset:
    """Compute precision, recall, F1, IoU and accuracies over groups of scenes; reads no pixels.

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

    Returns
    -------
    xarray.Dataset
        In memory if `scores` is. The group's dimension is `tag`, or named as the coordinate; with None there is none.

        * ``precision``, ``recall``, ``f1``, ``iou`` with dims (averaging, group, label), ``overall_accuracy`` and
          ``balanced_accuracy`` with dims (averaging, group): float64. ``averaging`` is ``"pooled"`` (the metric of the
          group's summed counts) or ``"per_scene"`` (the mean of the metric over the group's scenes). Balanced accuracy
          is the mean recall of the classes that are there, as scikit-learn has it.
        * ``precision_scenes`` and so on, without `averaging`: the scenes that counted in the per-scene mean.
        * ``scene_count``, ``few_scenes`` (fewer than 20), ``pixel_count`` (in the metrics), ``unlabelled_count``, and
          ``no_data_count`` (labelled, without data or prediction) with dims (group,): of the scenes that the policy
          scores; the last three sum to all of their pixels.

    Raises
    ------
    CatalogueError
        If there are no scenes or no such groups, classes or policy; if three classes are asked of a model that
        predicts no shadow; or if it is not known in which scenes shadows were marked, and that matters.
    """
    _check_choice("classes", classes, get_args(Classes))
    _check_choice("shadow_policy", shadow_policy, get_args(ShadowPolicy))
    if classes == "three":
        _check_predicts_shadow(scores)
    groups = members(scores, by)
    if shadow_policy == "marked_scenes" or (shadow_policy == "catalogue" and classes == "three"):
        groups = groups & _shadows_marked(scores)
    weights = groups.astype(np.int64)
    confusion = without_scene_coords(scores)["confusion"]
    labelled = confusion.sel(truth=list(LABELS))

    counts = _fold(labelled.sel(prediction=list(LABELS)), classes)
    pooled = _rates(_pool(counts, weights))
    per_scene = _rates(counts)
    counted = _pool(per_scene.notnull().astype(np.int64), weights)
    means = _pool(per_scene.fillna(0), weights) / counted.where(counted > 0)
    averaging = xr.Variable("averaging", ["pooled", "per_scene"])
    rates = xr.concat([pooled, means], averaging, data_vars="all", coords="minimal", compat="override")
    totals = _pool(
        xr.Dataset(
            {
                "pixel_count": counts["true"].sum("label"),
                "unlabelled_count": confusion.sel(truth="unlabelled", drop=True).sum("prediction"),
                "no_data_count": labelled.sel(prediction="no_data", drop=True).sum("truth"),
            }
        ),
        weights,
    )
    scene_count = weights.sum("scene")
    tables = {name: (rates[name], long_name) for name, long_name in _LONG_NAMES.items()}
    tables |= {f"{name}_scenes": (counted[name], f"scenes in the per-scene mean of {name}") for name in _LONG_NAMES}
    tables |= {
        "scene_count": (scene_count, "scenes"),
        "few_scenes": (scene_count < FEW_SCENES, f"whether there are fewer than {FEW_SCENES} scenes"),
        "pixel_count": (totals["pixel_count"], "pixels in the metrics"),
        "unlabelled_count": (totals["unlabelled_count"], "unlabelled pixels"),
        "no_data_count": (totals["no_data_count"], "labelled pixels without data or prediction"),
    }
    result = table_dataset(tables, ("averaging", ..., *group_dims(groups), "label"))
    return result.assign_attrs(classes=classes, shadow_policy=shadow_policy, averaging=_AVERAGING)


def _fold(confusion: xr.DataArray, classes: Classes) -> xr.Dataset:
    """Count the pixels of each label, dims (…, label): true positives, true ones, predicted ones; all are additive."""
    folding = _FOLDINGS[classes]
    parts = np.array([[label in labels for label in LABELS] for labels in folding.values()], dtype=np.int64)
    true = xr.DataArray(parts, {"label": list(folding)}, ("label", "truth"))
    predicted = true.rename(truth="prediction")
    confusion = confusion.drop_vars(["truth", "prediction"])
    return xr.Dataset(
        {
            "true_positives": xr.dot(confusion, true, predicted, dim=["truth", "prediction"]),
            "true": xr.dot(confusion, true, dim=["truth", "prediction"]),
            "predicted": xr.dot(confusion, predicted, dim=["truth", "prediction"]),
        }
    )


def _pool(counts: xr.Dataset, weights: xr.DataArray) -> xr.Dataset:
    """Sum over the scenes of each group."""
    return counts.map(lambda count: xr.dot(weights, count, dim="scene"))


def _rates(counts: xr.Dataset) -> xr.Dataset:
    hits, true, predicted = counts["true_positives"], counts["true"], counts["predicted"]
    recall = _ratio(hits, true)
    return xr.Dataset(
        {
            "precision": _ratio(hits, predicted),
            "recall": recall,
            "f1": _ratio(2 * hits, true + predicted),
            "iou": _ratio(hits, true + predicted - hits),
            "overall_accuracy": _ratio(hits.sum("label"), true.sum("label")),
            "balanced_accuracy": recall.mean("label"),
        }
    )


def _ratio(numerator: xr.DataArray, denominator: xr.DataArray) -> xr.DataArray:
    return numerator / denominator.where(denominator > 0)


def _check_choice(name: str, found: str, choices: tuple[str, ...]) -> None:
    if found not in choices:
        raise CatalogueError(f"{name} is {found!r}, expected one of: {', '.join(choices)}")


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


def _shadows_marked(scores: xr.Dataset) -> xr.DataArray:
    if "shadows_marked" not in scores.coords:
        raise CatalogueError(
            "no coordinate shadows_marked: where shadows were marked is not known; "
            "score the Dataset with its coordinates, or choose shadow_policy='as_labelled'"
        )
    marked = scores["shadows_marked"]
    return marked.compute().reset_coords(drop=True).drop_vars("scene", errors="ignore")

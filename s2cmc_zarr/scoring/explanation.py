"""Which tags explain the errors of a model, others held fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.analysis.confusions import Classes, rates
from s2cmc_zarr.analysis.estimates import independent_groups
from s2cmc_zarr.analysis.resampling import holm
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.intervals import metric_names
from s2cmc_zarr.scoring.metrics import FEW_SCENES, ShadowPolicy, select


def explain(
    scores: xr.Dataset,
    tags: Sequence[str] | None = None,
    classes: Classes = "cloud",
    shadow_policy: ShadowPolicy = "catalogue",
    *,
    metric: str = "overall_accuracy",
    tolerance: int = 0,
    level: float = 0.95,
) -> xr.Dataset:
    """Regress the error of each scene on its tags.

    Tags come together: snow with mountains, cirrus with thin. A table by tag shows how a model does where there is
    snow; this shows what snow adds, the other tags being as they are. It is an ordinary least-squares fit with an
    intercept, with standard errors that are robust against unequal variances and against dependence within independent
    groups of scenes (Liang and Zeger 1986, doi 10.1093/biomet/73.1.13; by statsmodels), and the t distribution with as
    many degrees of freedom as groups, less one. Effects are associations: tags were not assigned at random.

    Parameters
    ----------
    scores : xarray.Dataset
        As `score` gives it, with the coordinates `tags` and `group`; computed, if it is lazy.
    tags : sequence of str, optional
        Default: all. Those that all scenes have, or none, are left out and named in the attribute ``left_out``.
    classes, shadow_policy, tolerance
        As for `metrics`.
    metric : str
        The error of a scene is 1 less this metric of it, or the metric itself if it is an error; of the label cloud if
        it has labels. Scenes in which it is undefined are left out.
    level : float
        Nominal coverage of the intervals.

    Returns
    -------
    xarray.Dataset
        In memory; float64.

        * ``effect``, ``effect_lower``, ``effect_upper``, ``p_value`` and ``p_value_holm`` (corrected over the tags of
          the model), dims (model, tag): how much larger the error is in scenes with the tag.
        * ``intercept`` (error without any of the tags), ``r_squared``, ``scene_count``, ``group_count``, dims (model,).
        * ``tag_scene_count`` and ``few_scenes`` (fewer than 20 with the tag, or without it), dims (model, tag).

    Raises
    ------
    CatalogueError
        As `metrics`; if there are no such tags; or if the scenes are too few, or their tags too alike, to tell the
        effects apart.
    """
    (name,) = metric_names(metric)
    unit = independent_groups(scores)
    if "tags" not in scores.coords:
        raise CatalogueError("no coordinate tags; score the Dataset with its coordinates")
    known = scores["tag"].values.tolist()
    wanted = known if tags is None else list(tags)
    if unknown := [tag for tag in wanted if tag not in known]:
        raise CatalogueError(f"no tag {unknown[0]!r}; there are: {', '.join(known)}")
    counts, groups, attributes = select(scores, None, classes, shadow_policy, tolerance)
    error = rates(counts.compute(), [name])[name]
    if "label" in error.dims:
        error = error.sel(label="cloud", drop=True)
    if not name.endswith("_error"):
        error = 1 - error
    error = error.where(groups)
    error = error.expand_dims("model") if "model" not in error.dims else error
    design = scores["tags"].sel(tag=wanted).transpose("scene", "tag").values
    varying = design[error.notnull().any("model").values].std(axis=0) > 0
    used = [tag for tag, varies in zip(wanted, varying, strict=True) if varies]
    fits = [
        _fit(str(model), error.sel(model=model).values, design[:, varying], unit, level)
        for model in error["model"].values
    ]
    by_tag = ("effect", "effect_lower", "effect_upper", "p_value", "p_value_holm", "tag_scene_count", "few_scenes")
    result = xr.Dataset(
        {key: (("model", "tag") if key in by_tag else "model", [fit[key] for fit in fits]) for key in fits[0]},
        coords={"model": error["model"].values, "tag": used},
    )
    left_out = ", ".join(tag for tag in wanted if tag not in used)
    return result.assign_attrs(
        attributes | {"averaging": "per_scene", "metric": name, "level": level} | {"left_out": left_out}
    )


def _fit(
    model: str, error: npt.NDArray[np.float64], design: npt.NDArray[np.bool_], unit: npt.NDArray[np.int64], level: float
) -> dict[str, Any]:
    # Importing it takes a second, which no other command should.
    from statsmodels.regression.linear_model import OLS

    there = np.isfinite(error)
    error, design, unit = error[there], design[there], unit[there]
    matrix = np.column_stack([np.ones(len(error)), design])
    group_count = len(np.unique(unit))
    if group_count <= matrix.shape[1] or np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise CatalogueError(
            f"{len(error)} scenes in {group_count} independent groups cannot tell the effects of {design.shape[1]} "
            f"tags on {model} apart; name fewer tags, or score more scenes"
        )
    fit = OLS(error, matrix).fit(cov_type="cluster", cov_kwds={"groups": unit}, use_t=True)
    lower, upper = fit.conf_int(1 - level)[1:].T
    with_tag = design.sum(axis=0)
    return {
        "effect": fit.params[1:],
        "effect_lower": lower,
        "effect_upper": upper,
        "p_value": fit.pvalues[1:],
        "p_value_holm": holm(fit.pvalues[1:]),
        "tag_scene_count": with_tag,
        "few_scenes": np.minimum(with_tag, len(error) - with_tag) < FEW_SCENES,
        "intercept": fit.params[0],
        "r_squared": fit.rsquared,
        "scene_count": len(error),
        "group_count": group_count,
    }

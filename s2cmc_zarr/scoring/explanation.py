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
from s2cmc_zarr.errors import CatalogueError, suggestion
from s2cmc_zarr.scoring.measures import mask_metric_name
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
    intercept (by statsmodels). Its standard errors are those of the jackknife over independent groups of scenes, which
    hold where variances differ, where scenes of a group depend on each other, and where few groups have a tag
    (MacKinnon, Nielsen and Webb 2023, doi 10.1002/jae.2969, CV3). The t distribution has as many degrees of freedom as
    groups with the tag, or groups without it if they are fewer, less one: the cautious choice where two means are
    compared. Effects are associations: tags were not assigned at random.

    Parameters
    ----------
    scores : xarray.Dataset
        As `score` gives it, with the coordinates `tags` and `group`; computed, if it is lazy.
    tags : sequence of str, optional
        Default: all. Those that all scenes of every model have, or none, are left out and named in the attribute
        ``left_out``.
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
          the model), dims (model, tag): how much larger the error is in scenes with the tag. NaN for a tag that does
          not vary over the scenes of the model; all but the effect also if fewer than two groups have it, or lack it.
        * ``intercept`` (error without any of the tags), ``r_squared``, ``scene_count``, ``group_count``, dims (model,).
        * ``tag_scene_count`` and ``few_scenes`` (fewer than 20 with the tag, or without it), dims (model, tag).

        All of a model is NaN if its scenes are too few, or their tags too alike, to tell the effects apart; the
        attribute ``not_explained`` says so.

    Raises
    ------
    CatalogueError
        As `metrics`; if there are no such tags; or if no model's effects can be told apart.
    """
    name = mask_metric_name(metric)
    unit = independent_groups(scores)
    wanted = chosen_tags(scores, tags)
    counts, groups, attributes = select(scores, None, classes, shadow_policy, tolerance)
    error = rates(counts.compute(), [name])[name]
    if "label" in error.dims:
        error = error.sel(label="cloud", drop=True)
    if not name.endswith("_error"):
        error = 1 - error
    error = error.where(groups)
    error = error.expand_dims("model") if "model" not in error.dims else error
    design = scores["tags"].sel(tag=wanted).transpose("scene", "tag").values
    fits, problems = [], []
    for model in error["model"].values:
        fit, problem = _fit(error.sel(model=model).values, design, unit, level)
        fits.append(fit)
        if problem:
            problems.append(f"{model}: {problem}")
    if len(problems) == len(fits):
        raise CatalogueError(f"{problems[0]}; name fewer tags, or score more scenes")
    by_tag = ("effect", "effect_lower", "effect_upper", "p_value", "p_value_holm", "tag_scene_count", "few_scenes")
    result = xr.Dataset(
        {key: (("model", "tag") if key in by_tag else "model", [fit[key] for fit in fits]) for key in fits[0]},
        coords={"model": error["model"].values, "tag": wanted},
    )
    used = result["tag"].values[result["effect"].notnull().any("model").values].tolist()
    result = result.sel(tag=used)
    left_out = ", ".join(tag for tag in wanted if tag not in used)
    return result.assign_attrs(
        attributes
        | {"averaging": "per_scene", "metric": name, "level": level}
        | {"left_out": left_out, "not_explained": "; ".join(problems)}
    )


def chosen_tags(scores: xr.Dataset, tags: Sequence[str] | None) -> list[str]:
    """Check names of tags; without any, give all."""
    if "tags" not in scores.coords:
        raise CatalogueError("no coordinate tags; score the Dataset with its coordinates")
    known: list[str] = scores["tag"].values.tolist()
    wanted = known if tags is None else list(dict.fromkeys(tags))
    if unknown := [tag for tag in wanted if tag not in known]:
        raise CatalogueError(f"no tag {unknown[0]!r}; there are: {', '.join(known)}{suggestion(unknown[0], known)}")
    return wanted


def _fit(
    error: npt.NDArray[np.float64], design: npt.NDArray[np.bool_], unit: npt.NDArray[np.int64], level: float
) -> tuple[dict[str, Any], str]:
    """Fit one model; what is known of it, and why no more is."""
    # Importing them takes a second, which no other command should.
    from scipy import stats
    from statsmodels.regression.linear_model import OLS

    there = np.isfinite(error)
    error, design, unit = error[there], design[there], unit[there]
    groups = np.unique(unit)
    with_tag = design.sum(axis=0)
    nothing = np.full(design.shape[1], np.nan)
    found: dict[str, Any] = {
        **dict.fromkeys(("effect", "effect_lower", "effect_upper", "p_value", "p_value_holm"), nothing),
        "tag_scene_count": with_tag,
        "few_scenes": np.minimum(with_tag, len(error) - with_tag) < FEW_SCENES,
        "intercept": np.nan,
        "r_squared": np.nan,
        "scene_count": len(error),
        "group_count": len(groups),
    }
    varying = (with_tag > 0) & (with_tag < len(error))
    matrix = np.column_stack([np.ones(len(error)), design[:, varying]])
    if len(groups) <= matrix.shape[1] or np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        return found, (
            f"{len(error)} scenes in {len(groups)} independent groups cannot tell the effects of {varying.sum()} tags "
            "apart"
        )
    fit = OLS(error, matrix).fit()
    effect = fit.params[1:]
    deviation = _jackknife(matrix, error, unit, fit.params)[1:]
    count_with, count_without = (
        np.array([len(np.unique(unit[design[:, tag] == has])) for tag in np.flatnonzero(varying)])
        for has in (True, False)
    )
    freedom = np.minimum(count_with, count_without) - 1.0
    freedom[freedom < 1] = np.nan
    half = stats.t.ppf((1 + level) / 2, freedom) * deviation
    p_value = 2 * stats.t.sf(np.abs(effect) / deviation, freedom)
    for name, values in {
        "effect": effect,
        "effect_lower": effect - half,
        "effect_upper": effect + half,
        "p_value": p_value,
        "p_value_holm": holm(p_value),
    }.items():
        found[name] = nothing.copy()
        found[name][varying] = values
    return found | {"intercept": fit.params[0], "r_squared": fit.rsquared}, ""


def _jackknife(
    matrix: npt.NDArray[np.float64],
    error: npt.NDArray[np.float64],
    unit: npt.NDArray[np.int64],
    coefficients: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Give the standard errors of coefficients from fits without each group."""
    groups = np.unique(unit)
    moments = np.stack([matrix[unit == group].T @ matrix[unit == group] for group in groups])
    products = np.stack([matrix[unit == group].T @ error[unit == group] for group in groups])
    # The pseudo-inverse, since without its only group a tag has no effect.
    inverses = np.linalg.pinv(moments.sum(axis=0) - moments, hermitian=True)
    without = np.einsum("gij,gj->gi", inverses, products.sum(axis=0) - products)
    count = len(groups)
    variance: npt.NDArray[np.float64] = (count - 1) / count * np.sum((without - coefficients) ** 2, axis=0)
    return np.sqrt(variance)

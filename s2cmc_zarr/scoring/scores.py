"""Scores: counts of how models' masks and probabilities agree with the catalogue's masks, per scene."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import BAND_NAMES
from s2cmc_zarr.scoring.models import ModelLike, as_model, gives_probability
from s2cmc_zarr.scoring.scene_scores import count_scenes, describe
from s2cmc_zarr.scoring.scores_store import score_into


def score(
    ds: xr.Dataset,
    models: ModelLike | Sequence[ModelLike],
    *,
    labels: Sequence[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    keep_predictions: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Count how the masks of one model or several agree with the catalogue's, scene by scene.

    Parameters
    ----------
    ds : xarray.Dataset
        Of the schema, with `reflectance` of all 13 bands and `mask`; all scenes or some, in any chunks.
    models : str, Model, Predictor or callable, or a sequence of them
        Name of a model (see `load_model`), a model, or a callable of one scene's reflectance, float32 of shape
        (band, y, x), read-only. It gives the scene's mask, shape (y, x): uint8 of 0 (clear), 1 (cloud) and 2 (cloud
        shadow), and 255 where it gives none; or bool, True for cloud. It must be picklable if workers are processes.
        The pixels of a scene are read once for all models, in one task.
    labels : sequence of str, optional
        The classes that a callable tells apart. Default: its attribute `labels`, or else ``("clear", "cloud")``.
    store : str or path, optional
        Where the counts are kept while they are computed (a Zarr store, made if it is not there). What is there
        already, of the same model and the same pixels, is read instead of computed: an interrupted run goes on, and
        another model or more scenes cost only themselves. Only one run may write to a store at a time; `claim_scores`
        keeps others away.
    keep_predictions : bool
        Whether the masks are kept in the store, too.
    storage_options : mapping, optional
        For fsspec, of the scores' store.

    Returns
    -------
    xarray.Dataset
        Backed by Dask; with one model that is not in a sequence, without the dimension `model`.

        * ``confusion``, int64, dims (scene, model, truth, prediction): every pixel of the scene is in one cell. The
          truths are the three classes and ``"unlabelled"``; the predictions are the three classes and ``"no_data"``,
          where the model gave none, a band is not finite, or every band is zero.
        * ``confusion_by_distance``, int64, dims (scene, model, distance, truth, prediction): the labelled pixels, by
          their distance to the nearest boundary of their true class (see `distance_classes`).
        * ``probability_count``, int64, and ``probability_sum``, float64, with dims (scene, model, truth, probability),
          and ``probability_square_sum``, float64, dims (scene, model, truth): of the pixels with a predicted
          probability of cloud, in bins of 0.005. The coordinate `probability` is the lower edge. All 0 where the model
          gives only classes.
        * ``predicts``, bool, dims (model, prediction): the classes that the model tells apart.
        * ``gives_probability``, bool, dims (model,): False of a model that says that it gives only classes.
        * ``model_digest``, str, dims (model,).

        Its coordinates are those of the scenes and ``model``, the names of the models: results can be concatenated
        along `scene` or `model`.

    Raises
    ------
    CatalogueError
        If there are no scenes or such a model, an array is absent or not of the schema, the labels are not classes, or
        two models have one name. When computed: if what a model gives for a scene has another shape, dtype or other
        values. With a store: if the scenes bear no digests of their pixels, or the store is something else.
    """
    found = ds["band"].values.tolist() if "band" in ds.coords else None
    if found != list(BAND_NAMES):
        raise CatalogueError(f"bands are {found}; a model expects all bands in this order: {', '.join(BAND_NAMES)}")
    several = isinstance(models, Sequence) and not isinstance(models, str)
    asked: Sequence[Any] = models if isinstance(models, Sequence) and several else [models]
    chosen = tuple(as_model(model, labels) for model in asked)
    names = [model.name for model in chosen]
    if not names or len(set(names)) < len(names):
        another = "; the parameter name gives a model another one: 'predictions:URL name=theirs'" if names else ""
        raise CatalogueError(f"models are {names}, expected one or more of different names{another}")
    if store is None:
        if keep_predictions:
            raise CatalogueError("predictions are kept in a store of scores: say where with store=")
        scores = count_scenes(ds, chosen)
    else:
        scores = score_into(store, ds, chosen, keep_predictions=keep_predictions, storage_options=storage_options)
    scores = describe(
        scores,
        [model.labels for model in chosen],
        [model.digest for model in chosen],
        [gives_probability(model) for model in chosen],
    )
    return scores if several else scores.isel(model=0)

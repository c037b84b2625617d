"""Opening a store of scores, and the scenes that it knows."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.abc.store import Store

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.scoring.models import Model
from s2cmc_zarr.scoring.models.naming import source_of
from s2cmc_zarr.scoring.scene_scores import COORDS, OUTPUTS, describe
from s2cmc_zarr.store.objects import ROOT, connect, delete_folder, get_json, list_names, put_json, whole_names

SCORES_VERSION: Final = 2
"""Of what is counted, and how it is kept: another version needs another store."""
MARK_BYTES: Final = 64
"""Of the mark that tells of which pixels the counts of a scene are; its first half is the same for all models."""
MODELS_GROUP: Final = "models"
_SCENES: Final = "scenes-"
"""Beginning of the name of the group of what is known of scenes; the root says which one it is."""


def is_scores(url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> bool:
    """Say whether a store of scores is there."""
    return _version(connect(url, storage_options)) is not None


def open_scores(
    url: str | os.PathLike[str],
    models: Sequence[str] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Open a store of scores: of all models, or some, the scenes that every one of them has.

    Parameters
    ----------
    url : str or path
        Where `score` kept them.
    models : sequence of str, optional
        Names. Default: all. Of several versions of a model, of other weights, code or masks, its name means the one
        that was scored last; others are those with the beginning of their digest behind the name, ``"mine 1f0c93ab"``.
    storage_options : mapping, optional
        For fsspec.

    Returns
    -------
    xarray.Dataset
        As `score` gives it, in memory; the attribute ``left_out_scene_count`` says how many scenes only some of the
        models have.

    Raises
    ------
    CatalogueError
        If there is no store of scores, no such model, one is named twice, there is no scene that all of them have, or a
        scene of which they did not have the same pixels and mask.
    """
    store = connect(url, storage_options)
    if _version(store) is None:
        raise CatalogueError(f"{url}: no store of scores there; make one with s2cmc score --scores")
    groups = _groups(store)
    chosen = list(models) if models is not None else _newest(groups)
    if not chosen:
        raise CatalogueError(f"no model was scored into {url} yet; run s2cmc score --scores")
    if unknown := [name for name in chosen if name not in groups]:
        raise CatalogueError(f"no scores of {unknown[0]!r} in {url}; there are: {', '.join(sorted(groups))}")
    if len(set(chosen)) < len(chosen):
        raise CatalogueError(f"models are {chosen}, expected each of them once")
    counted = {name: _counted(groups[name]) for name in chosen}
    scenes = _read_scenes(store)
    if scenes is None:
        raise CatalogueError(f"{url} does not know its scenes, as a run died early; run s2cmc score again")
    common = [scene for scene in scenes["scene"].values if all(scene in there for there in counted.values())]
    if not common:
        raise CatalogueError(f"no scene was scored with all of {', '.join(chosen)}; score them together")
    _check_same_pixels(counted, common)

    def of_model(name: str) -> dict[str, npt.NDArray[Any]]:
        positions = [counted[name][scene].position for scene in common]
        return {output: np.asarray(groups[name][output][...])[positions] for output in OUTPUTS}  # type: ignore[index]

    per_model = [of_model(name) for name in chosen]
    scores = scenes.sel(scene=common).assign(
        {
            output: (
                ("scene", *how.dims),
                np.stack([counts[output] for counts in per_model], axis=1),
                {"long_name": how.long_name, "units": "1"},
            )
            for output, how in OUTPUTS.items()
        }
    )
    scores.attrs["left_out_scene_count"] = len(set().union(*counted.values())) - len(common)
    attributes = [groups[name].attrs for name in chosen]
    return describe(
        scores.assign_coords({**COORDS, "model": chosen}),
        [tuple(found["labels"]) for found in attributes],  # type: ignore[arg-type]
        [str(found["digest"]) for found in attributes],
        [bool(counts["probability_count"].any()) for counts in per_model],
    )


def kept_labels(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> dict[str, tuple[str, ...]]:
    """Name the models that `open_scores` opens by default, with the classes that each tells apart."""
    groups = _groups(connect(url, storage_options))
    return {name: tuple(groups[name].attrs["labels"]) for name in _newest(groups)}  # type: ignore[arg-type]


def check_or_make(store: Store, url: str | os.PathLike[str]) -> None:
    """Make the root of a store of scores, unless there is one; refuse anything else."""
    version = _version(store)
    if version is None:
        if whole_names(store, ""):
            raise CatalogueError(f"{url} is something else than a store of scores; choose another place")
        _put_root(store, None)


def write_scenes(store: Store, ds: xr.Dataset) -> None:
    """Keep what is known of scenes, so that kept scores can be grouped without the catalogue.

    It goes into a new group; where that ends early, the old one is still there.

    Raises
    ------
    CatalogueError
        If other coordinates are there of other scenes.
    """
    names = {name for name, coord in ds.coords.items() if {"scene", "tag"}.issuperset(coord.dims)}
    new = ds.drop_vars(set(ds.variables) - names).compute().reset_coords()
    old = _read_scenes(store)
    if old is not None:
        old = old.reset_coords()
        others = old.drop_sel(scene=[scene for scene in old["scene"].values if scene in new["scene"].values])
        if others.sizes["scene"]:
            if set(old.variables) != set(new.variables):
                differing = ", ".join(sorted(map(str, set(old.variables) ^ set(new.variables))))
                raise CatalogueError(
                    f"the scenes of the store of scores, and those to be scored, do not both have: {differing}; "
                    "use another store"
                )
            new = xr.concat([others, new], "scene", data_vars="minimal", coords="minimal", compat="override")
        if new.equals(old):
            return
    for name, variable in new.variables.items():
        # Fixed-width strings have no Zarr v3 specification; variable-length ones do.
        if variable.dtype.kind == "U":
            new = new.assign({name: xr.Variable(variable.dims, variable.values.astype(object), variable.attrs)})
    group = f"{_SCENES}{uuid.uuid4().hex}"
    new.drop_encoding().to_zarr(store, group=group, mode="w", zarr_format=3, consolidated=False)
    _put_root(store, group)
    for name in list_names(store, ""):
        if name.startswith(_SCENES) and name != group:
            delete_folder(store, name)


def check_names(store: Store, models: Sequence[Model]) -> None:
    """Refuse a name that the store has for the masks of another place: they are no versions of one model.

    Raises
    ------
    CatalogueError
        With both places, and how to give another name.
    """
    known = {_name(group): str(group.attrs["source"]) for group in _each_group(store) if "source" in group.attrs}
    for model in models:
        source = source_of(model)
        if (other := known.get(model.name, source)) != source:
            raise CatalogueError(
                f"the store of scores knows the name {model.name!r} for {other or 'a model'}, here it is "
                f"{source or 'a model'}; give it another one by the parameter name, as in 'predictions:URL name=theirs'"
            )


def _read_scenes(store: Store) -> xr.Dataset | None:
    group = _root(store).get("scenes")
    if group is None:
        return None
    with xr.open_zarr(store, group=group, chunks=None, consolidated=False) as opened:
        scenes = opened.load()
    for name, variable in scenes.variables.items():
        if variable.dtype.kind in "OT":
            values = np.array(variable.values.tolist(), dtype=str)
            scenes = scenes.assign({name: xr.Variable(variable.dims, values, variable.attrs)})
    known: xr.Dataset = scenes.set_coords(list(scenes.variables))
    return known


def _root(store: Store) -> Mapping[str, Any]:
    attributes: Mapping[str, Any] = (get_json(store, ROOT) or {}).get("attributes", {})
    return attributes


def _put_root(store: Store, scenes: str | None) -> None:
    attributes = {"scores_version": SCORES_VERSION, "scenes": scenes}
    put_json(store, ROOT, {"attributes": attributes, "zarr_format": 3, "node_type": "group"})


def _version(store: Store) -> int | None:
    version: int | None = _root(store).get("scores_version")
    if version is not None and version != SCORES_VERSION:
        raise CatalogueError(
            f"the store has scores of version {version}, this version of s2cmc-zarr knows {SCORES_VERSION}; "
            "score into another store"
        )
    return version


def _each_group(store: Store) -> Iterator[zarr.Group]:
    with contextlib.suppress(FileNotFoundError):  # nothing was scored yet
        yield from dict(zarr.open_group(store, path=MODELS_GROUP, mode="r", use_consolidated=False).groups()).values()


def _groups(store: Store) -> dict[str, zarr.Group]:
    """Groups by what their models are called: see `open_scores`."""
    versions: dict[str, list[zarr.Group]] = {}
    for group in _each_group(store):
        versions.setdefault(_name(group), []).append(group)
    groups: dict[str, zarr.Group] = {}
    for name, several in versions.items():
        several.sort(key=lambda group: str(group.attrs["scored"]), reverse=True)
        if len(several) > 1:
            groups |= {f"{name} {str(group.attrs['digest'])[:8]}": group for group in several}
            # A run that died may have left the newest without any scene.
            several.sort(key=lambda group: not _counted(group))
        groups[name] = several[0]
    return groups


def _newest(groups: Mapping[str, zarr.Group]) -> list[str]:
    """Sort names that mean the newest version of a model."""
    return sorted(name for name, group in groups.items() if name == _name(group))


def _name(group: zarr.Group) -> str:
    return str(group.attrs["name"])


class _Counted(NamedTuple):
    """Where the counts of a scene are, and of which pixels, as far as all models have the same."""

    position: int
    pixels: bytes


def _counted(group: zarr.Group) -> dict[str, _Counted]:
    """Find the scenes whose counts are there."""
    if "counted" not in group:  # a run died before it had made the arrays
        return {}
    marks = np.asarray(group["counted"][...])[:, : MARK_BYTES // 2]  # type: ignore[index]
    scenes: list[str] = group.attrs["scenes"]  # type: ignore[assignment]
    return {
        scene: _Counted(position, mark.tobytes())
        for position, (scene, mark) in enumerate(zip(scenes, marks, strict=False))
        if mark.any()
    }


def _check_same_pixels(counted: Mapping[str, Mapping[str, _Counted]], scenes: Sequence[str]) -> None:
    first, *others = counted
    for other in others:
        if differing := [scene for scene in scenes if counted[first][scene].pixels != counted[other][scene].pixels]:
            more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
            raise CatalogueError(
                f"{first} and {other} were scored on different pixels or masks of {', '.join(differing[:3])}{more}: "
                "they cannot be compared; score both again on the same store into these scores"
            )

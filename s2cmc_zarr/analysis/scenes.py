"""Mapping a kernel over scenes, lazily, on whichever Dask scheduler computes the result."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.schema import DIMS, DTYPES

SceneKernel: TypeAlias = Callable[..., Mapping[str, Any]]

_RESULT_SCENES: Final = 64
_RESULT_BYTES: Final = 2**24
"""Results are joined to chunks of at most so many scenes and bytes: an output costs a task for each of its chunks, and
with one chunk a scene these would be many times as many as the tasks that read pixels."""


class Output(NamedTuple):
    """One of the arrays that a kernel gives for a scene."""

    dims: tuple[str, ...]
    dtype: type[np.generic]
    long_name: str


def map_scenes(
    kernel: SceneKernel,
    ds: xr.Dataset,
    variables: Sequence[str],
    outputs: Mapping[str, Output],
    coords: Mapping[str, Sequence[Any]],
    *,
    with_scene: bool = False,
) -> xr.Dataset:
    """Apply a kernel to every scene, lazily: a scene is read once, and one task gives all that the kernel counts.

    A task takes a chunk of scenes, if the chunks of `ds` are of whole scenes; else one scene.

    Parameters
    ----------
    kernel : callable
        Takes the arrays of one scene, in the schema's dimensions without `scene` and in its types, and must not change
        them; gives a mapping of the names of `outputs` to arrays. It must be picklable.
    ds : xarray.Dataset
        Of the schema, in any chunks or none.
    variables : sequence of str
        The arrays of pixels to pass.
    outputs : mapping
        For each output its name, dimensions beside `scene`, type and meaning.
    coords : mapping
        Names along those dimensions of the outputs that the arrays of pixels do not have.
    with_scene : bool
        Whether the kernel takes the scene's name, str, before its arrays.

    Returns
    -------
    xarray.Dataset
        The outputs, `scene` as their first dimension, in Dask chunks of several scenes: select scenes before, not
        after. Coordinates of scenes are kept, in memory.

    Raises
    ------
    CatalogueError
        If there are no scenes, a variable is absent, or its dimensions or type are not the schema's. When computed:
        where the kernel raises it, with the name of the scene.
    """
    arrays = xr.Dataset({name: _whole_scenes(_pixels(ds, name)) for name in variables})
    sizes = {str(dim): size for dim, size in arrays.sizes.items()} | {dim: len(names) for dim, names in coords.items()}
    record = np.dtype(
        [(name, output.dtype, tuple(sizes[dim] for dim in output.dims)) for name, output in outputs.items()]
    )
    pixels = [arrays[name].transpose(*DIMS[name]).astype(DTYPES[name]).data for name in variables]
    # In a store they are of variable length, and Dask does not know their size.
    scenes = da.from_array(np.array([str(scene) for scene in arrays["scene"].values]), chunks=(pixels[0].chunks[0],))
    inner = sorted(set(arrays.dims) - {"scene"}, key=str)
    counted = da.blockwise(
        partial(_apply, kernel=kernel, record=record, with_scene=with_scene, ndim=1 + len(inner)),
        ("scene", *inner),
        scenes,
        ("scene",),
        *itertools.chain.from_iterable((array, DIMS[name]) for array, name in zip(pixels, variables, strict=True)),
        adjust_chunks=dict.fromkeys(inner, 1),  # unlike dropping them, this lets Dask put reading into the same task
        meta=np.empty((0,) * (1 + len(inner)), record),
    )
    counted = counted.rechunk({0: _joined(counted.chunks[0], _RESULT_BYTES // record.itemsize)})
    counted = counted[(slice(None), *[0] * len(inner))]
    dims = {"scene", "tag"}.union(*(output.dims for output in outputs.values()))
    kept = {name for name, coord in ds.coords.items() if dims.issuperset(coord.dims) and name not in outputs}
    return xr.Dataset(
        {
            name: (("scene", *output.dims), counted[name], {"long_name": output.long_name, "units": "1"})
            for name, output in outputs.items()
        },
        coords=ds.drop_vars(set(ds.variables) - kept).compute().coords,
    ).assign_coords({dim: list(names) for dim, names in coords.items()})


def _whole_scenes(array: xr.DataArray) -> xr.DataArray:
    """Keep blocks of whole scenes as they are; from other chunks, or none, make one of each scene."""
    blocks = array.variable.chunksizes  # the coordinates may have chunks, too
    whole = bool(blocks) and all(len(blocks[dim]) == 1 for dim in array.dims if dim != "scene")
    return array if whole else array.chunk({dim: 1 if dim == "scene" else -1 for dim in array.dims})


def _joined(blocks: Sequence[int], limit: int) -> tuple[int, ...]:
    """Join blocks of scenes up to so many scenes, but for those that are larger."""
    joined: list[int] = []
    for size in blocks:
        if joined and joined[-1] + size <= min(limit, _RESULT_SCENES):
            joined[-1] += size
        else:
            joined.append(size)
    return tuple(joined)


def _pixels(ds: xr.Dataset, name: str) -> xr.DataArray:
    if name not in ds.data_vars:
        raise CatalogueError(f"no {name} in the Dataset, which has {', '.join(map(str, ds.data_vars)) or 'no arrays'}")
    array = ds[name]
    if set(array.dims) != set(DIMS[name]):
        hint = "; a single scene is selected by isel(scene=[0])" if "scene" not in array.dims else ""
        raise CatalogueError(f"{name} has dims {array.dims}, expected {DIMS[name]}{hint}")
    dtype = np.dtype(DTYPES[name])
    # Another width of float is only rounded; another integer would wrap around.
    if array.dtype != dtype and not array.dtype.kind == dtype.kind == "f":
        raise CatalogueError(f"{name} is {array.dtype}, expected {dtype}; open it with open_store or open_release")
    if not array.sizes["scene"]:
        raise CatalogueError("the Dataset has no scenes; is the selection empty?")
    return array


def _apply(
    scenes: npt.NDArray[Any],
    *arrays: npt.NDArray[Any],
    kernel: SceneKernel,
    record: np.dtype[np.void],
    with_scene: bool,
    ndim: int,
) -> npt.NDArray[np.void]:
    records = np.empty(len(scenes), record)
    for position, scene in enumerate(scenes):
        name_first = (str(scene),) if with_scene else ()
        try:
            counted = kernel(*name_first, *(array[position] for array in arrays))
        except CatalogueError as error:
            raise CatalogueError(f"{scene}: {error}") from error.__cause__
        for name in record.names or ():
            records[name][position] = counted[name]
    return records.reshape(-1, *[1] * (ndim - 1))

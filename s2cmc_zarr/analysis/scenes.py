"""Mapping a kernel over scenes, lazily, on whichever Dask scheduler computes the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.dataset import chunk_by_scene
from s2cmc_zarr.schema import DIMS, DTYPES

SceneKernel: TypeAlias = Callable[..., Mapping[str, Any]]


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
        The outputs, `scene` as their first dimension, one Dask chunk a scene. Coordinates of scenes are kept, in
        memory.

    Raises
    ------
    CatalogueError
        If there are no scenes, a variable is absent, or its dimensions or type are not the schema's. When computed:
        where the kernel raises it, with the name of the scene.
    """
    arrays = chunk_by_scene(xr.Dataset({name: _pixels(ds, name) for name in variables}))
    new_sizes = {dim: len(names) for dim, names in coords.items()}
    sizes = {str(dim): size for dim, size in arrays.sizes.items()} | new_sizes
    results = xr.apply_ufunc(
        _apply,
        # In a store they are of variable length, and Dask does not know their size.
        xr.Variable("scene", [str(scene) for scene in arrays["scene"].values]),
        *(arrays[name].astype(DTYPES[name]) for name in variables),
        kwargs={
            "kernel": kernel,
            "with_scene": with_scene,
            "layout": {
                name: (tuple(sizes[dim] for dim in output.dims), output.dtype) for name, output in outputs.items()
            },
        },
        input_core_dims=[[], *(DIMS[name][1:] for name in variables)],
        output_core_dims=[output.dims for output in outputs.values()],
        output_dtypes=[output.dtype for output in outputs.values()],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": new_sizes},
    )
    results = results if isinstance(results, tuple) else (results,)
    dims = {"scene", "tag"}.union(*(output.dims for output in outputs.values()))
    kept = {name for name, coord in ds.coords.items() if dims.issuperset(coord.dims) and name not in outputs}
    return xr.Dataset(
        {
            name: result.variable._replace(attrs={"long_name": output.long_name, "units": "1"})
            for (name, output), result in zip(outputs.items(), results, strict=True)
        },
        coords=ds.drop_vars(set(ds.variables) - kept).compute().coords,
    ).assign_coords({dim: list(names) for dim, names in coords.items()})


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
    with_scene: bool,
    layout: Mapping[str, tuple[tuple[int, ...], type[np.generic]]],
) -> npt.NDArray[Any] | tuple[npt.NDArray[Any], ...]:
    results = {name: np.empty((len(scenes), *shape), dtype) for name, (shape, dtype) in layout.items()}
    for position, scene in enumerate(scenes):
        try:
            name_first = (str(scene),) if with_scene else ()
            counted = kernel(*name_first, *(array[position] for array in arrays))
        except CatalogueError as error:
            raise CatalogueError(f"{scene}: {error}") from None
        for name, result in results.items():
            result[position] = counted[name]
    arrays_of_outputs = tuple(results.values())
    return arrays_of_outputs if len(results) > 1 else arrays_of_outputs[0]

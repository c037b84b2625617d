"""The checks of an audit: what each looks for in the coordinates and counts of scenes, and how grave it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
import xarray as xr

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.footprints import Footprint, epsg_of_tile
from s2cmc_zarr.release.mgrs import tile_bounds
from s2cmc_zarr.schema import LABELS, PIXEL_SIZE, TAG_GROUPS

Severity: TypeAlias = Literal["defect", "note"]
Found: TypeAlias = Iterator[tuple[int, str]]
"""Positions of scenes, and what was found there."""

FOUND_IN_PIXELS: Final = ("pixels without exactly one class", "but the tag table says")
"""What a release says of masks on opening, in the words of the checks below."""
_CLOUD: Final = LABELS.index("cloud")
_SHADOW: Final = LABELS.index("cloud_shadow")
_METRE: Final = 1e-5
"""Degrees; the coordinates of outlines are rounded to 1e-7."""


class Check(NamedTuple):
    """One thing that an audit looks for.

    Attributes
    ----------
    title : str
        What is wrong where it finds something.
    severity : {"defect", "note"}
        A defect contradicts the published layout, the table or itself; a note is to be known, and may be right.
    needs : tuple of str
        Arrays and coordinates without which it cannot be made.
    find : callable
        Takes coordinates and counts of scenes.
    array : str or None
        The array of pixels whose counts it looks at, if any.
    """

    title: str
    severity: Severity
    needs: tuple[str, ...]
    find: Callable[[xr.Dataset], Found]
    array: str | None = None


def _recorded(scenes: xr.Dataset) -> Found:
    for position, text in enumerate(scenes["defects"].values.tolist() if "defects" in scenes.coords else ()):
        problems = text.split("; ")
        if "class_count" in scenes:
            problems = [problem for problem in problems if not any(words in problem for words in FOUND_IN_PIXELS)]
        if any(problems):
            yield position, "; ".join(problems)


def _unconverted(scenes: xr.Dataset) -> Found:
    converted = scenes["converted"].values if "converted" in scenes.coords else np.ones(0, dtype=bool)
    for position in np.flatnonzero(~converted).tolist():
        yield position, "its arrays were not written"


def _invalid(scenes: xr.Dataset) -> Found:
    yield from _some(scenes["invalid_count"], "pixels that are neither a class nor 255")


def _unlabelled(scenes: xr.Dataset) -> Found:
    yield from _some(scenes["unlabelled_count"], "pixels without exactly one class")


def _alternative(scenes: xr.Dataset) -> Found:
    there = scenes["has_alt_mask"]
    yield from _some(scenes["alt_unlabelled_count"].where(there, 0), "pixels without exactly one class")
    yield from _some(scenes["alt_invalid_count"].where(there, 0), "pixels that are neither a class nor 255")


def _class_counts(scenes: xr.Dataset) -> Found:
    counted, tabled = scenes["class_count"].values, scenes["table_class_count"].values
    unlabelled = scenes["unlabelled_count"].values[:, np.newaxis]
    # Pixels without a class may be those that are missing.
    explained = (tabled > counted) & (tabled - counted <= unlabelled)
    for position, label in np.argwhere((counted != tabled) & ~explained).tolist():
        count, expected = counted[position, label], tabled[position, label]
        yield position, f"{count:,} {LABELS[label]} pixels, but the tag table says {expected:,}"


def _no_data(scenes: xr.Dataset) -> Found:
    yield from _some(scenes["no_data_count"], "pixels of which every band is zero or not finite")


def _non_finite(scenes: xr.Dataset) -> Found:
    yield from _some_in_bands(scenes["non_finite_count"])


def _negative(scenes: xr.Dataset) -> Found:
    yield from _some_in_bands(scenes["negative_count"])


def _cloud_tags(scenes: xr.Dataset) -> Found:
    tags = scenes["tags"].isel(tag=(scenes["tag_group"] != "surface").values)
    without = scenes["table_class_count"].values[:, _CLOUD] == 0
    for position in np.flatnonzero(without & tags.values.any(axis=1)).tolist():
        yield position, _names(tags, position)


def _no_cloud_tags(scenes: xr.Dataset) -> Found:
    groups = [group for group in TAG_GROUPS if group != "surface"]
    tags, kinds = scenes["tags"].values, scenes["tag_group"].values
    lacking = np.stack([~tags[:, kinds == group].any(axis=1) for group in groups], axis=1)
    cloudy = scenes["table_class_count"].values[:, _CLOUD] > 0
    for position in np.flatnonzero(cloudy & lacking.any(axis=1)).tolist():
        yield position, ", ".join(np.array(groups)[lacking[position]].tolist())


def _no_surface_tag(scenes: xr.Dataset) -> Found:
    visible = ~_all_cloud(scenes) & ~_surface(scenes).values.any(axis=1)
    for position in np.flatnonzero(visible).tolist():
        counts = scenes["table_class_count"].values[position]
        yield position, f"{100 * (1 - counts[_CLOUD] / counts.sum()):.2f} % is not cloud"


def _hidden_surface(scenes: xr.Dataset) -> Found:
    tags = _surface(scenes)
    for position in np.flatnonzero(_all_cloud(scenes) & tags.values.any(axis=1)).tolist():
        yield position, _names(tags, position)


def _unmarked_shadow(scenes: xr.Dataset) -> Found:
    counts = scenes["table_class_count"].values
    for position in np.flatnonzero(~scenes["shadows_marked"].values & (counts[:, _SHADOW] > 0)).tolist():
        share = counts[position, _SHADOW] / counts[position].sum()
        yield position, f"{counts[position, _SHADOW]:,} shadow pixels ({100 * share:.2f} %)"


def _footprint(scenes: xr.Dataset) -> Found:
    columns = [scenes[name].values.tolist() for name in ("epsg", "x_origin", "y_origin", "tile", "footprint")]
    size = scenes.sizes["y"], scenes.sizes["x"]
    explained = {position for position, _ in _recorded(scenes)}
    for position, (epsg, x_origin, y_origin, tile, outline) in enumerate(zip(*columns, strict=True)):
        if epsg == 0:
            if position not in explained:
                yield position, "none is known"
            continue
        if epsg != epsg_of_tile(tile):
            yield position, f"EPSG:{epsg}, expected EPSG:{epsg_of_tile(tile)} of tile {tile}"
            continue
        expected = Footprint(epsg, x_origin, y_origin, size)
        if shapely.hausdorff_distance(shapely.from_wkt(outline), expected.polygon()) > _METRE:
            yield position, f"outline is not that of {size[0]} × {size[1]} pixels at its origin"
        if problem := _outside(tile, expected):
            yield position, problem


def _outside(tile: str, footprint: Footprint) -> str | None:
    try:
        bounds = tile_bounds(tile)
    except CatalogueError as error:
        return str(error)
    west, south, east, north = footprint.bounds
    if west < bounds.left or east > bounds.right or south < bounds.bottom or north > bounds.top:
        return f"not inside tile {tile}"
    if (west - bounds.left) % PIXEL_SIZE or (bounds.top - north) % PIXEL_SIZE:
        return f"not on the 20 m grid of tile {tile}"
    return None


def _repeated_tile(scenes: xr.Dataset) -> Found:
    yield from _together(scenes, [scenes["tile"].values])


def _shared_pass(scenes: xr.Dataset) -> Found:
    yield from _together(scenes, _pass(scenes))


def _divided_group(scenes: xr.Dataset) -> Found:
    group = pd.Series(scenes["group"].values)
    for keys in ([scenes["tile"].values], _pass(scenes)):
        first = group.groupby(keys).transform("first")
        for position in np.flatnonzero(group != first).tolist():
            yield position, f"group {group[position]}, but a scene of its tile or pass has {first[position]}"


def _pass(scenes: xr.Dataset) -> list[Any]:
    day = pd.Series(scenes["time"].values).dt.floor("D").to_numpy()
    return [scenes["platform"].values, day, scenes["relative_orbit"].values]


def _together(scenes: xr.Dataset, keys: list[Any]) -> Found:
    for _, rows in pd.Series(np.arange(scenes.sizes["scene"])).groupby(keys, sort=False):
        if len(rows) > 1:
            yield int(rows.iloc[0]), "\n".join(f"and row {row} {scenes['scene'].values[row]}" for row in rows[1:])


def _all_cloud(scenes: xr.Dataset) -> npt.NDArray[np.bool_]:
    counts = scenes["table_class_count"].values
    return np.asarray(counts[:, _CLOUD] == counts.sum(axis=1))


def _surface(scenes: xr.Dataset) -> xr.DataArray:
    return scenes["tags"].isel(tag=(scenes["tag_group"] == "surface").values)


def _names(tags: xr.DataArray, position: int) -> str:
    return ", ".join(tags["tag"].values[tags.values[position]].tolist())


def _some(counts: xr.DataArray, what: str) -> Found:
    for position in np.flatnonzero(counts.values).tolist():
        yield position, f"{int(counts.values[position]):,} {what}"


def _some_in_bands(counts: xr.DataArray) -> Found:
    for position in np.flatnonzero(counts.values.any(axis=1)).tolist():
        found = counts.values[position]
        bands = ", ".join(counts["band"].values[found > 0].tolist())
        yield position, f"{int(found.sum()):,} values, in {bands}"


_TAGS: Final = ("tags", "tag_group", "table_class_count")
CHECKS: Final = {
    "recorded": Check("Found on opening or converting", "defect", (), _recorded),
    "unconverted": Check("Scene not converted", "defect", (), _unconverted),
    "mask_values": Check("Mask with other values", "defect", ("mask",), _invalid, "mask"),
    "not_one_hot": Check("Mask not one-hot", "defect", ("mask",), _unlabelled, "mask"),
    "alt_mask": Check(
        "Second annotator's mask not one-hot",
        "defect",
        ("alt_mask", "has_alt_mask"),
        _alternative,
        "alt_mask",
    ),
    "class_counts": Check(
        "Mask contradicts the tag table", "defect", ("mask", "table_class_count"), _class_counts, "mask"
    ),
    "no_data": Check("Pixels without data", "defect", ("reflectance",), _no_data, "reflectance"),
    "non_finite": Check("Reflectance not finite", "defect", ("reflectance",), _non_finite, "reflectance"),
    "negative": Check("Reflectance below zero", "defect", ("reflectance",), _negative, "reflectance"),
    "cloud_tags": Check("Cloud tags in a scene without cloud", "defect", _TAGS, _cloud_tags),
    "no_cloud_tags": Check("Cloud, but no tag of these groups", "defect", _TAGS, _no_cloud_tags),
    "no_surface_tag": Check("Surface to be seen, but no surface tag", "defect", _TAGS, _no_surface_tag),
    "unmarked_shadow": Check(
        "Shadow in a scene whose shadows were not marked",
        "defect",
        ("shadows_marked", "table_class_count"),
        _unmarked_shadow,
    ),
    "footprint": Check(
        "Footprint does not fit tile, zone or size",
        "defect",
        ("epsg", "x_origin", "y_origin", "tile", "footprint", "x", "y"),
        _footprint,
    ),
    "group": Check(
        "Related scenes in different groups",
        "defect",
        ("group", "tile", "platform", "time", "relative_orbit"),
        _divided_group,
    ),
    "hidden_surface": Check("Surface tags in a scene that is all cloud", "note", _TAGS, _hidden_surface),
    "repeated_tile": Check("Tile that occurs more than once", "note", ("tile",), _repeated_tile),
    "shared_pass": Check(
        "Pass that occurs more than once", "note", ("platform", "time", "relative_orbit"), _shared_pass
    ),
}
"""By name, the gravest first."""
TITLES: Final = {
    "unknown_scene": "Scene that the tag table does not know",
    "unreadable": "Array that cannot be read",
} | {name: check.title for name, check in CHECKS.items()}
"""What is wrong, by the name of the check."""

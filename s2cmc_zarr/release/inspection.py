"""Comparing what the parts of a release say: ids, sizes, footprints; from listings, without reading pixels."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import fsspec
import pandas as pd

from s2cmc_zarr.errors import CatalogueError, DefectError
from s2cmc_zarr.release.archive import Member, Reader
from s2cmc_zarr.release.footprints import FILE_LIMIT, Footprint, decode_footprint
from s2cmc_zarr.release.npy import HEADER_LIMIT, read_header
from s2cmc_zarr.release.thumbnails import FILE_LIMIT as THUMBNAIL_LIMIT
from s2cmc_zarr.release.thumbnails import decode_thumbnail
from s2cmc_zarr.schema import BAND_NAMES, LABELS, SCENE_SIZE

COMPONENTS: Final = ("subscenes", "masks", "alt_masks", "shapefiles", "thumbnails")
_IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp"})
_ID_LENGTH: Final = 60
NOT_IN_TABLE: Final = "not in the tag table"

Defects: TypeAlias = dict[str, list[str]]
"""What is wrong, by scene id."""
Members: TypeAlias = dict[str, dict[str, Any]]
"""By component and scene id."""


def by_scene(defects: Defects, component: str, members: Mapping[str, Member]) -> dict[str, Any]:
    """Index the members of a component by scene id; of shapefiles, the files of each scene by suffix.

    Where two are of one scene, neither is taken, and `defects` says so.
    """
    if component == "shapefiles":
        files: dict[str, dict[str, Member]] = defaultdict(dict)
        for member in members.values():
            files[member.stem][member.suffix] = member
        return {stem: found for stem, found in files.items() if ".shp" in found or ".prj" in found}
    suffixes = _IMAGES if component == "thumbnails" else {".npy"}
    # Only of subscenes and masks are the names known; the others begin with the scene's id.
    length = None if component in ("subscenes", "masks") else _ID_LENGTH
    found: dict[str, list[Member]] = defaultdict(list)
    for member in members.values():
        if member.suffix in suffixes:
            found[member.stem[:length]].append(member)
    for scene, several in found.items():
        if len(several) > 1:
            places = " and ".join(member.place for member in several)
            defects[scene].append(f"{len(several)} files in {component}, expected one: {places}")
    return {scene: several[0] for scene, several in found.items() if len(several) == 1}


def scene_size(fs: fsspec.AbstractFileSystem, members: Members) -> tuple[int, int]:
    """Rows and columns, as most arrays have them; the published size if there are no arrays.

    Listings say how many bytes each array has, so that one header is enough: that of an array of the commonest size.
    """
    first_error = None
    for component, depth in (("subscenes", len(BAND_NAMES)), ("masks", len(LABELS)), ("alt_masks", len(LABELS))):
        found = list(members.get(component, {}).values())
        sizes = Counter(member.size for member in found)
        for member in sorted(found, key=lambda member: -sizes[member.size]):
            try:
                shape, dtype, offset = read_header(member.head(fs, HEADER_LIMIT), member.name)
                if len(shape) != 3 or shape[2] != depth or not 0 < min(shape) <= max(shape) <= 16384:
                    raise DefectError(f"{member.name}: shape {shape}, expected (row, column, {depth})")
                if member.size != offset + math.prod(shape) * dtype.itemsize:
                    raise DefectError(f"{member.name}: {member.size:,} bytes are not {shape} values of {dtype}")
                return shape[0], shape[1]
            except DefectError as error:
                first_error = first_error or error
    if first_error:
        raise DefectError(f"no array tells the size of a scene; the first: {first_error}")
    return SCENE_SIZE, SCENE_SIZE


def thumbnail_size(fs: fsspec.AbstractFileSystem, members: Members) -> tuple[int, int] | None:
    """Rows and columns of the first thumbnail that is an image; None if there is none."""
    for member in members.get("thumbnails", {}).values():
        try:
            rows, columns, _ = decode_thumbnail(member.read(fs, THUMBNAIL_LIMIT), member.name).shape
        except DefectError:
            continue
        return rows, columns
    return None


def present_scenes(table: pd.DataFrame, members: Members) -> tuple[list[str], tuple[str, ...]]:
    """Say which scenes of the table are there, and what of the published catalogue is not."""
    lacking = [component for component in COMPONENTS if component not in members]
    present = list(table.index)
    for component in ("subscenes", "masks"):
        if component in members:
            present = [scene for scene in present if scene in members[component]]
            break
    if len(present) < len(table):
        lacking.append(f"{len(table) - len(present)} of {len(table)} scenes")
    if missing := [scene for scene in present if scene not in members.get("thumbnails", present)]:
        lacking.append(f"thumbnails of {len(missing)} scenes")
    if not present:
        raise CatalogueError("not one scene of the tag table is in subscenes or masks; are the two of one release?")
    return present, tuple(lacking)


def compare_ids(defects: Defects, table: pd.DataFrame, members: Members) -> None:
    """Add to `defects` the scenes that are in one place and not in another."""
    for component, found in members.items():
        for scene in found:
            if scene not in table.index:
                defects[scene].append(f"is in {component}, but {NOT_IN_TABLE}")
    for scene in members.get("subscenes", {}):
        if scene not in table.index:
            continue
        for component in ("masks", "shapefiles"):
            if component in members and scene not in members[component]:
                defects[scene].append(f"is in subscenes, but not in {component}")


def compare_sizes(defects: Defects, members: Members, size: tuple[int, int]) -> None:
    """Add to `defects` the arrays whose bytes are not those of the shape, and drop them from `members`."""
    depths = {"subscenes": 4 * len(BAND_NAMES), "masks": len(LABELS), "alt_masks": len(LABELS)}
    for component, depth in depths.items():
        values = math.prod(size) * depth
        for scene, member in list(members.get(component, {}).items()):
            if not values < member.size <= values + HEADER_LIMIT:
                defects[scene].append(
                    f"{member.name}: {member.size:,} bytes, expected {values + 128:,} for {size[0]} × {size[1]} pixels"
                )
                del members[component][scene]


def read_footprints(
    fs: fsspec.AbstractFileSystem,
    defects: Defects,
    table: pd.DataFrame,
    files: Mapping[str, Mapping[str, Member]],
    size: tuple[int, int],
) -> dict[str, Footprint]:
    """Decode the footprint of every scene of the table; add to `defects` what cannot be."""
    reader = Reader(fs, (member for found in files.values() for member in found.values()))
    footprints = {}
    for scene, found in files.items():
        if scene not in table.index:
            continue
        try:
            missing = {".shp", ".prj"} - set(found)
            if missing:
                raise DefectError(f"footprint: no {' and no '.join(sorted(missing))}")
            shp, prj = (reader.read(found[suffix], FILE_LIMIT) for suffix in (".shp", ".prj"))
            footprints[scene] = decode_footprint(shp, prj, str(table.at[scene, "tile"]), size)
        except DefectError as error:
            defects[scene].append(str(error))
    return footprints

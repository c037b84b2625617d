"""Footprints: from the annotation outline in the shapefile to the place of the subscene inside it."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
import shapefile
import shapely
from shapely.affinity import translate

from s2cmc_zarr.errors import DefectError
from s2cmc_zarr.schema import INSET, PIXEL_SIZE

FILE_LIMIT = 64 * 1024
"""The published .shp has 236 bytes, the .prj about 390."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where a subscene lies.

    Attributes
    ----------
    epsg : int
        Code of the UTM zone.
    x_origin, y_origin : float
        Easting and northing, in metres, of the subscene's north-west corner.
    size : tuple of int
        Rows and columns.
    """

    epsg: int
    x_origin: float
    y_origin: float
    size: tuple[int, int]

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine transform from (column, row) to easting and northing: a, b, c, d, e, f."""
        return (PIXEL_SIZE, 0.0, self.x_origin, 0.0, -PIXEL_SIZE, self.y_origin)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in metres."""
        rows, columns = self.size
        return (
            self.x_origin,
            self.y_origin - rows * PIXEL_SIZE,
            self.x_origin + columns * PIXEL_SIZE,
            self.y_origin,
        )

    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the centre in degrees."""
        west, south, east, north = self.bounds
        longitude, latitude = _to_geographic(self.epsg).transform((west + east) / 2, (south + north) / 2)
        return float(longitude), float(latitude)

    def polygon(self) -> shapely.Geometry:
        """Outline in longitude and latitude, split in two where it crosses the antimeridian (RFC 7946, 3.1.9)."""
        west, south, east, north = self.bounds
        longitude, latitude = _to_geographic(self.epsg).transform(
            np.array([west, east, east, west, west]), np.array([north, north, south, south, north])
        )
        if np.ptp(longitude) < 180:
            return shapely.Polygon(np.column_stack([longitude, latitude]))
        whole = shapely.Polygon(np.column_stack([np.mod(longitude, 360), latitude]))
        east_part = shapely.intersection(whole, shapely.box(0, -90, 180, 90))
        west_part = translate(shapely.intersection(whole, shapely.box(180, -90, 360, 90)), xoff=-360)
        return shapely.union(east_part, west_part)

    @property
    def wkt(self) -> str:
        """`polygon` as well-known text, to 1e-7 degrees (about a centimetre)."""
        return str(shapely.to_wkt(self.polygon(), rounding_precision=7))


@lru_cache(maxsize=128)
def _to_geographic(epsg: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)


@lru_cache(maxsize=256)
def _epsg_of_wkt(wkt: str) -> int | None:
    try:
        code = pyproj.CRS.from_wkt(wkt).to_epsg(min_confidence=20)
    except pyproj.exceptions.CRSError:
        return None
    return None if code is None else int(code)


def epsg_of_tile(tile: str) -> int:
    """EPSG code of the UTM zone of an MGRS tile, e.g. 32637 for ``37NBA``: latitude bands from N on lie north."""
    return (32600 if tile[2] >= "N" else 32700) + int(tile[:2])


def decode_footprint(shp: bytes, prj: bytes, tile: str, size: tuple[int, int]) -> Footprint:
    """Decode the footprint of a scene.

    The polygon of the shapefile is the outline of the annotation window, 65 pixels wider than the subscene on every
    side, not the subscene's own.

    Parameters
    ----------
    shp, prj : bytes
        The shapefile's geometry and its coordinate reference system.
    tile : str
        MGRS tile of the product, whose UTM zone the reference system must be.
    size : tuple of int
        Rows and columns of the subscene.

    Raises
    ------
    DefectError
        If the files are malformed, the zone is another or the outline is not the subscene's with its margin.
    """
    if len(shp) < 100 or 2 * int.from_bytes(shp[24:28], "big") != len(shp):
        raise DefectError(f"footprint: {len(shp)} bytes are not the whole .shp file that its header announces")
    try:
        with shapefile.Reader(shp=io.BytesIO(shp)) as reader:
            shapes = reader.shapes()
    except (shapefile.ShapefileException, struct.error, ValueError, IndexError) as error:
        raise DefectError(f"footprint: not a shapefile ({error})") from None
    of_type = f", the first of type {shapes[0].shapeTypeName}" if shapes else ""
    if len(shapes) != 1 or shapes[0].shapeType != shapefile.POLYGON:
        raise DefectError(f"footprint: {len(shapes)} shapes{of_type}, expected one polygon")
    epsg = _epsg_of_wkt(prj.decode("utf-8", "replace"))
    if epsg != epsg_of_tile(tile):
        found = "none that is known in the .prj file" if epsg is None else f"EPSG:{epsg}"
        raise DefectError(f"footprint: reference system {found}, expected EPSG:{epsg_of_tile(tile)} of tile {tile}")
    west, south, east, north = shapes[0].bbox
    margin = INSET * PIXEL_SIZE
    rows, columns = size
    expected = (columns * PIXEL_SIZE + 2 * margin, rows * PIXEL_SIZE + 2 * margin)
    if not math.isfinite(west + north):
        raise DefectError(f"footprint: the outline's corner is {west}, {north}, expected finite coordinates")
    if (east - west, north - south) != expected:
        raise DefectError(f"footprint: {east - west} × {north - south} m, expected {expected[0]} × {expected[1]} m")
    if len(shapes[0].points) != 5:
        raise DefectError(f"footprint: {len(shapes[0].points)} points, expected the 5 of a closed square")
    return Footprint(epsg, west + margin, north - margin, size)

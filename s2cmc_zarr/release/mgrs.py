"""Where the tiles of Sentinel-2 lie: the squares of the Military Grid Reference System (MGRS) in UTM metres.

The general MGRS converters refuse tiles that Sentinel-2 uses, such as 31VEE, which lies outside the zone that MGRS
narrows for Norway, and 58CDR, whose square only touches its latitude band. Letters alone decide here.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from s2cmc_zarr.errors import CatalogueError

BANDS: Final = "CDEFGHJKLMNPQRSTUVWX"
"""Latitude bands of 8° from 80° S; the last one reaches 84° N."""
COLUMNS: Final = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")
"""Letters of the columns from 100 km easting, by zone modulo 3."""
ROWS: Final = "ABCDEFGHJKLMNPQRSTUV"
"""Letters of the rows, from the equator in odd zones and from 500 km before it in even ones."""

SQUARE: Final = 100_000  # m
EXTENT: Final = 109_800  # m, of a Sentinel-2 tile: its square and an overlap to the east and the south
ALIGNMENT: Final = 60  # m, the coarsest pixel: tiles start at its multiples
FALSE_NORTHING: Final = 10_000_000  # m, of the equator in the south
DEGREE: Final = 110_900  # m of northing, near enough to tell rows apart that are 2,000 km from each other


class Tile(NamedTuple):
    """A Sentinel-2 tile: EPSG code of its UTM zone and its edges in metres."""

    epsg: int
    left: int
    bottom: int
    right: int
    top: int


def is_southern(band: str) -> bool:
    """Whether a latitude band lies south of the equator."""
    return band < "N"


def _band_centre(band: str) -> float:
    """Northing of the middle of a latitude band, in metres, roughly."""
    latitude = 78 if band == "X" else 8 * BANDS.index(band) - 76
    return latitude * DEGREE + FALSE_NORTHING * is_southern(band)


def _row_shift(zone: int) -> int:
    return 0 if zone % 2 else 5


def tile_bounds(tile: str) -> Tile:
    """EPSG code and bounds of a Sentinel-2 tile.

    Parameters
    ----------
    tile : str
        MGRS tile id as in a product id, without the leading "T", such as "37LDL".

    Returns
    -------
    Tile
        EPSG 326zz (north) or 327zz (south), and the bounds of the 109.8 km tile in UTM metres. The north-west corner
        is that of the 100 km square, moved outwards to a multiple of 60 m from the zone's origin on the equator.

    Raises
    ------
    CatalogueError
        `tile` is not an id of the MGRS.
    """
    match = re.fullmatch(rf"([0-9]{{2}})([{BANDS}])([A-HJ-NP-Z])([{ROWS}])", tile)
    if match is None or not 1 <= int(match[1]) <= 60 or match[3] not in COLUMNS[int(match[1]) % 3]:
        raise CatalogueError(
            f"'{tile}' is not an MGRS tile; expected two digits for the UTM zone, a latitude band, and a column and "
            "row that this zone has, such as '37LDL'. Check the product id."
        )
    zone, band = int(match[1]), match[2]
    south = is_southern(band)
    easting = (COLUMNS[zone % 3].index(match[3]) + 1) * SQUARE
    row = (ROWS.index(match[4]) - _row_shift(zone)) * SQUARE
    cycle = len(ROWS) * SQUARE
    northing = row + cycle * round((_band_centre(band) - row) / cycle)
    origin = FALSE_NORTHING * south
    left = easting // ALIGNMENT * ALIGNMENT
    top = math.ceil((northing + SQUARE - origin) / ALIGNMENT) * ALIGNMENT + origin
    return Tile((32700 if south else 32600) + zone, left, top - EXTENT, left + EXTENT, top)


def tile_name(zone: int, band: str, column: int, row: int) -> str:
    """Id of a tile in the middle of a latitude band.

    Parameters
    ----------
    zone : int
        UTM zone, 1 to 60.
    band : str
        Letter of the latitude band.
    column : int
        Hundreds of kilometres of easting, 1 to 8; 5 begins at the central meridian.
    row : int
        Hundreds of kilometres north of the band's middle, -3 to 3.

    Returns
    -------
    str
        MGRS tile id, such as "37LDL".
    """
    northing = int(_band_centre(band) // SQUARE) + row
    return f"{zone:02d}{band}{COLUMNS[zone % 3][column - 1]}{ROWS[(northing + _row_shift(zone)) % len(ROWS)]}"

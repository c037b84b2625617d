from __future__ import annotations

import csv
import json

import pytest

from real_files import REAL_DATA, TABLE, needs_real_data
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.mgrs import BANDS, Tile, is_southern, tile_bounds, tile_name


@needs_real_data
def test_real_footprints_lie_in_their_tiles_and_on_their_grid() -> None:
    for footprint in json.loads((REAL_DATA / "footprints_verified.json").read_text()):
        tile = tile_bounds(footprint["scene"].split("_T")[1][:5])
        west, south, east, north = footprint["footprint_bounds"]
        assert tile.epsg == footprint["epsg"]
        assert tile.left <= west < east <= tile.right
        assert tile.bottom <= south < north <= tile.top
        assert (west - tile.left) % 20 == (tile.top - north) % 20 == 0


@needs_real_data
def test_all_tiles_of_the_catalogue_are_known() -> None:
    with TABLE.open() as file:
        tiles = [tile_bounds(row["scene"].split("_T")[1][:5]) for row in csv.DictReader(file)]
    assert len(tiles) == 513
    assert len({tile.epsg for tile in tiles}) == 95
    # The rows of a Sentinel-2 tile's 10 m, 20 m and 60 m bands begin together.
    assert all(tile.left % 60 == 0 and (tile.top - 10_000_000 * (tile.epsg > 32700)) % 60 == 0 for tile in tiles)
    assert all(0 < tile.top <= 10_000_000 for tile in tiles)


@pytest.mark.parametrize(
    ("tile", "expected"),
    [
        # Extents of real products; of the southern ones the edges that their masks touch are known: right and top, top.
        ("31TDH", Tile(32631, 399960, 4690200, 509760, 4800000)),
        ("31TGJ", Tile(32631, 699960, 4790220, 809760, 4900020)),
        ("31TGK", Tile(32631, 699960, 4890240, 809760, 5000040)),
        ("53HLA", Tile(32753, 300000, 5990200, 409800, 6100000)),
        ("53HNV", Tile(32753, 499980, 5890240, 609780, 6000040)),
        # Outside the zone that MGRS narrows for Norway; with its square below 80° S.
        ("31VEE", Tile(32631, 499980, 6390240, 609780, 6500040)),
        ("22CEP", Tile(32722, 499980, 790240, 609780, 900040)),
    ],
)
def test_known_tiles(tile: str, expected: Tile) -> None:
    assert tile_bounds(tile) == expected


@pytest.mark.parametrize("tile", ["", "37LD", "37LDLX", "00LDL", "61LDL", "37IDL", "37LSL", "37LDZ", "37ldl", "٣7LDL"])
def test_other_ids_are_refused(tile: str) -> None:
    with pytest.raises(CatalogueError, match="is not an MGRS tile"):
        tile_bounds(tile)


def test_named_tiles_lie_where_they_were_asked_for() -> None:
    for zone in range(1, 61):
        for band in BANDS:
            middle = tile_bounds(tile_name(zone, band, 5, 0))
            assert middle.epsg == (32700 if is_southern(band) else 32600) + zone
            assert middle.left == 499980
            for row in range(-3, 4):
                tile = tile_bounds(tile_name(zone, band, 2, row))
                assert abs(tile.top - middle.top - 100_000 * row) < 60
                assert tile.left == 199980

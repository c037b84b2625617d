from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from releases import PlainRelease
from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.tags import independent_groups, read_tags
from s2cmc_zarr.schema import CSV_COLUMNS, LABELS, TAG_GROUP, TAGS

PIXELS = 1022 * 1022
TAG_COUNTS = {
    "forest/jungle": 88, "snow/ice": 113, "agricultural": 71, "urban/developed": 46, "coastal": 21,
    "hills/mountains": 59, "desert/barren": 72, "shrublands/plains": 68, "wetland/bog/marsh": 15, "open_water": 120,
    "enclosed_water": 35, "thin": 219, "thick": 317, "low": 276, "high": 241, "isolated": 175, "extended": 270,
    "cumulus": 292, "cumulonimbus": 56, "altocumulus/stratocumulus": 180, "cirrus": 188, "haze/fog": 16,
    "ice_clouds": 95, "contrails": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def table(real_csv: Path) -> pd.DataFrame:
    return read_tags(real_csv.read_bytes(), PIXELS)


def test_the_real_table_has_the_known_totals(table: pd.DataFrame) -> None:
    assert len(table) == 513
    assert table[list(LABELS)].sum().tolist() == [246_171_470, 281_740_439, 7_908_383]
    assert table[list(TAGS)].sum().to_dict() == TAG_COUNTS
    assert table["difficulty"].value_counts().sort_index().tolist() == [270, 32, 122, 67, 22]
    assert table["annotator"].value_counts().to_dict() == {"A": 260, "B": 253}
    assert table["dataset"].value_counts().to_dict() == {"MAIN": 453, "VALIDATION": 50, "CALIBRATION": 10}
    assert table["shadows_marked"].sum() == 424
    assert (table["clear"] == PIXELS).sum() == 127
    assert (table["cloud"] == PIXELS).sum() == 192
    assert (table["cloud_shadow"] > 0).sum() == 102


def test_every_value_of_the_real_table_is_kept(table: pd.DataFrame, real_csv: Path) -> None:
    with real_csv.open() as stream:
        for row in csv.DictReader(stream):
            parsed = table.loc[row["scene"]]
            for name in ("clear_percent", "cloud_percent", "shadow_percent"):
                assert parsed[name] == float(row[name])
            for name in ("index", "difficulty", "shadows_marked", *TAGS):
                assert parsed[name] == int(row[name])
            assert (parsed["annotator"], parsed["dataset"]) == (row["annotator"], row["dataset"])


def test_product_ids_are_parsed(table: pd.DataFrame) -> None:
    row = table.loc["S2A_MSIL1C_20180101T074231_N0206_R049_T37LDJ_20180101T111527"]
    assert (row["platform"], row["baseline"], row["relative_orbit"], row["tile"]) == ("S2A", "N0206", 49, "37LDJ")
    assert row["time"] == pd.Timestamp("2018-01-01T07:42:31")


def test_independent_groups_are_the_connected_components(table: pd.DataFrame) -> None:
    parts: list[tuple[set[str], set[object]]] = []
    for scene, row in table.iterrows():
        scenes, keys = {str(scene)}, {row["tile"], (row["platform"], row["time"].date(), row["relative_orbit"])}
        apart = [part for part in parts if not part[1] & keys]
        for others, other_keys in (part for part in parts if part[1] & keys):
            scenes, keys = scenes | others, keys | other_keys
        parts = [*apart, (scenes, keys)]
    expected = {frozenset(scenes) for scenes, _ in parts}
    found = {frozenset(scenes) for scenes in table.groupby("group").groups.values()}
    assert found == expected
    assert len(found) == 493


def test_groups_join_through_others() -> None:
    days = pd.to_datetime(["2018-01-01 01:00", "2018-01-01 02:00", "2018-01-02 01:00", "2018-01-03 01:00"])
    table = pd.DataFrame(
        {"platform": "S2A", "time": days, "relative_orbit": [1, 1, 2, 3], "tile": ["a", "b", "b", "c"]}
    )
    assert independent_groups(table).tolist() == [0, 0, 0, 1]


def test_every_tag_has_its_group() -> None:
    assert dict(zip(TAGS, TAG_GROUP, strict=True))["contrails"] == "cloud_type"
    assert [TAG_GROUP.count(group) for group in dict.fromkeys(TAG_GROUP)] == [11, 2, 2, 2, 7]
    assert CSV_COLUMNS[9:] == TAGS


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("scene", "S2A_MSIL2A_20180101T074231_N0206_R049_T37LDJ_20180101T111527", "Level-1C product"),
        ("scene", "S2A_MSIL1C_20181301T074231_N0206_R049_T37LDJ_20180101T111527", "valid sensing time"),
        ("scene", "../../etc/passwd", "Level-1C product"),
        ("scene", "S2A_MSIL1C_20180101T010721_N0206_R045_T53HLD_20180101T041600", "occurs once"),
        ("difficulty", 6, "1 to 5"),
        ("difficulty", "hard", "whole number"),
        ("shadows_marked", 2, "0 or 1"),
        ("snow/ice", "", "0 or 1"),
        ("annotator", "", "a name"),
        ("clear_percent", "nan", "0 to 100"),
        ("clear_percent", 101.0, "0 to 100"),
        ("clear_percent", 50.01, "for a whole n"),
        ("clear_percent", 0.0, "three percentages are 1,024 pixels"),
    ],
)
def test_bad_rows_are_named(plain: PlainRelease, column: str, value: object, message: str) -> None:
    plain.rows[2][column] = value
    with pytest.raises(CatalogueError, match=f"row 2 has .*{message}"):
        read_tags(plain.csv(), 32 * 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(b"snow/ice", b"snow"), "missing: snow/ice; unknown: snow"),
        (lambda text: text.replace(b"thin,thick", b"thick,thin"), "in another order"),
        (lambda text: b"\xef\xbb\xbf" + text.replace(b"index,", b"index2,"), "missing: index"),
        (lambda text: text.replace(b",", b";"), r"found none of the 33 published columns, but 'index;.*by commas$"),
        (lambda text: text + b"a,b" * 40 + b"\n", r"saw \d+\)$"),
        (lambda text: text.splitlines(keepends=True)[0], "no rows"),
        (lambda _: b"", "not a CSV file"),
        (lambda _: b"\xff\xfe\x00", "not a CSV file"),
    ],
)
def test_other_files_are_refused(plain: PlainRelease, change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CatalogueError, match=message):
        read_tags(change(plain.csv()), 32 * 32)


def test_counts_are_recovered_whatever_the_size() -> None:
    for size in (16, 31, 100, 1022):
        plain = PlainRelease(size=16)
        counts = np.random.default_rng(size).multinomial(size * size, [0.5, 0.3, 0.2], len(plain.rows))
        for row, count in zip(plain.rows, counts, strict=True):
            for name, number in zip(("clear_percent", "cloud_percent", "shadow_percent"), count.tolist(), strict=True):
                row[name] = 100 * number / size**2
        assert (read_tags(plain.csv(), size * size)[list(LABELS)].to_numpy() == counts).all()

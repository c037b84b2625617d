from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from s2cmc_zarr.errors import CatalogueError
from s2cmc_zarr.release.selection import select_scenes
from s2cmc_zarr.release.tags import read_tags
from s2cmc_zarr.schema import TAGS

TOO_DEEP = "(nested too deeply|too many nested parentheses).*; expected an expression"


@pytest.fixture(scope="module")
def table(real_csv: Path) -> pd.DataFrame:
    return read_tags(real_csv.read_bytes(), 1022 * 1022)


def test_expressions_choose_what_plain_pandas_chooses(table: pd.DataFrame) -> None:
    for expression, expected in {
        "snow/ice and not thick and difficulty >= 3": table["snow/ice"] & ~table["thick"] & (table["difficulty"] >= 3),
        "snow/ice and not thick": table["snow/ice"] & ~table["thick"],
        "(cirrus or contrails) and dataset == 'VALIDATION'": (table["cirrus"] | table["contrails"])
        & (table["dataset"] == "VALIDATION"),
        "wetland/bog/marsh | altocumulus/stratocumulus": table["wetland/bog/marsh"]
        | table["altocumulus/stratocumulus"],
        "not shadows_marked and shadow_percent > 0": ~table["shadows_marked"] & (table["shadow_percent"] > 0),
        "tile in ['37LDJ', '53HLD'] or group < 3": table["tile"].isin(["37LDJ", "53HLD"]) | (table["group"] < 3),
        "time >= '2018-06-01' and platform != 'S2A'": (table["time"] >= pd.Timestamp("2018-06-01"))
        & (table["platform"] != "S2A"),
        "20 < cloud_percent <= 80": (table["cloud_percent"] > 20) & (table["cloud_percent"] <= 80),
        "dataset != 'thin'": table["dataset"] != "thin",
        "dataset != 'thin & thick'": table["dataset"] != "thin & thick",
        "difficulty > 3 & thin": (table["difficulty"] > 3) & table["thin"],
        "~`snow/ice` | thin & tile not in ('37LDJ', '53HLD')": ~table["snow/ice"]
        | (table["thin"] & ~table["tile"].isin(["37LDJ", "53HLD"])),
        "cloud_percent + 2 * shadow_percent > 100 / 2 - -1": table["cloud_percent"] + 2 * table["shadow_percent"] > 51,
        " and ".join(["thin"] * 5000): table["thin"],
    }.items():
        assert select_scenes(table, expression) == table.index[expected].tolist(), expression


@pytest.mark.parametrize("tag", TAGS)
def test_every_tag_is_a_word_of_the_language(table: pd.DataFrame, tag: str) -> None:
    assert select_scenes(table, tag) == table.index[table[tag]].tolist()
    assert select_scenes(table, f"not {tag}") == table.index[~table[tag]].tolist()


def test_ids_and_files_of_ids(table: pd.DataFrame, tmp_path: Path) -> None:
    ids = [table.index[number] for number in (7, 3, 500)]
    expected = [table.index[number] for number in (3, 7, 500)]
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(ids) + "\n")
    for scenes in (ids, ids[::-1], ", ".join(ids), str(path)):
        assert select_scenes(table, scenes) == expected
    assert select_scenes(table, ids[0]) == ids[:1]


@pytest.mark.parametrize(
    ("scenes", "message"),
    [
        ("snow", "name 'snow' is not defined; expected an expression"),
        ("snow/ice and", "expected an expression"),
        ("", "expected an expression"),
        ("difficulty", "is not true or false"),
        ("difficulty > 9", "no scene fits"),
        ("difficulty > 'a'", "expected an expression"),
        ([], "no scenes are named"),
        ("S2A_MSIL1C_20990101T010721_N0206_R045_T53HLD_20180101T041600", "1 of 1 scenes are not in the source"),
        ("@pd.io", "expected an expression"),
        ("__import__('os').system('true')", "expected an expression"),
        ("scene.map(print)", "expected an expression"),
        ("thin.values.sum() > 0", "expected an expression"),
        ("thin = 1", "invalid syntax.*; expected an expression"),
        ("thin or (", "was never closed; expected an expression"),
        ("1/0", "division by zero; expected an expression"),
        ("'a' * 10000000000 == tile", "arithmetic with what is no number"),
        ("difficulty ** 9 > 1", "'difficulty \\*\\* 9' is not part of such an expression"),
        ("[tag for tag in thin]", "is not part of such an expression"),
        ("not difficulty", "is not true or false of a scene"),
        ("37 in tile", "expected an expression"),
        pytest.param(
            "not " * 3000 + "thin",
            TOO_DEEP,
            id="many nots",
        ),
        pytest.param(
            "(" * 3000 + "thin" + ")" * 3000,
            TOO_DEEP,
            id="many brackets",
        ),
        pytest.param(
            "+".join(["difficulty"] * 5000) + " > 1",
            TOO_DEEP,
            id="a long sum",
        ),
    ],
)
def test_what_is_no_choice_is_refused(table: pd.DataFrame, scenes: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        select_scenes(table, scenes)


def test_a_file_of_something_else_is_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("these are not ids")
    with pytest.raises(CatalogueError, match="is not a list of scene ids"):
        select_scenes(table, str(tmp_path / "ids.txt"))

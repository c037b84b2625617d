from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

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
    for scenes in (ids, ids[::-1], iter(ids), np.array(ids), ", ".join(ids), str(path), path):
        assert select_scenes(table, scenes) == expected
    assert select_scenes(table, ids[0]) == ids[:1]


def test_a_file_of_ids_may_have_comments_and_blank_lines(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text(
        f"\n# chosen by hand: {table.index[9]}\r\n\r\n{table.index[7]}  # snow, ice\r\n\t{table.index[3]},\n#\n",
        encoding="utf-8-sig",
    )
    assert select_scenes(table, path) == [table.index[number] for number in (3, 7)]
    path.write_text("# nothing\n")
    with pytest.raises(CatalogueError, match="no scenes are named"):
        select_scenes(table, path)


@pytest.mark.parametrize("named", [True, False])
def test_arrays_over_the_scenes(table: pd.DataFrame, named: bool) -> None:
    expected = table.index[table["snow/ice"]].tolist()
    chosen = table["snow/ice"].to_numpy()
    coords = {"scene": table.index.to_numpy(dtype=str)} if named else {}
    array = xr.DataArray(chosen, dims="scene", coords=coords)
    for scenes in (array, array.chunk(scene=7), chosen, chosen.tolist()):
        assert select_scenes(table, scenes) == expected
    names = xr.DataArray(expected[::-1], dims="scene")
    assert select_scenes(table, names) == expected
    assert select_scenes(table, names[0]) == expected[-1:]


def test_a_bool_array_with_names_is_matched_by_them(table: pd.DataFrame) -> None:
    coords = {"scene": table.index.to_numpy(dtype=str)}
    array = xr.DataArray(table["snow/ice"].to_numpy(), dims="scene", coords=coords)
    expected = table.index[table["snow/ice"]].tolist()
    assert select_scenes(table, array[::-1]) == expected
    assert select_scenes(table, array[100:200]) == [scene for scene in expected if scene in table.index[100:200]]


@pytest.mark.parametrize(
    ("scenes", "message"),
    [
        (xr.DataArray([[True]], dims=("scene", "tag")), r"has the dims \('scene', 'tag'\), expected \('scene',\)"),
        (np.array([True, False]), "has 2 values, expected one for each of 513"),
        (np.zeros(513, dtype=bool), "no scenes are named"),
        ([3, 4], "contains 3, expected ids, or true or false for each scene"),
        (xr.DataArray([3, 4], dims="scene"), "contains 3, expected ids"),
        ([b"S2A"], "contains b'S2A', expected ids"),
    ],
    ids=str,
)
def test_arrays_that_are_no_choice(table: pd.DataFrame, scenes: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        select_scenes(table, scenes)


def test_what_was_perhaps_meant_is_said(table: pd.DataFrame, tmp_path: Path) -> None:
    scene = table.index[5]
    (tmp_path / "chosen.txt").write_text(scene)
    for scenes, meant in {
        scene[:-1]: scene,
        scene.replace("T0", "T1", 1): scene,
        "snow": "snow/ice",
        "open_watr and thin": "open_water",
        "Difficulty > 3": "difficulty",
        f"{tmp_path}/choosen.txt": f"{tmp_path}/chosen.txt",
    }.items():
        with pytest.raises(CatalogueError, match=f"; did you mean '{re.escape(meant)}'\\?$"):
            select_scenes(table, scenes)
    with pytest.raises(CatalogueError, match="name 'xyz' is not defined") as caught:
        select_scenes(table, "xyz == 'red'")
    assert "did you mean" not in str(caught.value)


def test_a_path_that_is_no_file(table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("nowhere.txt", "./nowhere", "../nowhere", "/nowhere/ids", Path("nowhere")):
        with pytest.raises(
            CatalogueError, match=r"nowhere.* is no file, expected one with ids .*; there is no such path"
        ):
            select_scenes(table, path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(CatalogueError, match="folder is no file, expected one with ids of scenes; it is empty"):
        select_scenes(table, Path("folder"))


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
    (tmp_path / "ids.txt").write_text(f"{table.index[0]}\n\nthese are not ids")
    with pytest.raises(CatalogueError, match=r"is not a list of scene ids, .*: line 3 has 'these'"):
        select_scenes(table, str(tmp_path / "ids.txt"))

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2cmc_zarr.view.figures import PERCENT, SCENES
from s2cmc_zarr.view.terminal import _division, print_table, print_tables

FRAME = pd.DataFrame(
    {f"column {number}": np.arange(3) * 10**number for number in range(9)},
    index=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "y")], names=["key", "other"]),
)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


@pytest.mark.parametrize(("width", "tables"), [(35, 5), (59, 3), (60, 2), (500, 1)])
def test_a_table_that_is_too_wide_for_a_terminal_is_divided(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, tables: int
) -> None:
    terminal.setenv("COLUMNS", str(width))
    print_table(FRAME, "title", caption="[caption] " * 20)
    out = printed(capsys)
    assert max(map(len, out.splitlines())) <= min(width, 200)
    assert out.count("key") == out.count("a    x") == tables
    for column in FRAME:
        assert out.count(str(column)) == 1
    assert (out.count("title"), out.count("[caption]")) == (1, 20)
    if tables > 1:
        heads = [line.count("column") for line in out.splitlines() if "column" in line]
        assert max(heads) - min(heads) <= 1, "parts are even"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 120))
def test_divisions_hold_all_columns_and_are_as_few_as_fit(widths: list[int], available: int) -> None:
    parts = _division(widths, available)
    assert [width for part in parts for width in widths[part]] == widths
    assert all(sum(widths[part]) <= available or len(widths[part]) == 1 for part in parts)
    for one, other in pairwise(parts):
        assert one.stop == other.start

    def fewest(start: int) -> int:
        if start == len(widths):
            return 0
        fitting = [stop for stop in range(start + 1, len(widths) + 1) if sum(widths[start:stop]) <= available]
        return 1 + min(fewest(stop) for stop in fitting or [start + 1])

    assert len(parts) == fewest(0)


def test_a_table_in_a_file_is_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_table(FRAME, "title")
    out = capsys.readouterr().out
    assert (out.count("key"), len(re.findall(r"^a ", out, re.MULTILINE))) == (1, 2)
    assert max(map(len, out.splitlines())) > 60


def test_what_rows_repeat_is_left_out_in_a_terminal(
    terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.setenv("COLUMNS", "200")
    print_table(FRAME, "title")
    rows = [line.split()[:2] for line in printed(capsys).splitlines()[-3:]]
    assert rows == [["a", "x"], ["y", "1"], ["b", "y"]]


def test_few_scenes_are_explained_once_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"scenes": [40, 7], "share": [0.25, np.nan]}, index=pd.Index(["all", "some"], name="part"))
    formats = {"scenes": SCENES, "share": PERCENT}
    print_tables({"one": frame, "two": frame}, formats=formats, caption="caption")
    out = capsys.readouterr().out
    rows = re.findall(r"^(\w+ +\d+†?) +(\S+)$", out, re.MULTILINE)
    assert rows == [("all      40", "25.0"), ("some      7†", "–")] * 2
    assert out.endswith("caption\n† fewer than 20 scenes\n")
    print_tables({"one": frame.head(1)}, formats=formats)
    assert "†" not in capsys.readouterr().out


def test_a_table_without_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(FRAME.head(0), "title")
    assert capsys.readouterr().out == "\ntitle\nnone\n"

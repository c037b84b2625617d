from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from s2cmc_zarr.view.terminal import print_table

FRAME = pd.DataFrame(
    {f"column {number}": np.arange(3) * 10.0**number for number in range(9)},
    index=pd.Index(["a", "b", "c"], name="key"),
)


@pytest.mark.parametrize("width", [30, 60, 500])
def test_a_table_that_is_too_wide_for_a_terminal_is_divided(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    print_table(FRAME, "title", caption="[caption]")
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, out.splitlines())) <= width
    tables = out.count("key")
    assert tables == {30: 5, 60: 2, 500: 1}[width]
    assert out.count(" b ") == tables
    for column in FRAME:
        assert out.count(str(column)) == 1
    assert out.count("title") == out.count("[caption]") == 1


def test_a_table_in_a_file_is_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_table(FRAME, "title")
    out = capsys.readouterr().out
    assert out.count("key") == 1
    assert max(map(len, out.splitlines())) > 60

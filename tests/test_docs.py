"""The documentation is run: commands, Python, tables of names, links."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import xarray as xr
import zarr

from s2cmc_zarr import convert
from s2cmc_zarr.cli.commands import app
from s2cmc_zarr.schema import ATTRIBUTES, DIMS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path) -> list[tuple[str, str]]:
    """Language and content of each fenced block."""
    return [(match[1], match[2]) for match in BLOCK.finditer(document.read_text())]


def run_python(document: Path) -> None:
    """Run the Python of a document in order, and compare what it prints with a block of text that follows it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    found = blocks(document)
    for (language, content), (next_language, expected) in zip(found, [*found[1:], ("", "")], strict=True):
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(content, str(document), "exec"), names)  # noqa: S102
        if next_language == "text":
            assert printed.getvalue() == expected


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the commands of the README were run."""
    folder = tmp_path_factory.mktemp("tour")
    commands = [
        line
        for kind, block in blocks(ROOT / "README.md")
        if kind == "sh"
        for line in block.splitlines()
        if "s2cmc " in line or line.startswith("python ")
    ]
    assert len(commands) > 4
    for command in commands:
        program, *arguments = shlex.split(command)
        module = {"s2cmc": ["-m", "s2cmc_zarr.cli"], "python": []}[program]
        done = subprocess.run(
            [sys.executable, *module, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command
    return folder


def test_the_commands_of_the_readme_do_what_it_says(tour: Path) -> None:
    whole, chosen = (xr.open_zarr(tour / name) for name in ("catalogue.zarr", "chosen.zarr"))
    assert whole.sizes["scene"] == 8
    expected = whole.tags.sel(tag="snow/ice").values | (whole.difficulty.values >= 4)
    assert chosen.scene.values.tolist() == whole.scene.values[expected].tolist()


def test_the_python_of_the_readme_runs(tour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tour)
    run_python(ROOT / "README.md")
    again, before = (xr.open_zarr(tour / name) for name in ("again.zarr", "catalogue.zarr"))
    xr.testing.assert_identical(again, before)


def test_the_example_of_scoring_prints_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_python(ROOT / "docs" / "scoring.md")


def test_the_example_of_statistics_runs(tour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tour)
    run_python(ROOT / "docs" / "statistics.md")


def test_the_example_of_models_prints_what_is_written(tmp_path: Path) -> None:
    found = blocks(ROOT / "docs" / "models.md")
    # As a file, since a model that is pickled is found by the name of its module.
    (tmp_path / "example.py").write_text("".join(content for language, content in found if language == "python"))
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "".join(content for language, content in found if language == "text")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_options_targets_and_links_exist(document: Path) -> None:
    text = document.read_text()
    application: Any = typer.main.get_command(app)
    for command, rest in re.findall(r"s2cmc ([a-z]+)\b([^`\n]*)", text):
        assert command in application.commands, command
        found = application.commands[command]
        found = getattr(found, "commands", {}).get(rest.strip().split(" ")[0], found)
        known = {option for parameter in found.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, rest
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (document.parent / link).exists(), link


def test_the_packages_that_are_listed_are_those_that_there_are() -> None:
    there = {
        path.stem
        for path in (ROOT / "s2cmc_zarr").iterdir()
        if path.name[0] not in "._" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    for name in ("CONTRIBUTING.md", "docs/design.md"):
        listed = set(re.findall(r"^\| `(\w+)` \|", (ROOT / name).read_text(), re.MULTILINE))
        assert {"release", "store", "cli"} <= listed <= there, name


def test_the_tables_of_the_store_are_the_store(replica: Path, tmp_path: Path) -> None:
    convert(replica, tmp_path / "store.zarr")
    group = zarr.open_group(tmp_path / "store.zarr", mode="r")
    rows = re.findall(
        r"^\| `(\w+)` \| ([a-z, ]+) \| (\w+) \|(?: (NaN|\d+) \|)?", (ROOT / "docs/store.md").read_text(), re.M
    )
    written = {name: (tuple(dims.split(", ")), dtype) for name, dims, dtype, _ in rows}
    found = {}
    for name, array in group.arrays():
        document: Any = array.metadata.to_dict()
        found[name] = (tuple(document["dimension_names"]), document["data_type"])
    assert written == found
    assert set(written) == set(ATTRIBUTES)
    fills = {name: fill for name, _, _, fill in rows if name in DIMS}
    assert fills == {name: str(group[name].metadata.to_dict()["fill_value"]) for name in DIMS}
    attributes = set(re.findall(r"`(\w+)`", (ROOT / "docs/store.md").read_text().split("## Root attributes")[1]))
    assert set(group.attrs) - {"coordinates"} <= attributes

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"


def read_notebook() -> Any:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Outputs of each code cell by the cell's id, from a run in a folder of its own."""
    notebook, folder = read_notebook(), tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as environment:
        # A kernel that the user has installed under the same name may be another Python's.
        environment.setenv("JUPYTER_DATA_DIR", str(folder / "jupyter"))
        environment.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        environment.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        environment.setenv("IPYTHONDIR", str(folder / "ipython"))
        environment.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        work = folder / "work"
        work.mkdir()
        client = NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(work)}}
        )
        client.execute()
    assert not list(work.glob("*")), "the notebook leaves nothing behind in the folder in which it runs"
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def text(outputs: dict[str, list[Any]], cell: str) -> str:
    (output,) = outputs[cell]
    plain: str = output.data["text/plain"]
    return plain


def test_it_is_stored_without_outputs() -> None:
    for cell in read_notebook().cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


def test_nothing_is_printed_beside_the_results(outputs: dict[str, list[Any]]) -> None:
    streams = [output for found in outputs.values() for output in found if output.output_type == "stream"]
    assert not streams, "a warning is a stream on stderr"


def test_it_converts_on_two_workers_once_and_verifies(outputs: dict[str, list[Any]]) -> None:
    assert text(outputs, "start-cluster") == "2"
    assert text(outputs, "convert") == "(12, 0)"
    assert text(outputs, "verify") == "Verification(scenes=12, arrays=48, differences=[])"
    assert text(outputs, "open-zarr") == "True"


def test_a_tag_selects_some_of_the_scenes(outputs: dict[str, list[Any]]) -> None:
    sizes = ast.literal_eval(text(outputs, "select"))
    assert 0 < sizes["scene"] < 12
    assert (sizes["band"], sizes["y"], sizes["x"]) == (13, 128, 128)


def test_tables_have_a_row_for_each_tag(outputs: dict[str, list[Any]]) -> None:
    for cell in ("tabulate", "score"):
        table = text(outputs, cell)
        assert "snow/ice" in table
        assert "contrails" in table
    assert "per_scene" in text(outputs, "score")


def test_the_figure_is_drawn(outputs: dict[str, list[Any]]) -> None:
    (figure,) = outputs["figure"]
    assert len(figure.data["image/png"]) > 10_000

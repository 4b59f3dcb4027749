"""The notebook of the documentation runs as it is, and is kept with its output."""

import nbformat
import pytest
from nbclient import NotebookClient


@pytest.fixture
def notebook(root):
    return nbformat.read(root / "docs/bench.ipynb", as_version=4)


def test_the_notebook_runs_as_it_is(notebook, tmp_path, monkeypatch, preloaded_python):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    startup = tmp_path / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "preloaded.py").write_text(f"import sys\nsys.executable = {str(preloaded_python)!r}\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
    [leaderboard] = [cell for cell in notebook.cells if "result.leaderboard" in cell.source]
    assert "Seasonal naive" in leaderboard.outputs[0]["data"]["text/plain"]
    assert (tmp_path / "bench-co2/report.html").is_file()


def test_the_output_of_the_notebook_is_kept(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and all(cell.outputs and cell.execution_count for cell in code)
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds and "display_data" in kinds

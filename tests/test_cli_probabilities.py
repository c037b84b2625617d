"""Commands on models that give probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from s2cmc_zarr import convert, intervals, open_scores, open_store, score
from s2cmc_zarr.scoring.models import ModelLike, Prediction
from test_cli import Run
from test_probabilities import Brightness


class Dim(Brightness):
    name = "dim"

    def predict_scene(self, scene: str, **arrays: np.ndarray) -> Prediction:
        mask, probability = super().predict_scene(scene, **arrays)
        assert probability is not None
        return Prediction(mask, probability / np.float32(2))


@pytest.fixture(name="run")
def _run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


@pytest.fixture(scope="module")
def scored(replica: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the scores of two models with probabilities, and one without."""
    folder = tmp_path_factory.mktemp("scored")
    convert(replica, folder / "S.zarr")
    models: list[ModelLike] = [Brightness(), Dim(), "braaten"]
    score(open_store(folder / "S.zarr"), models, store=folder / "scores.zarr").compute()
    return folder


def test_models_are_ranked_by_their_probabilities(run: Run, scored: Path, tmp_path: Path) -> None:
    asked = ["--by", "difficulty", "--replicates", "200", "--model", "brightness", "--model", "dim"]
    out = tmp_path / "table.csv"
    code, printed, err = run("leaderboard", scored / "scores.zarr", "--metric", "brier_score", *asked, "--out", out)
    assert (code, err) == (0, "")
    assert "Leaderboard: Brier score\n" in printed
    expected = intervals(
        open_scores(scored / "scores.zarr", ["brightness", "dim"]), None, metric="brier_score", replicates=200
    )
    frame = pd.read_csv(out).query("difficulty == 'all' and averaging == 'pooled'").set_index("model")
    for name in ("brier_score", "brier_score_lower", "brier_score_upper"):
        np.testing.assert_allclose(frame[name], expected[name].sel(averaging="pooled"), rtol=1e-9)
    # The best is first, and of this one a small value is good.
    ranked = printed[printed.index("Leaderboard") :]
    assert (ranked.index("brightness") < ranked.index("dim")) == (frame["brier_score"].idxmin() == "brightness")


def test_models_without_probabilities_are_not_ranked_by_them(run: Run, scored: Path) -> None:
    asked = ("leaderboard", scored / "scores.zarr", "--metric", "roc_auc", "--by", "all", "--replicates", "50")
    code, printed, err = run(*asked)
    assert (code, err) == (0, "")
    assert "Left out, as they give no probabilities: braaten." in " ".join(printed.split())
    assert "brightness" in printed
    assert "dim" in printed


def test_models_are_compared_by_their_probabilities(run: Run, scored: Path) -> None:
    code, printed, err = run("compare", scored / "scores.zarr", "brightness", "dim", "--metric", "roc_auc")
    assert (code, err) == (0, "")
    assert "brightness less dim: ROC AUC, pooled over pixels" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["leaderboard", "scores.zarr", "--model", "dim", "--model", "braaten", "--metric", "roc_auc"],
            "model braaten gives no probabilities",
        ),
        (["compare", "scores.zarr", "dim", "braaten", "--metric", "roc_auc"], "model braaten gives no probabilities"),
        (["leaderboard", "S.zarr", "--model", "braaten", "--metric", "roc_auc"], "braaten gives no probabilities"),
        (["leaderboard", "scores.zarr", "--model", "dim", "--metric", "auc"], "mcc, roc_auc, average_precision"),
        (["explain", "scores.zarr", "--model", "dim", "--metric", "roc_auc"], "metric is 'roc_auc', expected one of"),
    ],
)
def test_what_cannot_be_asked_is_one_message(
    run: Run, scored: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(scored)
    code, _, err = run(*arguments)
    assert code == 1
    assert message in " ".join(err.split())

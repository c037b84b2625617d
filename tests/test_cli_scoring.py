"""What the commands that score check first, leave out and keep."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from s2cmc_zarr import calibrate_threshold, convert, open_scores, open_store, score
from s2cmc_zarr.scoring.models import FunctionModel
from servers import BUCKET, S3Server, s3_server
from test_cli import Run
from test_probabilities import Brightness

MODELS = ["braaten", "hollstein", "fmask"]
"""Of which only the second predicts cloud shadow."""


@pytest.fixture(name="run")
def _run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


@pytest.fixture(scope="module")
def scored(replica: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and one of the scores of some models."""
    folder = tmp_path_factory.mktemp("scored")
    convert(replica, folder / "S.zarr")
    score(open_store(folder / "S.zarr"), MODELS, store=folder / "scores.zarr").compute()
    return folder


class UntouchedError(Exception):
    """What a model raises that should not be asked."""


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be predicted."""

    def refuse(*_: object, **__: object) -> None:
        raise UntouchedError

    monkeypatch.setattr("s2cmc_zarr.scoring.scene_scores.predict", refuse)
    monkeypatch.setattr("s2cmc_zarr.scoring.scores_store.predict", refuse)


@pytest.mark.parametrize("command", [["score"], ["leaderboard", "--replicates", "50"], ["explain", "--tag", "thin"]])
def test_models_without_shadow_are_left_out_of_three_classes_and_named(
    run: Run, scored: Path, tmp_path: Path, command: list[str]
) -> None:
    # A model that is left out does not matter to the scenes that are compared, either.
    kept = shutil.copytree(scored / "scores.zarr", tmp_path / "scores.zarr")
    few = open_store(scored / "S.zarr").isel(scene=[0])
    score(few, FunctionModel(_bright), store=kept).compute()
    name, *options = command
    asked = (name, kept, *options, "--classes", "three")
    code, out, err = run(*asked)
    assert (code, err) == (0, "")
    left_out = "Left out, as they predict no cloud shadow: _bright, braaten, fmask."
    assert left_out in " ".join(out.split())
    code, alone, _ = run(*asked, "--model", "hollstein")
    assert code == 0
    assert "".join(out.split()).replace("".join(left_out.split()), "") == "".join(alone.split())
    assert "Left out" not in run(name, kept, *options, "--model", "braaten")[1]
    code, _, err = run(*asked, "--model", "hollstein", "--model", "braaten")
    assert (code, "model braaten predicts no cloud shadow" in err) == (1, True)


def _bright(reflectance: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(reflectance[2] > 0.3)


def test_three_classes_need_a_model_that_tells_them_apart(run: Run, scored: Path, tmp_path: Path) -> None:
    score(open_store(scored / "S.zarr"), "braaten", store=tmp_path / "scores.zarr").compute()
    code, _, err = run("leaderboard", tmp_path / "scores.zarr", "--classes", "three")
    assert code == 1
    assert "tells cloud shadow apart (braaten): three classes cannot be scored; use" in " ".join(err.split())


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "--tag", "nope"], "no tag 'nope'; there are: forest/jungle"),
        (["explain", "--tag", "snow"], "did you mean 'snow/ice'?"),
        (["explain", "--metric", "f3"], "metric is 'f3'"),
        (["score", "--by", "colour"], "cannot be grouped by 'colour'"),
        (["score", "--by", "difficulty >"], "difficulty >"),
        (["leaderboard", "--by", "tags,tags"], "name 'tags' twice"),
        (["leaderboard", "--metric", "nope"], "metric is 'nope'"),
        (["leaderboard", "--metric", "roc_auc"], "braaten"),
        (["leaderboard", "--label", "nope"], "label is 'nope'"),
        (["leaderboard", "--tolerance", "3"], "tolerance is 3"),
        (["score", "--classes", "three"], "predicts no cloud shadow"),
        (["score", "--out", "table.txt"], "table.txt ends in '.txt'"),
        (["score", "--out", "folder.csv"], "folder.csv cannot be written: Is a directory"),
        (["calibrate", "--on", "difficulty >= 3"], "model braaten gives no probabilities"),
        (["calibrate", "--on", "difficulty >= 0"], "8 scenes are for calibration and 0 independent ones"),
        (["calibrate", "--on", "difficulty"], "not true or false of a scene"),
        (["explain", "--out", "/proc/table.csv"], "/proc/table.csv cannot be written: "),
        (["leaderboard", "--out", "nowhere/table.csv"], "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_asked_is_said_before_pixels_are_read_or_anything_is_written(
    run: Run, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    name, *options = arguments
    code, _, err = run(name, scored / "S.zarr", "--model", "braaten", "--scores", tmp_path / "kept.zarr", *options)
    assert code == 1
    assert message in " ".join(err.split())
    assert sorted(tmp_path.iterdir()) == [tmp_path / "folder.csv"]


@pytest.mark.parametrize(
    "command",
    [["score"], ["leaderboard", "--replicates", "50"], ["explain", "--tag", "thin"], ["compare", "--replicates", "50"]],
)
def test_scenes_that_only_some_models_have_are_left_out_and_counted(
    run: Run, scored: Path, tmp_path: Path, command: list[str]
) -> None:
    kept = shutil.copytree(scored / "scores.zarr", tmp_path / "scores.zarr")
    score(open_store(scored / "S.zarr").isel(scene=[0, 1, 2]), FunctionModel(_bright), store=kept).compute()
    name, *options = command
    models = ["_bright", "braaten"] if name == "compare" else ["--model", "_bright", "--model", "braaten"]
    code, out, err = run(name, kept, *models, *options)
    assert (code, err) == (0, "")
    assert "Left out, as not all of these models were scored on them: 5 scenes." in " ".join(out.split())
    models = ["fmask", "braaten"] if name == "compare" else ["--model", "fmask", "--model", "braaten"]
    assert "Left out" not in run(name, kept, *models, *options)[1]


def test_models_that_were_judged_on_different_scenes_are_said_to_be(run: Run, scored: Path, tmp_path: Path) -> None:
    ds = open_store(scored / "S.zarr")
    for name, there in (("one", slice(0, 5)), ("other", slice(3, 8))):  # as many
        (tmp_path / name).mkdir()
        masks = np.full(ds["mask"].shape, 255, dtype=np.uint8)
        masks[there] = ds["mask"][there]
        for scene, mask in zip(ds["scene"].values, masks, strict=True):
            np.save(tmp_path / name / f"{scene}.npy", mask)
    models = [f"--model=predictions:{tmp_path}/{name}" for name in ("one", "other")]
    asked = ("leaderboard", scored / "S.zarr", *models, "--by", "all", "--replicates", "50")
    said = "Models were judged on different scenes; those common to all, on which --common compares: 2."
    assert said in " ".join(run(*asked)[1].split())
    assert "different scenes" not in run(*asked, "--common")[1]


@pytest.mark.usefixtures("unscored")
def test_without_a_fault_it_is_the_model_that_is_asked(run: Run, scored: Path) -> None:
    """So the test before this one does find what is checked too late."""
    with pytest.raises(UntouchedError):
        run("score", scored / "S.zarr", "--model", "braaten")


def test_a_table_that_was_there_is_still_there_after_an_error(run: Run, scored: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("before")
    asked = ("score", scored / "S.zarr", "--model", "braaten", "--out", tmp_path / "table.csv")
    assert run(*asked, "--by", "nope")[0] == 1
    assert (tmp_path / "table.csv").read_text() == "before"
    assert run(*asked, "--by", "all")[0] == 0
    assert (tmp_path / "table.csv").read_text().startswith("selection,")


def test_thresholds_are_chosen_for_models_that_give_probabilities(run: Run, scored: Path, tmp_path: Path) -> None:
    kept = shutil.copytree(scored / "scores.zarr", tmp_path / "scores.zarr")
    code, _, err = run("calibrate", kept, "--on", "difficulty >= 3")
    assert (code, "gives no probabilities" in err) == (1, True)
    score(open_store(scored / "S.zarr"), Brightness(), store=kept).compute()
    code, out, err = run("calibrate", kept, "--on", "difficulty >= 3", "--out", tmp_path / "table.json")
    assert (code, err) == (0, "")
    assert "Left out, as they give no probabilities: braaten, fmask, hollstein." in " ".join(out.split())
    (row,) = json.loads((tmp_path / "table.json").read_text())
    expected = calibrate_threshold(open_scores(kept, ["brightness"]), "difficulty >= 3").isel(model=0)
    assert row["model"] == "brightness"
    assert row["threshold"] == float(expected["threshold"])
    assert row["f1_test"] == pytest.approx(float(expected["f1_test"]))
    assert f"{row['threshold']:.3f}" in out
    code, out, err = run("leaderboard", kept, "--metric", "roc_auc", "--by", "all", "--replicates", "50")
    assert (code, err) == (0, "")
    assert "Left out, as they give no probabilities: braaten, fmask, hollstein." in " ".join(out.split())


@pytest.mark.parametrize("level", ["0", "1", "95"])
def test_levels_are_between_0_and_1(run: Run, scored: Path, level: str) -> None:
    code, _, err = run("explain", scored / "scores.zarr", "--level", level)
    assert code == 2
    assert "Invalid value for '--level'" in err


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


def test_scores_are_kept_in_a_bucket_with_options_of_their_own(run: Run, scored: Path, s3: S3Server) -> None:
    url, options = f"s3://{BUCKET}/scores.zarr", json.dumps(s3.options())
    asked = ("score", scored / "S.zarr", "--model", "braaten", "--by", "all")
    code, first, err = run(*asked, "--scores", url, "--scores-storage-options", options)
    assert (code, err) == (0, "")
    assert open_scores(url, storage_options=s3.options()).sizes["scene"] == 8
    assert run("score", url, "--storage-options", options, "--by", "all")[1] == first
    code, _, err = run(*asked, "--scores", url, "--scores-storage-options", "secret")
    assert (code, "storage options are not a JSON object" in err, "secret" in err) == (1, True, False)
    code, _, err = run(*asked, "--scores-storage-options", options)
    assert (code, "--scores-storage-options are for --scores" in " ".join(err.split())) == (1, True)

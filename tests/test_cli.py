from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import xarray as xr
import zarr

from releases import PlainRelease, npy, one_hot
from s2cmc_zarr import (
    CatalogueError,
    cli,
    compare,
    convert,
    load_model,
    open_release,
    open_scores,
    open_store,
    score,
)
from s2cmc_zarr.choices import MODEL_NAMES, TABLE_NAMES
from s2cmc_zarr.cli import options
from s2cmc_zarr.schema import LABELS, TAGS
from s2cmc_zarr.scoring.models import MODELS
from s2cmc_zarr.view.statistics import TABLES

COMMANDS = [
    "download",
    "replica",
    "convert",
    "verify",
    "stats",
    "agreement",
    "audit",
    "score",
    "leaderboard",
    "compare",
    "explain",
    "calibrate",
    "demo",
]


class Run:
    """Runs the command line in this process, as the installed command does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys
        monkeypatch.setenv("COLUMNS", "200")

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["s2cmc", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = self.capsys.readouterr()
        return int(caught.value.code or 0), out, err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example: s2cmc {command}" in out


def test_the_commands_are_those_that_are_tested(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert [name for name in COMMANDS if f" {name} " in out] == COMMANDS
    assert run("--version")[1].startswith("s2cmc-zarr 0.")


def test_replica_convert_verify_stats_and_score(run: Run, real_csv: Path, tmp_path: Path) -> None:
    release, store = tmp_path / "R", tmp_path / "S.zarr"
    assert run("replica", release, "--scenes", 12, "--tags", real_csv, "--size", 64)[0] == 0
    code, out, _ = run("convert", release, store)
    assert (code, "12 scene(s) converted, 0 there before" in out) == (0, True)
    code, out, _ = run("verify", store, "--source", release)
    assert (code, "arrays of 12 scenes" in out) == (0, True)
    code, out, _ = run("convert", release, store)
    assert (code, "Nothing to convert: all 12 scenes" in out) == (0, True)
    for data in (store, release):
        code, out, err = run("stats", data)
        assert (code, err) == (0, "")
        assert "snow/ice" in out
        assert "cloud_shadow" in out
    code, by_difficulty, _ = run("stats", store, "--by", "difficulty")
    assert (code, "difficulty" in by_difficulty) == (0, True)
    code, tags, err = run("score", store, "--model", "braaten")
    assert (code, err) == (0, "")
    assert "mean F1" in tags
    assert "Shadow policy: catalogue" in tags
    assert run("score", release, "--model", "braaten")[1] == tags
    assert run("score", store, "--model", "braaten", "--by", "all")[1].count("\nall ") == 1
    ds = xr.open_zarr(store)
    assert ds.isel(scene=ds.tags.sel(tag="snow/ice").values).sizes["scene"] == int(ds.tags.sel(tag="snow/ice").sum())


@pytest.fixture(scope="module")
def scored(replica: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the scores of two models."""
    folder = tmp_path_factory.mktemp("scored")
    convert(replica, folder / "S.zarr")
    score(open_store(folder / "S.zarr"), ["braaten", dim], store=folder / "scores.zarr").compute()
    return folder


def dim(reflectance: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(reflectance[2] > 0.1)


def test_scores_are_kept_and_ranked(run: Run, scored: Path, tmp_path: Path) -> None:
    store, scores = scored / "S.zarr", tmp_path / "kept.zarr"
    code, first, err = run("score", store, "--model", "braaten", "--scores", scores, "--keep-predictions")
    assert (code, err) == (0, "")
    assert run("score", store, "--model", "braaten", "--scores", scores)[1] == first
    asked = ["--by", "difficulty", "--metric", "kappa", "--replicates", "200"]
    code, out, err = run("leaderboard", scores, *asked)
    assert (code, err) == (0, "")
    assert "\nLeaderboard: kappa\n" in out
    caption = " ".join(out.split())
    assert "95 % intervals (bca, 200 resamples of independent groups). Shadow policy: catalogue." in caption
    assert run("leaderboard", store, "--model", "braaten", *asked)[1] == out


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
def test_models_are_compared_and_the_table_is_written(run: Run, scored: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"table.{suffix}"
    code, printed, err = run("compare", scored / "scores.zarr", "braaten", "dim", "--by", "annotator", "--out", out)
    assert (code, err) == (0, "")
    assert "braaten less dim: F1 of cloud, mean over scenes" in printed
    read = {"parquet": pd.read_parquet, "csv": pd.read_csv, "json": pd.read_json}[suffix]
    frame = read(out)  # type: ignore[operator]
    assert frame["annotator"].unique().tolist() == ["all", "A", "B"]
    assert set(frame["shadow_policy"]) == {"catalogue"}
    expected = compare(open_scores(scored / "scores.zarr"), "braaten", "dim", None)["f1_difference"]
    row = frame.query("annotator == 'all' and label == 'cloud' and averaging == 'pooled' and model == 'dim'")
    np.testing.assert_allclose(row["f1_difference"], expected.sel(label="cloud", averaging="pooled"), rtol=1e-9)


@pytest.mark.parametrize("by", ["difficulty", "shadows_marked", "difficulty > 2,annotator"])
def test_groups_of_any_kind_are_written(run: Run, scored: Path, tmp_path: Path, by: str) -> None:
    arguments = ("score", scored / "S.zarr", "--model", "braaten", "--by", by, "--scores", tmp_path / "kept.zarr")
    frames = []
    for suffix, read in (("parquet", pd.read_parquet), ("csv", pd.read_csv), ("json", pd.read_json)):
        code, _, err = run(*arguments, "--out", tmp_path / f"table.{suffix}")
        assert (code, err) == (0, "")
        frames.append(read(tmp_path / f"table.{suffix}"))
    names = frames[0].columns[: by.count(",") + 1].tolist()
    assert "all" in frames[0][names].values[0].tolist()
    for frame in frames[1:]:
        assert frame[names].astype(str).values.tolist() == frames[0][names].values.tolist()
        np.testing.assert_allclose(frame["f1"], frames[0]["f1"], rtol=1e-6)


def test_errors_are_explained(run: Run, scored: Path) -> None:
    code, out, err = run("explain", scored / "scores.zarr", "--model", "dim", "--tag", "thin")
    assert (code, err) == (0, "")
    assert "\ndim: what each tag adds to the error\n" in out
    assert "other tags held fixed; without tags it is" in " ".join(out.split())


def test_verify_fails_with_1_and_names_the_scene(run: Run, plain: PlainRelease, tmp_path: Path) -> None:
    assert run("convert", plain.write(tmp_path / "R"), tmp_path / "S.zarr")[0] == 0
    array = zarr.open_array(tmp_path / "S.zarr", path="mask", mode="r+")
    array[3, 0, 0] = (int(np.asarray(array[3, 0, 0])) + 1) % 3
    code, out, _ = run("verify", tmp_path / "S.zarr")
    assert code == 1
    assert f"{plain.scenes[3]}: mask: is not what was converted" in out


def test_defects_are_a_choice(run: Run, plain: PlainRelease, tmp_path: Path) -> None:
    mask = one_hot(plain.labels[plain.scenes[2]])
    mask[5, 6] = True
    plain.files["masks"][f"{plain.scenes[2]}.npy"] = npy(mask)
    release = plain.write(tmp_path / "R")
    code, _, err = run("convert", release, tmp_path / "S.zarr")
    assert code == 1
    assert err.startswith("error: 1 scene(s) contradict")
    assert plain.scenes[2] in err
    code, out, _ = run("convert", release, tmp_path / "S.zarr", "--on-defect", "mark")
    assert code == 0
    assert "1 scene(s) with defects" in out
    assert plain.scenes[2] in out


def test_scenes_that_are_not_converted_are_counted_and_named(run: Run, plain: PlainRelease, tmp_path: Path) -> None:
    mask = one_hot(plain.labels[plain.scenes[2]])
    mask[5, 6] = True
    plain.files["masks"][f"{plain.scenes[2]}.npy"] = npy(mask)
    release = plain.write(tmp_path / "R")
    path = release / "subscenes.zip"
    data = bytearray(path.read_bytes())
    data[data.index(f"{plain.scenes[3]}.npy".encode()) + 1000] ^= 0xFF
    path.write_bytes(data)
    for converted, before in ((3, 0), (0, 3)):
        code, out, _ = run("convert", release, tmp_path / "S.zarr", "--on-defect", "skip")
        assert (code, "Nothing to convert" in out) == (0, False)
        assert f"{converted} scene(s) converted, {before} there before" in out
        assert re.search(rf"1 scene\(s\) damaged and not converted; .*:\s+{plain.scenes[3]}: ", out)
        assert re.search(rf"1 scene\(s\) skipped:\s+{plain.scenes[2]}: .*1 pixels without exactly one class", out)
    (tmp_path / "R" / "subscenes.zip").unlink()
    code, out, _ = run("convert", release, tmp_path / "M.zarr", "--on-defect", "skip")
    assert (code, "damaged" in out) == (0, False)
    assert "Nothing to convert: all 4 scenes" in run("convert", release, tmp_path / "M.zarr", "--on-defect", "skip")[1]


def test_every_table_is_printed_and_written(run: Run, replica: Path, tmp_path: Path) -> None:
    ds = open_release(replica)
    code, out, err = run("stats", replica, "--by", "difficulty,shadows_marked", "--out", tmp_path / "tables")
    assert (code, err) == (0, "")
    titles = re.findall(r"^(Class|Mean|Standard|Quantiles|Constants|Cloud|Tags)\b", out, re.MULTILINE)
    assert titles == ["Class", "Mean", "Standard"]
    written = {path.name for path in (tmp_path / "tables").iterdir()}
    assert written == {f"{name}.{suffix}" for name in TABLE_NAMES for suffix in ("parquet", "csv")}
    assert f"Written: {len(written)} files" in out
    for name in TABLE_NAMES:
        parquet, csv = (
            pd.read_parquet(tmp_path / "tables" / f"{name}.parquet"),
            pd.read_csv(tmp_path / "tables" / f"{name}.csv"),
        )
        pd.testing.assert_frame_equal(parquet, csv, check_dtype=False)
    counted = pd.read_parquet(tmp_path / "tables" / "balance.parquet").groupby("label")["class_count"].sum()
    mask = ds["mask"].values
    assert counted.to_dict() == {label: int((mask == value).sum()) for value, label in enumerate(LABELS)}
    others = {
        "quantiles": "Quantiles of reflectance",
        "normalisation": "Constants for normalisation",
        "separability": "Jeffries–Matusita distance of classes",
        "cloud-cover": "Cloud cover of scenes",
        "tags": "Tags",
        "co-occurrence": "Tags that come together less often than by chance",
        "representativeness": "What is unlike the whole",
    }
    options = [option for name in others for option in ("--table", name)]
    code, out, err = run("stats", replica, *options)
    assert (code, err) == (0, "")
    for title in others.values():
        assert f"\n{title}\n" in out
    assert "Class balance" not in out


def test_tables_of_the_tag_table_alone(run: Run, real_csv: Path, tmp_path: Path) -> None:
    code, out, err = run("stats", real_csv, "--by", "all", "--out", tmp_path / "tables")
    assert (code, err) == (0, "")
    assert re.search(r"^all +45\.9 \(", out, re.MULTILINE)
    assert "Mean reflectance" not in out
    tags = pd.read_csv(tmp_path / "tables" / "tags.csv").set_index("tag")["tag_scenes"]
    assert tags.to_dict() == pd.read_csv(real_csv)[list(TAGS)].sum().to_dict()
    assert not (tmp_path / "tables" / "means.csv").exists()


def test_agreement_of_the_annotators(run: Run, plain: PlainRelease, tmp_path: Path) -> None:
    release = plain.write(tmp_path / "R")
    first, second = (np.stack([masks[plain.scenes[n]] for n in (1, 3)]) for masks in (plain.labels, plain.alt_labels))
    accuracy = 100 * float(((first == 1) == (second == 1)).mean())
    code, out, err = run("agreement", release, "--by", "annotator")
    assert (code, err) == (0, "")
    assert re.search(rf"^all +{accuracy:.1f} \(", out, re.MULTILINE)
    assert "Agreement of the annotators, mean over scenes\n" in out
    code, out, _ = run("agreement", release, "--classes", "three")
    assert code == 0
    assert "cloud_shadow" in out


def test_an_audit_of_the_real_table_lists_its_defects(run: Run, real_csv: Path, tmp_path: Path) -> None:
    code, out, err = run("audit", real_csv, "--json", tmp_path / "audit.json")
    assert (code, err) == (1, "")
    assert "297  S2B_MSIL1C_20180223T064849_N0206_R020_T41UQU_20180223T103441  thin, high, extended, cirrus" in out
    assert "Surface tags in a scene that is all cloud: 77" in out
    assert "513 scene(s) in 493 independent groups: 5 defect(s), 97 note(s)" in out
    assert "Not checked, without mask: Mask with other values; Mask not one-hot" in out
    written = json.loads((tmp_path / "audit.json").read_text())
    assert len(set(written["group"].values())) == written["group_count"] == 493


def test_an_audit_goes_on_where_opening_would_stop(run: Run, plain: PlainRelease, tmp_path: Path) -> None:
    mask = one_hot(plain.labels[plain.scenes[2]])
    mask[5, 6] = True
    plain.files["masks"][f"{plain.scenes[2]}.npy"] = npy(mask)
    release = plain.write(tmp_path / "R")
    code, out, err = run("audit", release)
    assert (code, err) == (1, "")
    assert f"2  {plain.scenes[2]}  1 pixels without exactly one class" in out
    assert "Not checked" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "nowhere", "S.zarr"], "no classification_tags.csv there"),
        (["verify", "nowhere"], "no store of the catalogue there"),
        (["audit", "nowhere.csv"], "nowhere.csv is not there; expected the tag table"),
        (["stats", "R", "--table", "moods"], "no table 'moods'; choose from: balance, means, quantiles"),
        (
            ["stats", "R", "--table", "tags", "--out", "R/masks.zip"],
            "no directory for tables can be made there (File exists)",
        ),
        (["stats", "R/classification_tags.csv", "--table", "means"], "expected 100·n/1044484"),
        (["stats", "nowhere"], "no store of the catalogue there"),
        (["stats", "R", "--by", "colour"], "cannot be grouped by 'colour'; choose one of: tags, tag_group, surface"),
        (["score", "R", "--model", "oracle"], "no model 'oracle'; built in: braaten"),
        (["score", "R", "--model", "braatan"], "did you mean 'braaten'?"),
        (["convert", "R", "S.zarr", "--scenes", "snow"], "did you mean 'snow/ice'?"),
        (["convert", "R", "S.zarr", "--scenes", "ids.txt"], "ids.txt is no file, expected one with ids of scenes"),
        (["convert", "R", "S.zarr", "--bands", "B03,B2"], "'B2' is no band; choose from: B01"),
        (["download", "D", "--only", "mask.zip"], "did you mean 'masks.zip'?"),
        (["score", "R", "--model", "braaten", "--classes", "three"], "predicts no cloud shadow"),
        (["score", "R"], "R is no store of scores: say with --model what to score"),
        (["score", "R", "--model", "braaten", "--out", "table.xlsx"], "expected .parquet, .csv or .json"),
        (
            ["score", "R", "--model", "braaten", "--tolerance", "3"],
            "tolerance is 3, expected one of: 0, 1, 2, 4, 8, 16",
        ),
        (["leaderboard", "R"], "R is no store of scores: say with --model what to score"),
        (["compare", "R", "braaten", "oracle"], "no model 'oracle'"),
        (["compare", "R", "braaten", "braaten swir=0.1"], "models are ['braaten', 'braaten'], expected one or more of"),
        (["score", "R", "--model", "braaten swir=low"], "model 'braaten' got swir='low', expected a number, such as"),
        (["score", "R", "--model", "braaten tau=1"], "its parameters are: swir, green, bright, name"),
        (["score", "R", "--model", "braaten", "--keep-predictions"], "say where with --scores"),
        (["score", "R", "--model", "braaten", "--out", "nowhere/x.csv"], "there is no folder nowhere; make it first"),
        (["leaderboard", "R", "--model", "braaten", "--label", "water"], "label is 'water', expected one of"),
        (["explain", "R", "--model", "braaten", "--metric", "f3"], "metric is 'f3', expected one of: precision"),
        (["convert", "R", "S.zarr", "--storage-options", "secret"], "storage options are not a JSON object"),
        (["convert", "R", "S.zarr", "--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler at tcp://127.0.0.1:1"),
        (["replica", "R"], "is not an empty directory"),
        (["replica", "new", "--size", "3"], "choose a size from 16"),
        (["convert", "R", "R"], "is no store of the catalogue"),
        (["convert", "R", "/proc/S.zarr"], "/proc/S.zarr"),
    ],
)
def test_what_is_wrong_is_one_message(
    run: Run, plain: PlainRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    plain.write(tmp_path / "R")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "CONNECT_TIMEOUT", "1s")
    code, out, err = run(*arguments)
    assert code == 1
    assert err.startswith("error: ")
    assert message in err.replace("\n", " ")
    assert "Traceback" not in out + err
    assert "secret" not in err


@pytest.mark.parametrize(
    "arguments", [("--seed", "-1"), ("--level", "95"), ("--replicates", "0"), ("--method", "x"), ("--classes", "four")]
)
def test_options_out_of_range_are_errors_of_usage(run: Run, scored: Path, arguments: tuple[str, str]) -> None:
    code, _, err = run("leaderboard", scored / "scores.zarr", *arguments)
    assert code == 2
    assert f"Invalid value for '{arguments[0]}'" in err


def test_a_store_of_scores_is_a_source_of_scores(run: Run, scored: Path) -> None:
    kept = scored / "scores.zarr"
    asked = ("--model", "braaten", "--by", "difficulty")
    assert run("score", kept, *asked) == run("score", scored / "S.zarr", *asked)
    code, _, err = run("score", kept, "--scores", "elsewhere")
    assert code == 1
    assert "is a store of scores itself" in err


def test_a_scheduler_elsewhere_does_the_work(run: Run, replica: Path, tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        assert run("convert", replica, tmp_path / "S.zarr", "--scheduler", cluster.scheduler_address)[0] == 0
        assert run("verify", tmp_path / "S.zarr", "--scheduler", cluster.scheduler_address)[0] == 0
        there = run("stats", tmp_path / "S.zarr", "--scheduler", cluster.scheduler_address)
    assert there == run("stats", tmp_path / "S.zarr")


def test_control_c_leaves_a_store_that_says_it_is_incomplete(replica: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time, s2cmc_zarr.store.conversion as c, s2cmc_zarr.cli\n"
        "write = c.write_record\n"
        "c.write_record = lambda *args: (time.sleep(0.5), write(*args))\n"
        "sys.argv = ['s2cmc', 'convert', *sys.argv[1:]]\n"
        "s2cmc_zarr.cli.main()\n"
    )
    store = tmp_path / "S.zarr"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(replica), str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (store / "converted" / "records").exists():
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "run the command again" in err
    assert json.loads((store / "zarr.json").read_text())["attributes"]["conversion"] == "incomplete"


@pytest.mark.parametrize("function", ["_find_and_load", "get_command", "open_release"])
def test_control_c_is_130_without_a_traceback(replica: Path, function: str) -> None:
    code = (
        "import signal, sys, s2cmc_zarr.cli\n"
        "def interrupt(frame, event, _):\n"
        f"    if event == 'call' and frame.f_code.co_name == {function!r}:\n"
        "        sys.setprofile(None)\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "sys.argv = ['s2cmc', 'stats', sys.argv[1]]\n"
        "sys.setprofile(interrupt)\n"
        "s2cmc_zarr.cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, replica], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_the_demo_goes_the_whole_way_and_again(run: Run, tmp_path: Path) -> None:
    code, out, err = run("demo", tmp_path / "demo", "--scenes", 8, "--size", 64)
    assert (code, err) == (0, "")
    for text in ("Verified", "Class balance", "Leaderboard: F1 of cloud", "snow/ice", "scores.zarr"):
        assert text in out
    code, out, _ = run("demo", tmp_path / "demo")
    assert code == 0
    assert "Nothing to convert" in out


def test_models_with_parameters_are_scored_side_by_side(scored: Path, tmp_path: Path) -> None:
    def s2cmc(*arguments: object) -> str:
        command = [str(Path(sys.executable).with_name("s2cmc")), *map(str, arguments)]
        environment = os.environ | {"COLUMNS": "200"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    ds = open_store(scored / "S.zarr")
    (tmp_path / "masks").mkdir()
    for scene, mask in zip(ds["scene"].values, ds["mask"].values, strict=True):
        np.save(tmp_path / "masks" / f"{scene}.npy", np.where(mask == 1, np.uint8(7), np.uint8(3)))
    masks = f"predictions:{tmp_path}/masks values=3=clear,7=thin cloud name=perfect"
    models = ["braaten", "braaten bright=0.2  swir=0.05", masks]
    kept = tmp_path / "kept.zarr"
    asked = [word for text in models for word in ("--model", text)]
    printed = s2cmc("score", scored / "S.zarr", "--scores", kept, *asked)
    names = ["braaten", "braaten bright=0.2 swir=0.05", "perfect"]
    for name in names:
        assert f"\n{name}\n" in printed
    counts = open_scores(kept, names)
    expected = score(ds, ["braaten", load_model("braaten", swir=0.05, bright=0.2), masks]).compute()
    np.testing.assert_array_equal(counts["confusion"], expected["confusion"])
    printed = s2cmc("compare", kept, *names[:2], "--by", "all")
    assert "braaten less braaten bright=0.2 swir=0.05: F1 of cloud" in printed
    assert s2cmc("compare", scored / "S.zarr", *models[:2], "--by", "all") == printed
    assert "perfect" in s2cmc("leaderboard", kept, "--by", "all")


def test_help_imports_nothing_that_takes_long() -> None:
    code = "import sys; from s2cmc_zarr.cli.commands import app; print(len(sys.argv), *sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pandas", "xarray", "dask", "distributed", "zarr", "scipy", "numba", "pyarrow"}
    assert not heavy & set(done.stdout.split())


def test_choices_are_those_that_there_are() -> None:
    assert tuple(TABLES) == TABLE_NAMES
    assert set(MODELS) <= set(MODEL_NAMES)
    for name in set(MODEL_NAMES) - set(MODELS):
        with pytest.raises(CatalogueError, match=f"model {name!r} needs"):
            load_model(name)


def test_the_installed_command_runs() -> None:
    command = Path(sys.executable).with_name("s2cmc")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("s2cmc-zarr ")

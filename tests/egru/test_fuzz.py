"""`egru fuzz`: a bounded run, a fault planted in the RTL library, and the cases that once failed."""

import dataclasses
import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from egru import fuzzing
from hls_gen import rtl_backend
from hls_gen.backend import Backend
from hls_gen.render import LIBRARY_FOLDER
from sim.build_cache import cache_folder
from sim.fuzz_case import Case, Counts, Finding, check, draw_cases, load, save
from tests.egru.conftest import egru

REGRESSIONS = Path(__file__).resolve().parent.parent / "regressions"
SAVED = sorted(path.parent for path in REGRESSIONS.glob("*/case.json"))
STRICT = " && c_reset_14_q != '0;"
#: Its first group is a layer of four neurons, and in its first case a state meets its threshold.
SEED_WITH_A_TIE = 8
#: Configurations of a run that finds nothing; they share a build.
BOUNDED = 4


@pytest.fixture
def kept_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds are kept, as those of other tests are: the run and the replays share them, and so do later runs of the tests."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(fuzzing, "_own_builds", lambda: nullcontext(scratch))


@pytest.mark.usefixtures("kept_builds")
def test_a_bounded_run_finds_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = egru(
        "fuzz", "--seconds", 300, "--configurations", BOUNDED, "--seed", SEED_WITH_A_TIE, "--backend", "rtl", "--out", out, "--json"
    ).json()
    assert (report["configurations"], report["mismatches"], report["findings"]) == (BOUNDED, 0, [])
    assert (report["compared"]["rtl"], report["compared"]["batched"]) == (BOUNDED, BOUNDED)
    assert report["builds"] <= 1
    cases = list(draw_cases(SEED_WITH_A_TIE, 0, BOUNDED))
    assert report["steps"] == sum(case.steps for case in cases)
    assert report["events"] > 50
    assert report["stalls"] > 0
    assert not out.exists()


@pytest.mark.usefixtures("kept_builds")
def test_a_fault_in_the_rtl_is_found_saved_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = shutil.copytree(LIBRARY_FOLDER, tmp_path / "lib")
    unit = library / "egru_update_unit.sv"
    faulty = unit.read_text().replace(STRICT, ";")  # ĉ = θ is an event
    assert faulty != unit.read_text()
    unit.write_text(faulty)
    monkeypatch.setattr(rtl_backend, "LIBRARY_FOLDER", library)
    options = ("--seed", SEED_WITH_A_TIE, "--configurations", 1, "--backend", "rtl", "--jobs", 1, "--shrink-seconds", 4)
    done = egru("fuzz", *options, "--out", tmp_path / "out")
    assert done.code == 1
    named = re.search(r"check failed: 1 mismatches; the first, rtl: egru fuzz --replay (\S+)", done.err)
    assert named is not None
    folder = Path(named[1])
    assert folder == tmp_path / "out" / "group0-case0"
    case, drawn = load(folder), next(draw_cases(SEED_WITH_A_TIE, 0, 1))
    assert case.steps < drawn.steps  # made smaller, as far as the time allowed
    assert re.match(r"rtl: step \d+, layer \w+, neuron \d+: .* is -?\d+, expected", json.loads((folder / "case.json").read_text())["found"])

    again = egru("fuzz", "--replay", folder, "--backend", "rtl")
    assert again.code == 1
    assert "check failed: rtl (mismatch): step " in again.err
    monkeypatch.setattr(rtl_backend, "LIBRARY_FOLDER", LIBRARY_FOLDER)
    mended = egru("fuzz", "--replay", folder, "--backend", "rtl", "--json").json()
    assert (mended["mismatches"], mended["steps"]) == (0, case.steps)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A case in the form of the saved ones, so that replaying is exercised while there is none."""
    save(next(draw_cases(SEED_WITH_A_TIE, 0, 1)), None, tmp_path / "planted")
    return tmp_path / "planted"


@pytest.mark.parametrize("folder", [None, *SAVED], ids=lambda folder: folder.name if folder else "planted")
def test_what_once_failed_does_so_no_more(folder: Path | None, planted: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    counts, finding = check(load(folder or planted), [Backend.RTL], scratch)
    assert finding is None
    assert counts.compared["rtl"] == 1


def test_processes_share_the_cases_and_compare_each_once(tmp_path: Path) -> None:
    # Without hardware: what is drawn and compared is the same.
    settings = fuzzing.FuzzSettings(seconds=100, seed=2, configurations=5, backends=(), jobs=2)
    shared = fuzzing.run_fuzz(settings, tmp_path / "out")
    alone = fuzzing.run_fuzz(dataclasses.replace(settings, jobs=1), tmp_path / "out")
    assert shared.counts == alone.counts
    assert shared.counts.compared["batched"] == 5


def test_builds_go_away_and_what_they_share_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGRU_BUILD_DIR", str(tmp_path))
    for _ in range(2):
        with fuzzing._own_builds() as folder:
            assert cache_folder() == folder.resolve()
            for name in ("runtime-1", "egru_top-1"):
                (folder / name).mkdir(exist_ok=True)
        assert [path.name for path in tmp_path.iterdir()] == ["runtime-1"]
        assert cache_folder() == tmp_path


def test_a_run_without_an_event_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(case: Case, *_: object) -> tuple[Counts, Finding | None]:
        return Counts(configurations=1, steps=case.steps), None

    monkeypatch.setattr(fuzzing, "check", silent)
    done = egru("fuzz", "--configurations", 9, "--jobs", 1, "--backend", "rtl", "--out", tmp_path / "out")
    assert done.code == 1
    assert "9 configurations without a single event prove nothing" in done.err


def test_no_case_begins_after_the_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(case: Case, *_: object) -> tuple[Counts, Finding | None]:
        return Counts(configurations=1, steps=case.steps, events=1), None

    monkeypatch.setattr(fuzzing, "check", quick)
    report = egru("fuzz", "--seconds", 1, "--jobs", 1, "--backend", "rtl", "--out", tmp_path / "out", "--json").json()
    assert report["configurations"] > 0
    assert report["seconds"] < 5.0


def test_a_wrong_folder_is_named(tmp_path: Path) -> None:
    done = egru("fuzz", "--replay", tmp_path / "nothing")
    assert done.code == 2
    assert "case.json does not exist; give a folder that egru fuzz saved" in done.err

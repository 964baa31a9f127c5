"""The fuzzer's cases: drawn, saved, read, compared, made smaller. A fault in software stands for one in hardware, which needs a build."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from hls_gen import rtl_backend
from sim import fuzz_case
from sim.drivers import Pace
from sim.fuzz_case import Case, Counts, Finding, check, check_oracle, draw_cases, load, save
from sim.fuzz_shrink import shrink
from sw_model.errors import UserError
from sw_model.reference import BatchedReference, LayerState, Step

GROUPS, DRAWN = 40, 2


def same(one: Case, other: Case) -> bool:
    def described(case: Case) -> list[object]:
        plain = {name: value for name, value in vars(case).items() if name not in ("model", "loaded")}
        return [plain, case.model.content_hash(), None if case.loaded is None else case.loaded.content_hash()]

    return described(one) == described(other)


@pytest.fixture(scope="module")
def drawn() -> list[list[Case]]:
    return [list(draw_cases(3, group, DRAWN)) for group in range(GROUPS)]


def test_the_draws_span_what_a_user_can_choose(drawn: list[list[Case]]) -> None:
    cases = [case for group in drawn for case in group]
    hardware = [case.hardware for case in cases]
    assert {h.engines for h in hardware} == {"per-layer", "shared"}
    assert {h.weights for h in hardware} == {"fixed", "swappable", "loadable", "single-port"}
    assert {h.packing for h in hardware} == {"load", "interleaved"}
    assert {h.entry_format for h in hardware} == {"single", "gate-group"}
    assert {6} <= {h.queue_depth for h in hardware}
    assert {8} <= {h.event_queue_depth for h in hardware}
    assert {2} <= {h.stream_depth for h in hardware}
    assert {case.input_pace for case in cases} == {case.output_pace for case in cases} == set(Pace)
    assert any(len(sequence) == 1 for case in cases for sequence in case.sequences)
    assert any(case.loaded is not None for case in cases)
    with_tokens, with_features = ([case for case in cases if bool(case.model.channels) is features] for features in (False, True))
    assert all(0 <= token < case.model.tokens for case in with_tokens for sequence in case.sequences for token in sequence)
    assert len(with_features) > len(cases) / 8
    assert {case.model.feature_input.encoding for case in with_features if case.model.feature_input} == {"dense", "delta"}
    assert {len(case.model.layers) for case in with_features} == {1, 2, 3}
    assert all(np.shape(sequence)[1:] == (case.model.channels,) for case in with_features for sequence in case.sequences)
    assert same(drawn[5][1], list(draw_cases(3, 5, DRAWN))[1])


def test_the_cases_of_a_group_are_different_and_share_a_build(drawn: list[list[Case]]) -> None:
    for group in [group for group in drawn if group[0].hardware.weights == "fixed"][:4]:
        sources = [rtl_backend.generate(case.model, case.hardware).sources for case in group]
        assert all(source == sources[0] for source in sources)
        assert len({case.model.content_hash() for case in group}) == len(group)
        assert len({case.seed for case in group}) == len(group)


def test_a_saved_case_is_read_as_it_was(drawn: list[list[Case]], tmp_path: Path) -> None:
    loading = next(case for group in drawn for case in group if case.loaded is not None)
    for number, case in enumerate((drawn[0][0], loading, streaming(drawn))):
        save(case, None, tmp_path / str(number))
        assert same(load(tmp_path / str(number)), case)
    assert "egru fuzz --replay ." in (tmp_path / "1" / "README.md").read_text()
    with pytest.raises(UserError, match="already holds results"):
        save(loading, None, tmp_path / "1")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("case.json", {"sequences": [[10_000]]}, "leaves 0 to"),
        ("case.json", {"sequences": [[]]}, "is empty, not of shape"),
        ("case.json", {"seed": 0}, "seed"),
        ("case.json", {"version": 2}, "version"),
        ("hardware.json", {"lanes": "many"}, "is not accepted"),
    ],
)
def test_an_altered_case_is_refused(drawn: list[list[Case]], tmp_path: Path, name: str, change: dict[str, object], said: str) -> None:
    save(drawn[0][0], None, tmp_path / "case")
    path = tmp_path / "case" / name
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=said):
        load(tmp_path / "case")
    path.unlink()
    with pytest.raises(UserError, match="does not exist; give a folder that egru fuzz saved"):
        load(tmp_path / "case")


def streaming(drawn: list[list[Case]]) -> Case:
    """Return a case of features."""
    return next(case for group in drawn for case in group if case.model.channels > 1)


@pytest.mark.parametrize("sequences", [[], [[]], [[1, 2]], [[[1]]], "beyond", "negative"])
def test_input_events_that_are_none_of_the_model_are_refused(drawn: list[list[Case]], tmp_path: Path, sequences: object) -> None:
    case = streaming(drawn)
    made = {"beyond": case.model.formats.event_max + 1, "negative": -1}
    if isinstance(sequences, str):
        sequences = [[[made[sequences]] * case.model.channels]]
    save(case, None, tmp_path / "case")
    path = tmp_path / "case" / "case.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sequences": sequences}))
    with pytest.raises(UserError, match=r"is empty, not of shape|at least 1 item"):
        load(tmp_path / "case")


def test_features_in_software_are_compared_and_their_saturations_counted(drawn: list[list[Case]], tmp_path: Path) -> None:
    total = Counts()
    for case in [group[0] for group in drawn if group[0].model.channels][:4]:
        counts, finding = check(case, [], tmp_path)
        assert finding is None
        total.add(counts)
        steps = list(fuzz_case._reference(case))
        assert len(steps) == case.steps
        total.saturations += fuzz_case._saturations(case, steps)
    assert total.compared["batched"] == 4
    assert total.compared["fake-quantised"] > 0
    assert total.saturations > 0


def test_software_alone_is_compared_and_no_hardware_is_no_configuration(drawn: list[list[Case]], tmp_path: Path) -> None:
    total = Counts()
    for group in drawn[:8]:
        counts, finding = check(group[0], [], tmp_path)
        assert finding is None
        total.add(counts)
    assert (total.configurations, total.compared["batched"]) == (0, 8)
    assert 0 < total.compared["fake-quantised"] < 8


class TieFires(BatchedReference):
    """The tie rule is wrong: ĉ = θ = 0 is an event."""

    def step(self, tokens: np.ndarray, states: list[LayerState]) -> Step:
        step = super().step(tokens, states)
        ties = [(state.c == 0) & (layer.threshold == 0) for state, layer in zip(states, self._model.layers, strict=True)]
        return dataclasses.replace(step, fired=tuple(fired | tie for fired, tie in zip(step.fired, ties, strict=True)))


def first_found(drawn: list[list[Case]], folder: Path) -> tuple[Case, Finding]:
    """Return the first case of several layers and steps that shows the planted fault, and what it shows."""
    large = (case for group in drawn for case in group if len(case.model.layers) > 1 and case.steps > 9)
    found = ((case, check_oracle(case, "batched", folder, Counts())) for case in large)
    return next((case, finding) for case, finding in found if finding is not None)


def test_a_planted_fault_is_found_and_made_small(drawn: list[list[Case]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_case, "BatchedReference", TieFires)
    case, finding = first_found(drawn, tmp_path)
    small, shown = shrink(case, finding, tmp_path, seconds=20.0)
    assert finding.same_as(shown)
    assert shown.same_as(check_oracle(small, "batched", tmp_path, Counts()))
    assert [layer.neurons for layer in small.model.layers] in ([1], [1, 1])
    assert (small.model.classes, small.hardware.lanes) == (1, 1)
    assert small.steps < case.steps
    assert (small.input_pace, small.output_pace) == (Pace.FULL, Pace.FULL)
    monkeypatch.undo()
    assert check_oracle(small, "batched", tmp_path, Counts()) is None


def test_shrinking_ends_in_time_with_what_it_has(drawn: list[list[Case]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_case, "BatchedReference", TieFires)
    case, finding = first_found(drawn, tmp_path)
    assert shrink(case, finding, tmp_path, seconds=0.0) == (case, finding)


def test_what_does_not_end_is_broken_off(drawn: list[list[Case]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(fuzz_case, "_check_batched", never)
    monkeypatch.setattr(fuzz_case, "CHECK_SECONDS", 0.2)
    finding = check_oracle(drawn[0][0], "batched", tmp_path, Counts())
    assert finding is not None
    assert finding.kind == "hang"


def test_whatever_is_raised_is_a_finding(drawn: list[list[Case]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("row 7")

    monkeypatch.setattr(rtl_backend, "write", broken)
    finding = check_oracle(drawn[0][0], "rtl", tmp_path, Counts())
    assert finding is not None
    assert (finding.oracle, finding.kind, finding.message) == ("rtl", "error", "IndexError: row 7")

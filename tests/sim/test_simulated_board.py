"""The simulated board through the same host code as a real cable: every answer is the reference's, however noisy the line."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from egru.host import SIMULATION_PATIENCE, Accelerator, Answer
from egru.host.line import NoisyLine, SerialLine
from egru.host.serial_transport import SerialTransport
from hls_gen.board import UartLink, known_boards, load_board, render_top
from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import write_project
from sim.simulated_board import SimulatedBoard, board_design, other_inputs
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import EventDrivenStream
from tests.egru.conftest import egru

ROOT = Path(__file__).resolve().parents[2]
# 10 clocks a bit instead of 50: most of what is simulated is the line.
BAUD = 5_000_000


@dataclass(frozen=True)
class Case:
    """A generated folder, tokens, and what the reference makes of them."""

    model: QuantizedModel
    generated: Path
    tokens: list[int]
    answers: list[Answer]
    logits: list[int]
    events: int
    macs: int


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    model = random_model(RandomModelSpec(hidden=(16, 12), seed=3))
    generated = tmp_path_factory.mktemp("board") / "runs" / "rtl"
    # Loadable, so that one build serves every test here.
    write_project(model, HardwareConfig(lanes=2, weights="loadable"), generated, board=load_board("ulx3s_85f"))
    tokens = random.Random(1).choices(range(model.tokens), k=320)
    stream = EventDrivenStream(model)
    logits = [stream.step(token).logits for token in tokens]
    answers = [Answer(int(np.argmax(row)), int(np.max(row))) for row in logits]
    macs = sum(stream.counts.macs) + stream.counts.decoder_macs
    return Case(model, generated, tokens, answers, logits[-1].tolist(), sum(stream.counts.events), macs)


def test_every_answer_logit_and_counter_is_the_reference_s(case: Case) -> None:
    assert len({answer.symbol for answer in case.answers}) > 4  # the case is no constant
    with SimulatedBoard(case.generated, baud=BAUD) as board:
        with Accelerator.open(
            board.port, board.real_baud, model_hash=case.model.content_hash(), patience=SIMULATION_PATIENCE
        ) as accelerator:
            assert list(accelerator.stream(case.tokens[:150], end=False)) == case.answers[:150]
            assert list(accelerator.stream(case.tokens[150:], batch=16)) == case.answers[150:]
            assert accelerator.logits() == case.logits
            counters = accelerator.counters()
            # The sequence has ended: the state is zero again.
            assert accelerator.step(case.tokens[0]) == case.answers[0]
            assert not accelerator.saw_unknown_token()
            assert accelerator.info.tokens == case.model.tokens
        report = board.close()
    assert (counters.steps, counters.events, counters.macs) == (320, case.events, case.macs)
    assert (accelerator.statistics.retries, accelerator.statistics.rejected) == (0, 0)
    assert report is not None
    assert report.cycles > 10 * 10 * accelerator.statistics.bytes_received  # clocks of a bit, bits of a byte


def test_no_wrong_answer_is_accepted_from_a_noisy_line(case: Case) -> None:
    with SimulatedBoard(case.generated, baud=BAUD, seed=7) as board:
        line = NoisyLine(SerialLine(board.port, BAUD), rate=0.006, seed=11)
        transport = SerialTransport(line, board.real_baud, SIMULATION_PATIENCE)
        with Accelerator(transport, case.model.content_hash()) as accelerator:
            assert list(accelerator.stream(case.tokens, batch=8)) == case.answers
            counters = accelerator.counters()
    # Nothing was executed twice, and nothing was left out.
    assert (counters.steps, counters.events) == (320, case.events)
    assert min(line.sent.total, line.received.total) >= 5
    for kind in ("dropped", "doubled", "flipped"):
        assert getattr(line.sent, kind) + getattr(line.received, kind) > 0
    assert accelerator.statistics.retries >= 5
    assert accelerator.statistics.rejected >= 1


def test_egru_run_streams_to_it_and_checks(case: Case) -> None:
    command = ("run", case.generated, "--port", "sim", "--baud", BAUD, "--tokens", 60, "--check", "--noise", 0.004, "--json")
    found = egru(*command).json()
    assert found["tokens"] == len(found["answers"]) == 60
    assert found["compared"] == 60 + 5  # four counters and the last logits
    assert found["mismatch"] == ""
    assert found["events"] > 0
    assert sum(found["noise"]["to the device"].values()) > 0
    assert found["simulation"]["cycles"] > 0


def test_other_weights_are_loaded_over_the_line(case: Case, tmp_path: Path) -> None:
    other = random_model(RandomModelSpec(hidden=(16, 12), seed=4))
    assert other.content_hash() != case.model.content_hash()
    other.save(tmp_path / "other")
    found = egru(
        "run", case.generated, "--port", "sim", "--baud", BAUD, "--load", tmp_path / "other", "--tokens", 40, "--check", "--json"
    ).json()
    assert (found["compared"], found["mismatch"]) == (45, "")
    ours = EventDrivenStream(case.model)
    logits = [ours.step(token).logits for token in np.random.default_rng(1).integers(case.model.tokens, size=40)]
    assert found["answers"] != [[int(row.argmax()), int(row.max())] for row in logits]


def test_the_page_about_the_host_is_run(case: Case) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "host.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    folder = case.generated.parents[1]
    done = subprocess.run([sys.executable, "-c", blocks[0]], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    first = EventDrivenStream(case.model).step(3).logits
    assert shown[0] == f"3 {first.argmax()} {first.max()}"
    assert shown[-1].startswith("5 steps, ")


def test_it_ends_when_its_port_is_closed_and_sleeps_while_nobody_talks(case: Case) -> None:
    with SimulatedBoard(case.generated, baud=BAUD) as board:
        line = SerialLine(board.port, BAUD)
        time.sleep(0.5)
        before = _cpu_seconds(board.pid)
        time.sleep(1.5)
        assert _cpu_seconds(board.pid) - before < 0.5
        assert board.running()
        line.close()
        _wait_until(lambda: not board.running())
        assert board.failure == ""


def test_it_ends_with_the_program_that_started_it(case: Case) -> None:
    command = [sys.executable, "-m", "sim.simulated_board", str(case.generated), "--baud", str(BAUD)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        port = Path(program.stdout.readline().strip())
        assert port.exists()
        program.send_signal(signal.SIGKILL)
        program.wait()
    _wait_until(lambda: not port.exists())


KNOWN_INPUTS = {"btn_reset": 0, "resetn": 1, "btn_n": 1, "btn_reset_n": 1}


def test_inputs_that_nobody_touches_are_at_rest() -> None:
    seen = set()
    for board in map(load_board, known_boards()):
        if isinstance(board.link, UartLink):
            assert board.pins is not None
            for port, level in other_inputs(render_top(board).text, board.pins).items():
                assert level == KNOWN_INPUTS[port], f"{board.name}: say in this test which level {port} has when nobody touches it"
                seen.add(level)
    assert seen == {0, 1}


def test_a_board_without_a_serial_line_is_refused(case: Case) -> None:
    with pytest.raises(UserError, match="board pynq_z2 has no serial line to simulate"):
        board_design(case.generated, "pynq_z2")


def test_a_baud_rate_makes_another_top(case: Case) -> None:
    own, fast = board_design(case.generated, "ulx3s_85f"), board_design(case.generated, "ulx3s_85f", BAUD)
    assert (own.clocks_per_bit, fast.clocks_per_bit) == (50, 10)
    assert [name for name in own.sources if own.sources[name] != fast.sources[name]] == ["egru_board.sv"]
    with pytest.raises(UserError, match="clock 50 MHz is too slow for 50000000 baud"):
        board_design(case.generated, "ulx3s_85f", 50_000_000)


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it still runs"
        time.sleep(0.05)

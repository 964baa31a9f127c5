"""Models of features on the simulated board: its serial pins, through `egru run` and `egru listen`."""

from pathlib import Path

import numpy as np
import pytest

from egru.host import SIMULATION_PATIENCE, Accelerator, LinkError
from hls_gen.board import load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import write_project
from sim.simulated_board import SimulatedBoard
from sw_model.random_model import draw_events
from sw_model.reference import EventDrivenStream
from tests.egru.conftest import egru
from tests.egru.test_listen import listening_model, write_wav

BAUD = 5_000_000


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 80 channels: a frame may have more words than a request takes."""
    folder = tmp_path_factory.mktemp("board") / "rtl"
    write_project(listening_model("delta", "mean"), HardwareConfig(lanes=(2, 1)), folder, board=load_board("ulx3s_85f"))
    return folder


def test_every_answer_logit_and_counter_is_the_reference_s(generated: Path) -> None:
    model = listening_model("delta", "mean")
    frames = draw_events(np.random.default_rng(5), model, (60,))
    assert np.count_nonzero(frames, axis=1).max() > 64  # three requests
    stream = EventDrivenStream(model)
    steps = [stream.step(frame) for frame in frames]
    expected = [(int(step.logits.argmax()), int(step.logits.max())) for step in steps]
    with (
        SimulatedBoard(generated, baud=BAUD) as board,
        Accelerator.open(
            board.port, board.real_baud, model_hash=model.content_hash(), patience=SIMULATION_PATIENCE, event_bits=model.formats.event_bits
        ) as accelerator,
    ):
        assert accelerator.info.tokens == model.channels
        assert list(accelerator.stream(frames[:30], end=False)) == expected[:30]
        assert accelerator.step(frames[30]) == expected[30]
        assert accelerator.logits() == steps[30].logits.tolist()
        assert list(accelerator.stream(frames[31:])) == expected[31:]
        counters = accelerator.counters()
        # The sequence has ended: the state is zero again.
        assert accelerator.step(frames[0], last=True) == expected[0]
        assert not accelerator.saw_unknown_token()
    work = stream.counts
    assert (counters.steps, counters.events) == (60, sum(work.events))
    assert counters.macs == sum(work.macs) + work.decoder_macs
    assert counters.blocks[0]["input_events"] == np.count_nonzero(frames)


def test_weights_that_start_empty_are_loaded_by_the_commands(tmp_path: Path) -> None:
    model = listening_model("dense", "mean")
    write_project(model, HardwareConfig(lanes=1, weights="single-port"), tmp_path / "rtl", board=load_board("icebreaker"))
    found = egru("run", tmp_path / "rtl", "--port", "sim", "--frames", 8, "--check", "--noise", 0.001, "--json").json()
    assert (found["frames"], found["mismatches"]) == (8, 0)
    assert found["compared"] == 8 * 2 + 4  # every row of logits: the small board keeps them, as the read-out needs them
    with SimulatedBoard(tmp_path / "rtl") as board, pytest.raises(LinkError, match="has no weights yet"):
        Accelerator.open(board.port, board.real_baud, model_hash=model.content_hash(), patience=SIMULATION_PATIENCE)
    with SimulatedBoard(tmp_path / "rtl") as board:
        # As at a port with a cable.
        done = egru("run", tmp_path / "rtl", "--port", board.port, "--baud", round(board.real_baud), "--frames", 2, "--check")
    assert done.code == 0, done.err


def test_the_commands_check_it_on_a_noisy_line_and_listen_to_it(generated: Path, tmp_path: Path) -> None:
    command = ("run", generated, "--port", "sim", "--baud", BAUD, "--frames", 30, "--check", "--noise", 0.002, "--json")
    found = egru(*command).json()
    assert (found["frames"], found["compared"], found["mismatches"]) == (30, 30 * 2 + 4, 0)
    assert sum(found["noise"]["to the device"].values()) > 0
    wav = write_wav(tmp_path / "tone.wav", 480 + 320 * 19)
    heard = egru("listen", generated, "--wav", wav, "--port", "sim", "--baud", BAUD, "--window", 10, "--json").json()
    assert (heard["frames"], heard["compared"], heard["mismatches"]) == (20, 20 * 2 + 4, 0)
    alone = egru("listen", generated, "--wav", wav, "--port", "reference", "--window", 10, "--json").json()
    assert heard["utterances"] == alone["utterances"]
    assert heard["input_events_per_frame"] < 40
    assert heard["core_real_time_factor"] > 0

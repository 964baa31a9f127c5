"""`egru run` on a fake device that answers as the reference does, behind a pseudo-terminal."""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egru.host import Answer, LinkStatistics
from egru.output import progress_console
from egru.run_view import shown_text, watching
from egru.running import Progress, Stimulus
from hls_gen.hardware_config import HardwareConfig
from hls_gen.rtl_backend import write
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import EventDrivenStream
from tests.egru.conftest import egru
from tests.egru.fake_device import FakeDevice, pseudo_terminal

SYMBOLS = tuple(" abcdefghijklmno")  # in the order of `load_text`


class ModelDevice(FakeDevice):
    """A fake device whose network is the reference of a model."""

    def __init__(self, model: QuantizedModel) -> None:
        hash_words = struct.unpack("<8I", bytes.fromhex(model.content_hash())[::-1])
        words = {0x010 + 4 * place: word for place, word in enumerate(hash_words)}
        super().__init__(words=words | {0x050: 2, 0x05C: model.tokens, 0x060: model.classes})
        self.model = model
        self.fault = -1  # the step whose answer is wrong
        self.ends: list[int] = []  # the steps that ended a sequence
        self.reset_core()

    def reset_core(self) -> None:
        self.stream = EventDrivenStream(self.model)
        self.logits = np.zeros(self.model.classes, np.int64)

    def answer(self, token: int, last: bool) -> tuple[int, int]:
        self.logits = self.stream.step(token).logits
        if last:
            self.ends.append(self.steps)
            self.stream.reset()
        return int(self.logits.argmax()), int(self.logits.max()) + (self.steps == self.fault)

    def logit(self, symbol: int) -> int:
        return int(self.logits[symbol])

    def counter(self, address: int) -> int:
        work = self.stream.counts
        known = {0x040: 100 * work.steps, 0x048: work.steps, 0x110: work.events[0], 0x118: work.macs[0], 0x198: work.decoder_macs}
        return known.get(address, 0)


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    drawn = random_model(RandomModelSpec(hidden=(12,), tokens=len(SYMBOLS), classes=len(SYMBOLS), seed=5))
    data = {"name": "letters.txt", "unit": "characters"}
    return replace(drawn, vocabulary=SYMBOLS, metadata={"data": data})


@pytest.fixture
def folder(model: QuantizedModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def device(model: QuantizedModel) -> ModelDevice:
    return ModelDevice(model)


@pytest.fixture
def port(device: ModelDevice) -> Iterator[str]:
    with pseudo_terminal(device) as path:
        yield path


def letters(folder: Path) -> Path:
    text = folder.parent / "letters.txt"
    text.write_text("".join(SYMBOLS) * 300)
    return text


def test_held_out_text_is_streamed_and_every_answer_checked(folder: Path, device: ModelDevice, port: str) -> None:
    found = egru("run", folder, "--port", port, "--data", letters(folder), "--tokens", 100, "--check", "--json").json()
    assert found["stimulus"] == "held-out characters of letters.txt"
    assert (found["tokens"], found["compared"], found["mismatch"]) == (100, 105, "")
    assert device.steps == 100
    assert found["events"] == device.stream.counts.events[0] > 0
    assert found["cycles_per_step"] == 100
    assert found["link"]["retries"] == 0
    assert 0 <= found["predicted"] < 100
    assert found["noise"] is found["simulation"] is None


def test_the_table_shows_what_was_measured(folder: Path, port: str) -> None:
    done = egru("run", folder, "--port", port, "--data", letters(folder), "--check", "--plain")
    assert done.code == 0
    for shown in ("held-out characters of letters.txt", "200 in ", "next symbol foreseen", "100.0", "205, all equal", " retries"):
        assert shown in done.out
    assert "answers 200 of 200, tokens per second " in done.err


def test_a_model_whose_text_is_not_at_hand_gets_random_tokens(folder: Path, port: str) -> None:
    done = egru("run", folder, "--port", port, "--tokens", 40, "--json")
    assert done.json()["stimulus"] == "random tokens"
    assert done.json()["predicted"] is None
    assert "trained on letters.txt" in done.err


@pytest.mark.parametrize("fault", [1, 33, 50])
def test_a_wrong_answer_is_named_and_ends_with_1(folder: Path, device: ModelDevice, port: str, fault: int) -> None:
    device.fault = fault
    done = egru("run", folder, "--port", port, "--tokens", 50, "--check")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(f"check failed: answer {fault - 1} to token ")
    assert ", the reference says (" in done.err
    assert f"{fault - 1}, then: answer" in done.out


def test_a_wrong_counter_is_named(folder: Path, device: ModelDevice, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "counter", lambda address: 50 if address == 0x048 else 0)
    done = egru("run", folder, "--port", port, "--tokens", 50, "--check")
    assert done.code == 1
    assert "check failed: counters of events is 0, the reference says " in done.err


@pytest.mark.parametrize("error", [0, 1])
def test_narrow_counters_that_wrap_are_compared_as_they_are(
    model: QuantizedModel, device: ModelDevice, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    write(model, HardwareConfig(lanes=1, counter_bits=16), tmp_path / "rtl")
    count = device.counter
    monkeypatch.setattr(device, "counter", lambda address: (count(address) + error) % (1 << 16))
    done = egru("run", tmp_path / "rtl", "--port", port, "--tokens", 3000, "--check", "--json")
    assert device.stream.counts.macs[0] > 1 << 16
    found = json.loads(done.out)
    assert (found["cycles"], found["cycles_per_step"], found["events"]) == (None, None, None)
    assert found["compared"] == 3000 + 5 * (not error)
    assert done.code == error
    assert ("counter of steps is 3001, the reference says 3000" in done.err) == bool(error)
    table = egru("run", tmp_path / "rtl", "--port", port, "--tokens", 3000).out
    assert "the counters may have wrapped" in table


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_text_is_written_from_a_prompt(folder: Path, device: ModelDevice, port: str, model: QuantizedModel, temperature: float) -> None:
    command = ("run", folder, "--port", port, "--generate", 30, "--prompt", "ab c", "--temperature", temperature, "--check")
    done = egru(*command)
    assert done.code == 0, done.err
    written = done.out.split("\n")[0]
    assert written.startswith("ab c")
    assert len(written) == 34
    assert "39, all equal" in done.out
    assert device.ends == [34]
    if temperature == 0:
        stream, answer = EventDrivenStream(model), 0
        for symbol in written[:-1]:
            answer = int(stream.step(SYMBOLS.index(symbol)).logits.argmax())
        assert SYMBOLS[answer] == written[-1]
    else:
        assert egru(*command).out.split("\n")[0] == written  # the seed chooses it
        assert egru(*command, "--seed", 2).out.split("\n")[0] != written


def test_mistakes_are_named(folder: Path, port: str, tmp_path: Path) -> None:
    for options, message in (
        (("--port", tmp_path / "none"), "none cannot be opened at 1000000 baud (No such file or directory); check name, baud rate"),
        (("--port", port, "--noise", 0.1), f"--noise cannot be used with port {port}; use it with --port sim"),
        (("--port", "sim", "--noise", 1.5), "noise=1.5 is not a share"),
        (("--port", "sim"), "holds no generated hardware to simulate"),
        (("--port", port, "--tokens", 9999, "--data", letters(folder)), "tokens=9999 exceeds the 240 held-out symbols; use at most 240"),
        (("--port", port, "--board", "pynq_z2"), "board pynq_z2 has no serial line"),
        (("--port", port, "--generate", 3, "--prompt", "aX"), "prompt 'aX' holds 'X', which is not in the vocabulary of letters.txt"),
        (("--port", port, "--generate", 3, "--prompt", ""), "prompt '' is empty"),
        (("--port", port, "--generate", 3, "--prompt", "a", "--temperature", -1), "temperature=-1 is negative"),
    ):
        done = egru("run", folder, *options)
        assert (done.code, done.out) == (2, "")
        # Before it there may be the remark that tokens are random.
        assert message in done.err.splitlines()[-1]


def test_another_model_in_the_device_is_refused(folder: Path, device: ModelDevice, port: str) -> None:
    device.words[0x010] ^= 1
    done = egru("run", folder, "--port", port)
    assert done.code == 2
    assert f"device at {port} holds model " in done.err


def progress(count: int) -> tuple[Progress, Stimulus]:
    tokens = [0, 1, 2, 3, 4][:count]
    answers = [Answer(symbol, 0) for symbol in (1, 9, 3, 12, 5)][:count]
    stimulus = Stimulus(tokens, "a text", SYMBOLS, "", is_text=True)
    return Progress(tokens, answers, 5, 0.5, None, 0.0, LinkStatistics(retries=3)), stimulus


def test_the_view_marks_what_was_foreseen_and_the_next_symbol() -> None:
    text = shown_text(*progress(4))
    assert text.plain == " abcl"  # the last one is the device's next symbol
    assert [span.style for span in text.spans] == ["red", "green", "red", "green", "reverse"]
    assert shown_text(*progress(0)).plain == ""


def test_the_panel_moves_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now, stimulus = progress(4)
    with watching(stimulus, "a board", plain=False) as watch:
        assert watch is None  # this is no terminal
    monkeypatch.setattr(progress_console, "_force_terminal", True)
    monkeypatch.setattr(progress_console, "is_interactive", True)
    monkeypatch.setenv("TERM", "xterm")
    with watching(stimulus, "a board", plain=False) as watch:
        assert watch is not None
        watch(now)
        time.sleep(0.4)  # it is drawn eight times a second
    shown = capsys.readouterr().err
    assert "a board" in shown
    assert "4 of 5" in shown

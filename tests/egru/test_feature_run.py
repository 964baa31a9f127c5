"""`egru run` of models of features, on a fake device that answers as the reference does."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sw_model.feature_dataset import FeatureDataset, write_dataset
from sw_model.generated_features import generated_dataset
from sw_model.input_encoding import Encoding, encode
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec
from sw_model.readout import Readout
from sw_model.sequence_evaluation import evaluate_sequence_model
from tests.egru.conftest import egru
from tests.egru.fake_device import FakeDevice, pseudo_terminal
from tests.egru.test_feature_hardware import knowing
from tests.egru.test_run import ModelDevice

SEQUENCES = 3


class FeatureDevice(ModelDevice):
    """A fake device whose network is the reference of a model of features."""

    def __init__(self, model: QuantizedModel, **options: Any) -> None:
        hash_words = struct.unpack("<8I", bytes.fromhex(model.content_hash())[::-1])
        words = {0x010 + 4 * place: word for place, word in enumerate(hash_words)}
        FakeDevice.__init__(
            self,
            words=words | {0x050: 2, 0x05C: model.channels, 0x060: model.classes},
            event_bits=model.formats.event_bits,
            **options,
        )
        self.model = model
        self.fault = -1
        self.ends = []
        self.reset_core()

    def answer_events(self, words: list[int], last: bool) -> tuple[int, int]:
        events = np.zeros(self.model.channels, np.int64)
        for word in words:
            events[word >> self.event_bits] = word & ((1 << self.event_bits) - 1)
        return self.answer(events, last)  # type: ignore[arg-type]

    def counter(self, address: int) -> int:
        return self.stream.counts.input_events if address == 0x108 else super().counter(address)


@pytest.fixture(scope="module")
def dataset() -> FeatureDataset:
    whole = generated_dataset()
    cut = {name: whole.split(name).select(np.arange(SEQUENCES)) for name in ("train", "valid", "test")}
    return replace(whole, name="strokes", train=cut["train"], valid=cut["valid"], test=cut["test"])


def made(dataset: FeatureDataset, folder: Path, encoding: Encoding = "dense", readout: str = "mean") -> QuantizedModel:
    """Write a random model that knows the data set, and the data set."""
    model = knowing(dataset, RandomModelSpec(hidden=(12,), density=0.5, seed=3), readout, encoding)  # type: ignore[arg-type]
    model = replace(model, metadata={"data": {"name": "strokes", "frame_rate": 100.0}})
    model.save(folder / "model")
    write_dataset(dataset, folder / "data")
    return model


@pytest.mark.parametrize(("readout", "options"), [("mean", ()), ("last", ()), ("last", ("--logits",)), ("steps", ())])
@pytest.mark.parametrize("encoding", ["dense", "delta"])
def test_test_sequences_are_decided_as_the_evaluation_does(
    dataset: FeatureDataset, encoding: Encoding, readout: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    model = made(dataset, tmp_path, encoding, readout)
    device = FeatureDevice(model)
    with pseudo_terminal(device) as port:
        command = ("run", tmp_path / "model", "--port", port, "--data", tmp_path / "data", "--sequences", SEQUENCES, "--check", "--json")
        found = egru(*command, *options).json()
    frames = dataset.test.frames
    every = readout == "mean" or bool(options)
    assert (found["frames"], device.steps, found["mismatches"], found["mismatch"]) == (frames, frames, 0, "")
    assert found["compared"] == frames * (1 + every) + (not every) + 4
    assert device.ends == dataset.test.offsets[1:].tolist()  # each sequence begins with a state of zero
    measured = evaluate_sequence_model(model, dataset.test)
    assert measured.confusion is not None
    assert (found["right"], found["decisions"]) == (np.trace(measured.confusion), measured.confusion.sum())
    assert found["saturated_inputs"] == measured.saturated
    assert model.feature_input is not None
    values = encode(model.feature_input, model.formats.event_bits, dataset.test.features, dataset.test.offsets).values
    assert found["input_events"] == np.count_nonzero(values) == found["counters"]["blocks"][0]["input_events"] > 0
    assert found["events"] > 0
    assert found["cycles_per_frame"] == 100
    assert found["core_real_time_factor"] == pytest.approx(100 / 50e6 * 100)
    assert found["real_time_factor"] == pytest.approx(found["seconds"] / frames * 100)
    assert dataset.test.labels is not None
    assert [one["class"] for one in found["sequences"]] == [dataset.class_names[label] for label in dataset.test.labels]


@pytest.fixture
def port(dataset: FeatureDataset, tmp_path: Path) -> Iterator[str]:
    with pseudo_terminal(FeatureDevice(made(dataset, tmp_path))) as path:
        yield path


def test_the_table_and_the_lines_say_what_was_found(tmp_path: Path, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = egru("run", tmp_path / "model", "--port", port, "--data", tmp_path / "data", "--check", "--plain")
    assert done.code == 0
    for shown in (
        "2 test sequences of strokes",
        "sequence 2, 54 frames ",
        ", is ",
        "accuracy",
        "saturated inputs",
        "all equal",
        "clock cycles per frame",
    ):
        assert shown in done.out
    assert " frames: " in done.err


def test_without_the_data_input_events_are_random(tmp_path: Path, port: str) -> None:
    done = egru("run", tmp_path / "model", "--port", port, "--frames", 20, "--check", "--json")
    found = done.json()
    assert (found["stimulus"], found["frames"], found["mismatches"]) == ("random input events", 20, 0)
    assert "accuracy" not in found
    assert "trained on strokes: input events are random unless" in done.err


@pytest.mark.parametrize("options", [(), ("--logits",)])
def test_a_wrong_answer_is_named(dataset: FeatureDataset, options: tuple[str, ...], tmp_path: Path) -> None:
    device = FeatureDevice(made(dataset, tmp_path, readout="last"))
    device.fault = 7
    with pseudo_terminal(device) as port:
        done = egru("run", tmp_path / "model", "--port", port, "--data", tmp_path / "data", "--check", *options)
    assert done.code == 1
    assert "check failed: answer to frame 6 is (" in done.err


def test_a_device_without_logits_is_refused_where_the_read_out_needs_them(dataset: FeatureDataset, tmp_path: Path) -> None:
    for readout, code in (("mean", 2), ("last", 0)):
        folder = tmp_path / readout
        with pseudo_terminal(FeatureDevice(made(dataset, folder, readout=readout), has_logits=False)) as port:
            done = egru("run", folder / "model", "--port", port, "--data", folder / "data", "--check", "--json")
        assert done.code == code
        assert ("gives no logits; generate a bitstream with them" in done.err) == (code == 2)


def test_regression_gives_errors_of_its_outputs(dataset: FeatureDataset, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    splits = {
        name: replace(split, labels=None, targets=rng.normal(size=(split.frames, 4)).astype(np.float32))
        for name, split in ((name, dataset.split(name)) for name in ("train", "valid", "test"))
    }
    targets = replace(dataset, task="regression", class_names=(), target_names=("a", "b", "c", "d"), **splits)  # type: ignore[arg-type]
    model = replace(
        knowing(dataset, RandomModelSpec(hidden=(12,), density=0.5, seed=3)),
        readout=Readout("regression", 1, rng.normal(size=4), rng.uniform(0.5, 2.0, 4)),
        class_names=targets.target_names,
    )
    model.save(tmp_path / "model")
    write_dataset(targets, tmp_path / "data")
    with pseudo_terminal(FeatureDevice(model)) as port:
        command = ("run", tmp_path / "model", "--port", port, "--data", tmp_path / "data", "--sequences", SEQUENCES, "--check", "--json")
        found = egru(*command).json()
    measured = evaluate_sequence_model(model, targets.test)
    assert measured.squared_error is not None
    assert list(found["squared_error"].values()) == pytest.approx(measured.squared_error.tolist(), rel=1e-12)
    assert found["mismatches"] == 0
    assert found["sequences"][0]["decision"].startswith("last outputs ")
    assert found["real_time_factor"] is None


def test_options_of_the_other_kind_are_refused(tmp_path: Path, port: str) -> None:
    for options, message in (
        (("--tokens", 3), "--tokens is for models of tokens, and this one reads features; leave it out"),
        (("--generate", 3), "--generate is for models of tokens"),
        (("--data", tmp_path / "data", "--sequences", 4), "sequences=4 exceeds the 3 test sequences of strokes"),
    ):
        done = egru("run", tmp_path / "model", "--port", port, *options)
        assert (done.code, done.out) == (2, "")
        assert message in done.err

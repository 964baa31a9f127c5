"""Models of features through the commands that make, prove and size hardware."""

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egru.stimulus import Inputs, choose_inputs, judge, sample_inputs
from sim import equivalence
from sim.comparison import LOGITS_FILE
from sim.runner import run_bench
from sw_model.datasets import SPLITS
from sw_model.feature_dataset import FeatureDataset, write_dataset
from sw_model.generated_features import GENERATED, generated_dataset
from sw_model.input_encoding import Encoding, calibrate, encode
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.readout import Readout, ReadoutKind
from sw_model.reference import BatchedReference
from sw_model.sequence_evaluation import evaluate_sequence_model
from tests.egru.conftest import egru
from tests.egru.test_energy import PROBES, accesses

TEST_SEQUENCES = 9


@pytest.fixture(scope="module")
def dataset() -> FeatureDataset:
    """A few sequences of the generated data set, under another name; the fifth reaches far beyond the others."""
    whole = generated_dataset()
    train, valid, test = (whole.split(name).select(np.arange(TEST_SEQUENCES)) for name in SPLITS)
    features = test.features.copy()
    features[test.offsets[4]] = 1e6
    return replace(whole, name="strokes", train=train, valid=valid, test=replace(test, features=features))


def knowing(dataset: FeatureDataset, spec: RandomModelSpec, readout: ReadoutKind = "mean", encoding: Encoding = "dense") -> QuantizedModel:
    """Return a random model that knows ``dataset`` as one does that was trained on it."""
    model = random_model(replace(spec, features=len(dataset.feature_names), encoding=encoding, classes=len(dataset.class_names)))
    found = calibrate(
        dataset.train.features, model.formats.event_bits, encoding, delta_threshold=4, names=dataset.feature_names, quantiles=(0.01, 0.99)
    )
    about = {"data": {"name": dataset.name}}
    return replace(model, feature_input=found, readout=Readout(readout), class_names=dataset.class_names, metadata=about)


@pytest.fixture(scope="module")
def model(dataset: FeatureDataset) -> QuantizedModel:
    return knowing(dataset, RandomModelSpec(hidden=(12,), density=0.5, seed=3))


@pytest.fixture(scope="module")
def streams(dataset: FeatureDataset, model: QuantizedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set, the model, and its hardware."""
    root = tmp_path_factory.mktemp("streams")
    write_dataset(dataset, root / "data")
    model.save(root / "model")
    egru("generate", root / "model", "--board", "ulx3s_85f", "--lanes", "3,2", "--out", root / "rtl", "--json").json()
    return root


def test_hardware_of_features_is_proved_and_judged(
    dataset: FeatureDataset, model: QuantizedModel, streams: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr(
        equivalence, "run_bench", lambda *given, sources, **options: run_bench(*given, sources=[*sources, PROBES], **options)
    )
    out = tmp_path / "out"
    done = egru(
        *("simulate", streams / "rtl", "--data", streams / "data", "--sequences", TEST_SEQUENCES),
        *("--counts", "--energy-model", "horowitz-45nm", "--out", out),
    )
    assert done.code == 0, done.err
    report = json.loads((out / "simulation.json").read_text())
    assert (report["steps"], report["mismatches"]) == (dataset.test.frames, 0)
    assert report["events"] > dataset.test.frames
    assert report["stimulus"] == f"{TEST_SEQUENCES} test sequences of strokes"
    # The reference, by another way, over the same split.
    found, measured = report["features"], evaluate_sequence_model(model, dataset.test)
    assert measured.confusion is not None
    assert (found["decisions"], found["right"]) == (TEST_SEQUENCES, int(np.trace(measured.confusion)))
    assert found["accuracy"] == measured.accuracy
    assert found["saturated_inputs"] == measured.saturated >= 6  # the frame that was put there
    assert found["input_event_density"] == measured.events.input_density
    assert found["input_events"] == report["blocks"][0]["counters"]["input_events"] > 0
    assert np.load(out / LOGITS_FILE).shape == (dataset.test.frames, 4)
    for words in (f"{found['right']} of {TEST_SEQUENCES}", f"{found['input_events']:,}", str(found["saturated_inputs"])):
        assert words in done.out
    # Every access that the probes saw was counted, those of the input events too.
    rows = {row["operation"]: (row["per_step"], row["bits_per_step"] or 0) for row in report["counts"]["operations"]}
    seen = accesses(Path(report["log"]))
    assert rows == {name: (count.number / report["steps"], count.bits / report["steps"]) for name, count in seen.items()}
    options = ("--lanes", "3,2", "--data", streams / "data", "--sequences", TEST_SEQUENCES, "--json")
    estimated = egru("estimate", streams / "model", *options).json()
    assert (estimated["steps"], estimated["cycles"]) == (report["steps"], report["cycles"])


@pytest.mark.usefixtures("csim")
def test_cpp_is_shown_every_test_sequence(dataset: FeatureDataset, model: QuantizedModel, streams: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hls"
    egru("generate", streams / "model", "--backend", "hls", "--lanes", "3,2", "--out", folder, "--json").json()
    assert "| channels, classes | 6, 4 |" in (folder / "README.md").read_text()
    data = ("--data", streams / "data", "--json")
    report, measured = egru("simulate", folder, *data, "--out", tmp_path / "out").json(), evaluate_sequence_model(model, dataset.test)
    assert (report["backend"], report["stimulus"]) == ("hls", f"{TEST_SEQUENCES} test sequences of strokes")
    assert (report["steps"], report["mismatches"]) == (dataset.test.frames, 0)
    assert report["values"] == dataset.test.frames * (2 * 12 + 4) + TEST_SEQUENCES + 2 + 1  # ends of sequences, hash, errors
    found = report["features"]
    assert (found["decisions"], found["accuracy"]) == (TEST_SEQUENCES, measured.accuracy)
    assert found["input_event_density"] == measured.events.input_density
    # As for RTL where somebody says how much.
    for options, shown in [
        (("--sequences", 3), "3 test sequences of strokes"),
        (("--steps", 5), "1 test sequence of strokes, the last one cut"),
    ]:
        assert egru("simulate", folder, *data, *options, "--out", tmp_path / "out", "--force").json()["stimulus"] == shown


def test_the_generated_folder_speaks_of_channels(streams: Path) -> None:
    folder = streams / "rtl"
    assert "| channels, classes | 6, 4 |" in (folder / "README.md").read_text()
    assert "words of 16 bits: {index of a channel, value}" in (folder / "README.md").read_text()
    assert "random input events" in (folder / "README.md").read_text()
    assert "48 steps" in (folder / "tb" / "egru_tb.sv").read_text()
    assert "token" not in re.findall(r"PASS: .*", (folder / "tb" / "egru_tb.sv").read_text())[0]
    assert re.search(r"\.ValueBits +\((32.d)?8\)", (folder / "rtl" / "egru_uart_core.sv").read_text())
    assert egru("verify", folder).code == 0


@pytest.mark.parametrize("encoding", ["dense", "delta"])
def test_inputs_are_whole_sequences_unless_steps_are_given(dataset: FeatureDataset, encoding: Encoding, streams: Path) -> None:
    knows, source = knowing(dataset, RandomModelSpec(hidden=(4,)), encoding=encoding), str(streams / "data")
    lengths = dataset.test.lengths

    def choose(sequences: int, steps: int | None = None) -> Inputs:
        return choose_inputs(knows, seed=1, source=source, sequences=sequences, steps=steps)

    every = choose(sequences=TEST_SEQUENCES)
    assert [len(one) for one in every.sequences] == lengths.tolist()
    third = choose(sequences=3)
    assert [one.tolist() for one in third.sequences] == [every.sequences[place].tolist() for place in (0, 3, 6)]
    assert third.split is not None
    assert dataset.test.labels is not None
    assert third.split.labels is not None
    assert third.split.labels.tolist() == dataset.test.labels[[0, 3, 6]].tolist()
    cut = choose(sequences=3, steps=int(lengths[0]) + 5)
    assert [one.tolist() for one in cut.sequences] == [third.sequences[0].tolist(), third.sequences[1][:5].tolist()]
    assert cut.cut
    assert cut.title == "2 test sequences of strokes, the last one cut"
    assert not choose(sequences=1, steps=int(lengths[0])).cut
    assert not choose(sequences=2, steps=10**6).cut
    # The saturated frame counts only where it is shown.
    assert choose(sequences=1).saturated < every.saturated
    sample = sample_inputs(knows, steps=12, sequences=2, seed=1, source=source)
    assert [len(one) for one in sample.sequences] == [6, 6]
    assert sample.title == "beginnings of 2 test sequences of strokes"


def test_what_a_model_of_features_is_shown_without_data(dataset: FeatureDataset) -> None:
    spec = RandomModelSpec(hidden=(4,))
    drawn = choose_inputs(knowing(dataset, spec), sequences=2, seed=1, steps=11)
    assert [one.shape for one in drawn.sequences] == [(6, 6), (5, 6)]
    assert drawn.remark.startswith("the model was trained on strokes: input events are random unless that data set is given with --data")
    assert drawn.split is None
    # The data set that is made is always there.
    made = choose_inputs(knowing(replace(dataset, name=GENERATED), spec), sequences=2, seed=1)
    assert made.title == "2 test sequences of generated"


@pytest.mark.parametrize("kind", ["last", "mean", "steps"])
def test_decisions_are_those_of_the_evaluation(dataset: FeatureDataset, kind: ReadoutKind) -> None:
    model = knowing(dataset, RandomModelSpec(hidden=(8,), density=0.6, seed=2), kind)
    split = dataset.test
    inputs = choose_inputs(replace(model, metadata={"data": {"name": "strokes"}}), sequences=2, seed=1, steps=4)
    assert inputs.steps == 4
    logits = reference_logits(model, dataset)
    found, measured = judge(model, split, logits, cut=False), evaluate_sequence_model(model, split)
    assert measured.confusion is not None
    assert (found["decisions"], found["right"]) == (measured.confusion.sum(), np.trace(measured.confusion))
    # A sequence that is not whole has no decision, only its steps have.
    cut = judge(model, split, logits, cut=True)["decisions"]
    assert cut == (split.frames if kind == "steps" else TEST_SEQUENCES - 1)


def test_errors_of_a_regression_are_those_of_the_evaluation(dataset: FeatureDataset) -> None:
    model = knowing(dataset, RandomModelSpec(hidden=(8,), density=0.6, seed=2))
    rng = np.random.default_rng(1)
    scales = Readout("regression", 1, rng.normal(size=4), rng.uniform(0.5, 2.0, 4))
    model = replace(model, readout=scales)
    split = replace(dataset.test, labels=None, targets=rng.normal(size=(dataset.test.frames, 4)).astype(np.float32))
    found = judge(model, split, reference_logits(model, dataset), cut=False)
    measured = evaluate_sequence_model(model, split)
    assert measured.squared_error is not None
    assert list(found["squared_error"]) == list(dataset.class_names)
    assert list(found["squared_error"].values()) == pytest.approx(measured.squared_error.tolist(), rel=1e-12)


def reference_logits(model: QuantizedModel, dataset: FeatureDataset) -> np.ndarray:
    assert model.feature_input is not None
    values = encode(model.feature_input, model.formats.event_bits, dataset.test.features, dataset.test.offsets).values
    reference, parts = BatchedReference(model), np.split(values, dataset.test.offsets[1:-1])
    return np.concatenate([step.logits for part in parts for step in reference.run(part[None])])


# What will not do


def refused(*arguments: object) -> str:
    done = egru(*arguments)
    assert (done.code, done.out) == (2, ""), done
    assert done.err.count("\n") == 1
    return done.err


def test_data_that_is_not_the_models(dataset: FeatureDataset, streams: Path, tmp_path: Path) -> None:
    def told(folder: Path) -> str:
        return refused("simulate", streams / "rtl", "--data", folder, "--out", tmp_path / "out")

    train, valid, test = (replace(one, features=one.features[:, :5]) for one in (dataset.train, dataset.valid, dataset.test))
    narrow = replace(dataset, train=train, valid=valid, test=test, feature_names=dataset.feature_names[:5])
    write_dataset(narrow, tmp_path / "narrow")
    assert "the model, trained on strokes has other features than strokes; " in told(tmp_path / "narrow")
    write_dataset(replace(dataset, class_names=("a", "b", "c", "d")), tmp_path / "classes")
    assert "has other classes or targets than strokes; " in told(tmp_path / "classes")
    assert "holds no dataset.json; " in told(tmp_path / "absent")
    assert " is not a finite number" in told(damaged(streams / "data", tmp_path / "nan", {"features": np.nan}))
    assert "length 0 of sequence 0 in file " in told(damaged(streams / "data", tmp_path / "empty", {"lengths": 0}))
    most = refused("simulate", streams / "rtl", "--data", streams / "data", "--sequences", 10, "--out", tmp_path / "out")
    assert "sequences=10 exceeds the 9 test sequences of strokes; use at most 9" in most
    assert not (tmp_path / "out").exists()


def damaged(source: Path, folder: Path, change: dict[str, float]) -> Path:
    """Copy a data set with the first value of an array of its test split changed, and hashes that fit, as no accident would."""
    shutil.copytree(source, folder)
    with np.load(folder / "test.npz") as held:
        arrays = {name: held[name].astype(np.float32) if name == "features" else held[name] for name in held.files}
    for name, value in change.items():
        arrays[name].flat[0] = value
    np.savez(folder / "test.npz", **arrays)
    about = json.loads((folder / "dataset.json").read_text())
    about["files"]["test.npz"] = hashlib.sha256((folder / "test.npz").read_bytes()).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("command", ["demo", "sweep"])
def test_what_takes_a_text_only_says_so_before_anything_is_trained(command: str, streams: Path, tmp_path: Path) -> None:
    for source in (GENERATED, str(streams / "data")):
        table = f'data = {{ source = "{source}" }}\n'
        (tmp_path / "demo.toml").write_text(table)
        (tmp_path / "sweep.toml").write_text(f"[base]\n{table}[grid]\nsparsity = [0, 0.5]\n")
        option = ("--config",) if command == "demo" else ()
        line = refused(command, *option, tmp_path / f"{command}.toml", "--out", tmp_path / "out")
        assert f"data set {source} is of feature streams, and egru {command} takes a text; " in line
    assert not (tmp_path / "out").exists()


def test_a_model_that_names_nothing_takes_no_data(streams: Path, tmp_path: Path) -> None:
    random_model(RandomModelSpec(hidden=(4,), features=6)).save(tmp_path / "model")
    line = refused("estimate", tmp_path / "model", "--lanes", 1, "--data", streams / "data")
    assert "cannot be shown to a model that does not name its features and classes; leave out --data" in line

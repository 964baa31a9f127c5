"""The LSTM baseline on a CPU: against torch's own LSTM and optimiser, padded and as given, stopped and resumed."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner, Result

from benchmarks import lstm_baseline
from benchmarks.lstm_baseline import NEVER, PROGRESS_FOLDER, LstmNetwork, LstmStepper, Training, aligned, load_lstm_recipe
from benchmarks.paper_results import RECORD_FILE, CurvePoint, RunRecord
from sw_model.datasets import TextDataset, load_text
from sw_model.evaluate import deal
from sw_model.train import Batches, learning_rate
from sw_model.train_config import TrainConfig

CPU = torch.device("cpu")
TOKENS, STREAMS, CHUNK = 11, 4, 6
DROPOUT = {"word": 0.1, "embedding": 0.3, "between": 0.2, "decoder": 0.3, "recurrent": 0.5}
RECIPE = """
[data]
unit = "words"

[dense]
steps = 12
streams = 4
chunk = 6
learning_rate = 3e-2
betas = [0.0, 0.999]
weight_decay = 0.1
gradient_clip = 0.5
validate_every = 4
checkpoint_every = 3
cosine_from = 6
dropout = { word = 0.1, embedding = 0.3, between = 0.2, decoder = 0.3, recurrent = 0.5 }
network = { embedding_size = 5, hidden_sizes = [7, 5], tied_decoder = true }

[prune]
anything = "is not read"
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Products of this size are slower by far on several threads, where others want the cores too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def a_config(**changes: object) -> TrainConfig:
    network = {"embedding_size": 5, "hidden_sizes": (7, 5), "tied_decoder": True}
    fields: dict[str, object] = {"network": network, "steps": 8, "streams": STREAMS, "chunk": CHUNK, "learning_rate": 1e-2}
    return TrainConfig.model_validate(fields | {"betas": (0.0, 0.999), "weight_decay": 0.1, "gradient_clip": 0.05} | changes)


def a_chunk(seed: int) -> Tensor:
    return torch.randint(TOKENS, (CHUNK + 1, STREAMS), generator=torch.Generator().manual_seed(seed))


def do_steps(stepper: LstmStepper, numbers: range) -> list[float]:
    return [stepper.step(a_chunk(number), number == 0, 1e-2, 100 + number).item() for number in numbers]


def command(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(lstm_baseline.run)
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(RECIPE)
    return tmp_path / "small.toml"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text in the Penn Treebank layout, with something to learn."""
    folder = tmp_path / "ptb"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for split, lines in (("train", 60), ("valid", 20), ("test", 20)):
        words = [["a", "b", "c", "d", str(rng.integers(5))] for _ in range(lines)]
        (folder / f"ptb.{split}.txt").write_text("\n".join(" ".join(line) for line in words) + "\n")
    return folder


def test_without_dropout_a_step_is_torchs_lstm_and_adamw() -> None:
    config = a_config()
    stepper = LstmStepper(config, TOKENS, CPU, padded=False)
    mine = dict(stepper.network.named_parameters())
    embedding, bias = (nn.Parameter(mine[name].detach().clone()) for name in ("embedding", "decoder_bias"))
    lstms = [nn.LSTM(5, 7), nn.LSTM(7, 5)]
    for index, lstm in enumerate(lstms):
        lstm.load_state_dict({f"{name}_l0": mine[f"layers.{index}.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})
    parameters = [embedding, bias, *(parameter for lstm in lstms for parameter in lstm.parameters())]
    matrices, rest = ([p for p in parameters if (p.ndim > 1) is wanted] for wanted in (True, False))
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2, betas=config.betas, fused=True)
    state: list[tuple[Tensor, Tensor] | None] = [None, None]
    for number in range(3):
        chunk = a_chunk(number)
        x = functional.embedding(chunk[:-1], embedding)
        for index, lstm in enumerate(lstms):
            x, after = lstm(x, state[index])
            state[index] = (after[0].detach(), after[1].detach())
        loss = functional.cross_entropy(functional.linear(x, embedding, bias).flatten(0, 1), chunk[1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, config.gradient_clip)
        optimizer.step()
        assert stepper.step(chunk, number == 0, 1e-2, number).item() == loss.item()
    assert torch.equal(mine["embedding"], embedding)
    assert torch.equal(mine["layers.1.weight_hh"], dict(lstms[1].named_parameters())["weight_hh_l0"])
    assert torch.equal(mine["decoder_bias"], bias)


def test_padding_is_the_same_network_and_stays_zero_under_dropout_and_decay() -> None:
    given, padded = (LstmStepper(a_config(), TOKENS, CPU, padded=flag) for flag in (False, True))
    tokens = np.random.default_rng(2).integers(0, TOKENS, 400)
    # Sums over more terms are cut elsewhere, so the last bits may differ.
    assert padded.evaluate(tokens, 2) == pytest.approx(given.evaluate(tokens, 2), rel=1e-6)
    assert do_steps(padded, range(3)) == pytest.approx(do_steps(given, range(3)), rel=1e-5)
    assert padded.network.values == given.network.values == sum(p.numel() for p in given.network.parameters())

    dropped = LstmStepper(a_config(dropout=DROPOUT), TOKENS, CPU)
    do_steps(dropped, range(4))
    unpadded = {name: parameter.shape for name, parameter in given.network.named_parameters()}
    for name, parameter in dropped.network.named_parameters():
        gates = 4 if name.startswith("layers") else 1
        blocks = torch.unflatten(parameter.detach().clone(), 0, (gates, -1))
        rows, *columns = unpadded[name]
        inside = blocks[:, : rows // gates, : columns[0]] if columns else blocks[:, : rows // gates]
        assert blocks.shape[1] == aligned(rows // gates)
        assert bool(inside.any())
        inside.zero_()
        outside = {0.0, NEVER} if name == "decoder_bias" else {0.0}
        assert set(blocks.flatten().tolist()) <= outside
    assert all(not part[..., size:].any() for pair, size in zip(dropped._state, (7, 5), strict=True) for part in pair)


def test_masks_are_shared_by_the_streams_and_drawn_for_every_time_step() -> None:
    stepper = LstmStepper(a_config(dropout=DROPOUT), TOKENS, CPU, padded=False)
    # The same text in all streams: with masks of their own they would part.
    chunk = a_chunk(1)[:, :1].expand(-1, STREAMS)
    stepper.step(chunk, True, 1e-2, 5)
    for h, c in stepper._state:
        assert torch.equal(h, h[:, :1].expand_as(h))
        assert torch.equal(c, c[:, :1].expand_as(c))
    masks = stepper._masks
    assert masks.embedding is not None
    assert masks.embedding.keep.shape == (CHUNK, 1, 5)
    assert masks.word is not None
    assert masks.word.keep.shape == (TOKENS, 1)


@pytest.mark.parametrize("kind", DROPOUT)
def test_every_kind_of_dropout_changes_training_by_its_seed_and_evaluation_not(kind: str) -> None:
    config = a_config(dropout={kind: 0.5})
    first, same, other = (LstmStepper(config, TOKENS, CPU, padded=False) for _ in range(3))
    tokens = np.random.default_rng(2).integers(0, TOKENS, 200)
    assert first.evaluate(tokens, 2) == LstmStepper(a_config(), TOKENS, CPU, padded=False).evaluate(tokens, 2)
    losses = [stepper.step(a_chunk(1), True, 1e-2, seed).item() for stepper, seed in ((first, 7), (same, 7), (other, 8))]
    assert losses[0] == losses[1] != losses[2]


def test_dropped_entries_of_r_get_no_gradient_and_the_rest_is_scaled() -> None:
    torch.manual_seed(0)
    network = LstmNetwork(a_config().network, TOKENS, a_config(dropout={"recurrent": 0.5}).dropout, padded=False)
    logits, _ = network(a_chunk(1)[:-1], network.initial_state(STREAMS, torch.float32))
    logits.square().sum().backward()
    for layer in network.lstm_layers():
        assert layer.weight_hh.grad is not None
        assert layer.weight_ih.grad is not None
        dropped = (layer.weight_hh.grad == 0).float().mean().item()
        assert 0.3 < dropped < 0.7
        assert bool(layer.weight_ih.grad.all())
    network.eval()
    state = network.initial_state(STREAMS, torch.float32)
    assert torch.equal(network(a_chunk(1)[:-1], state)[0], network(a_chunk(1)[:-1], state, None)[0])


def test_a_sequence_begins_at_zero_and_goes_on_from_chunk_to_chunk() -> None:
    config = a_config()
    fresh, carried = (LstmStepper(config, TOKENS, CPU, padded=False) for _ in range(2))
    begun = fresh.step(a_chunk(1), True, 0.0, 1).item()
    assert carried.step(a_chunk(0), True, 0.0, 1).item() != begun
    assert carried.step(a_chunk(1), False, 0.0, 1).item() != begun
    assert carried.step(a_chunk(1), True, 0.0, 1).item() == begun


def test_perplexity_is_that_of_one_pass_over_the_dealt_text() -> None:
    stepper = LstmStepper(a_config(dropout=DROPOUT), TOKENS, CPU)
    tokens = np.random.default_rng(4).integers(0, TOKENS, 700)
    dealt = torch.as_tensor(deal(tokens, 4)).t()
    assert dealt.shape[1] == 4
    network = stepper.network.eval()
    with torch.no_grad():
        logits, _ = network(dealt[:-1], network.initial_state(4, torch.float32))
    nats = functional.cross_entropy(logits[..., :TOKENS].flatten(0, 1), dealt[1:].flatten())
    assert stepper.evaluate(tokens, 4) == pytest.approx(math.exp(nats.item()), rel=1e-6)
    assert network.training


def test_a_stopped_run_goes_on_to_the_same_result(recipe: Path, text: Path, tmp_path: Path) -> None:
    common = ("--config", recipe, "--data", text, "--device", "cpu")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    result = command(*common, "--out", whole)
    assert result.exit_code == 0, result.output
    assert command(*common, "--out", parts, "--seconds", "0").exit_code == 0
    assert not (parts / RECORD_FILE).exists()  # nothing is known of its quality yet
    assert command(*common, "--out", parts).exit_code == 2  # neither --resume nor a free folder

    # A run that is killed after its seventh step has its checkpoint of the sixth, and its record of the fourth.
    text_read = load_text(text, "words")
    config = load_lstm_recipe(recipe).dense
    training = Training(config, text_read)
    training.restore(parts / PROGRESS_FOLDER)
    steps = training.stepper.step
    calls = iter(range(7))
    training.stepper.step = lambda *given: (next(calls), steps(*given))[1]  # type: ignore[method-assign]
    with pytest.raises(StopIteration):
        training.run(parts, recipe.stem)
    under_way = json.loads((parts / RECORD_FILE).read_text())
    assert (under_way["steps"], under_way["test_perplexity"]) == (4, None)
    result = command(*common, "--out", parts, "--resume")
    assert result.exit_code == 0, result.output

    records = [RunRecord.model_validate_json((folder / RECORD_FILE).read_text()) for folder in (whole, parts)]
    assert records[0].model_dump(exclude={"name", "seconds"}) == records[1].model_dump(exclude={"name", "seconds"})
    record = records[1]
    assert (record.name, record.dataset, record.cell, record.recipe, record.steps) == ("parts", "ptb", "lstm", "small", 12)
    assert [round(point.epoch * 14) for point in record.curve] == [4, 8, 12]
    assert record.validation_perplexity == min(point.validation_perplexity for point in record.curve) < 9
    assert record.test_perplexity < 9
    assert [path.name for path in parts.iterdir()] == [RECORD_FILE]
    before = (parts / RECORD_FILE).read_bytes()
    assert command(*common, "--out", parts, "--resume").exit_code == 0
    assert (parts / RECORD_FILE).read_bytes() == before


def test_what_would_be_another_run_is_not_resumed(recipe: Path, text: Path, tmp_path: Path) -> None:
    common = ("--config", recipe, "--data", text, "--device", "cpu", "--out", tmp_path / "run")
    assert command(*common, "--seconds", "0").exit_code == 0
    refused = command(*common, "--resume", "--unpadded")
    assert (refused.exit_code, "has another configuration" in " ".join(refused.stderr.split())) == (2, True)
    recipe.write_text(RECIPE.replace("steps = 12", "steps = 13"))
    refused = command(*common, "--resume")
    assert (refused.exit_code, "has another configuration" in " ".join(refused.stderr.split())) == (2, True)
    (tmp_path / "run" / "unfinished" / "tensors.safetensors").write_bytes(b"cut")
    refused = command(*common, "--resume")
    assert (refused.exit_code, "cannot be read" in " ".join(refused.stderr.split())) == (2, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("weight_decay", "weight_decoy"), "did you mean 'weight_decay'?"),
        (("tied_decoder = true", "tied_decoder = false"), "add tied_decoder = true"),
        (("chunk = 6", "chunk = 6\npruning = { sparsity = 0.5, end_step = 2 }"), "leave pruning out"),
        (("chunk = 6", "chunk = 600"), "lower streams or chunk"),
        (("steps = 12", "steps = 1\npatience = 0.5"), "patience"),
    ],
)
def test_a_recipe_that_cannot_be_trained_is_refused(change: tuple[str, str], words: str, recipe: Path, text: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE.replace(*change))
    result = command("--config", recipe, "--data", text, "--device", "cpu", "--out", tmp_path / "run")
    assert (result.exit_code, words in " ".join(result.stderr.split())) == (2, True)
    assert not (tmp_path / "run").exists()


def test_a_text_that_is_not_reported_and_a_loss_that_is_no_number_are_refused(recipe: Path, text: Path, tmp_path: Path) -> None:
    other = text.rename(tmp_path / "novel")
    result = command("--config", recipe, "--data", other, "--device", "cpu", "--out", tmp_path / "run")
    assert (result.exit_code, "give a folder named ptb or wikitext2" in " ".join(result.stderr.split())) == (2, True)
    recipe.write_text(RECIPE.replace("3e-2", "1e30"))
    result = command("--config", recipe, "--data", other.rename(text), "--device", "cpu", "--out", tmp_path / "run")
    assert (result.exit_code, "is not a number any more" in " ".join(result.stderr.split())) == (2, True)


def a_dataset() -> TextDataset:
    tokens = np.random.default_rng(1).integers(0, TOKENS, 400)
    return TextDataset("ptb", "words", tuple("abcdefghijk"), tokens, tokens[:100], tokens[:100])


def test_a_run_reads_the_text_chunk_by_chunk_with_rate_and_seed_of_its_step(tmp_path: Path) -> None:
    config, dataset = a_config(steps=20, validate_every=100, warmup_steps=5, seed=3), a_dataset()
    training = Training(config, dataset, padded=False)
    given: list[tuple[Tensor, bool, float, int]] = []
    step = training.stepper.step
    training.stepper.step = lambda *call: (given.append(call), step(*call))[1]  # type: ignore[method-assign,func-returns-value]
    training.run(tmp_path, "recipe")
    batches = Batches(dataset.train, config)
    assert len(given) == config.steps
    assert sum(first for _, first, _, _ in given) == 2  # epochs begun
    for number, (chunk, first, rate, seed) in enumerate(given):
        expected, begins = batches.at(number)
        assert torch.equal(chunk, expected)
        assert (first, rate, seed) == (begins, learning_rate(config, number), 3 * 1_000_003 + number)


def test_patience_ends_a_run() -> None:
    training = Training(a_config(steps=50, patience=2), a_dataset(), padded=False)
    training.curve = [CurvePoint(epoch=e, validation_perplexity=2.0 + e, event_density=[], weight_density=1.0) for e in range(3)]
    assert training._ended()
    training.curve.pop()
    assert not training._ended()

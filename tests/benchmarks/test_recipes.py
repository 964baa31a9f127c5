"""The recipes of the published language models: whole epochs, one network and text for EGRU and LSTM, and what the GPU takes."""

from pathlib import Path

import pytest

from benchmarks.lstm_baseline import load_lstm_recipe
from benchmarks.paper_results import DATASET_NAMES
from sw_model.stepper import STREAM_TILE
from sw_model.train_config import TrainConfig, load_recipe

LSTM_RECIPES = Path(__file__).parents[2] / "benchmarks" / "recipes"
#: Words of the training split, with one sign for every end of line.
WORDS = {"ptb": 929_589, "wikitext2": 2_088_628}


def steps_per_epoch(name: str, phase: TrainConfig) -> int:
    return (WORDS[name] // phase.streams - 1) // phase.chunk


@pytest.mark.parametrize("name", DATASET_NAMES)
def test_phases_are_whole_epochs(name: str) -> None:
    recipe, lstm = load_recipe(name), load_lstm_recipe(LSTM_RECIPES / f"{name}_lstm.toml")
    for phase in (recipe.dense, recipe.prune, recipe.qat, lstm.dense):
        epoch = steps_per_epoch(name, phase)
        counts = [phase.steps, phase.cosine_from, phase.validate_every, phase.checkpoint_every]
        if phase.pruning:
            counts += [phase.pruning.start_step, phase.pruning.end_step, phase.pruning.interval]
        assert [count % epoch for count in counts] == [0] * len(counts)
        assert (phase.device, phase.streams % STREAM_TILE) == ("cuda", 0)


@pytest.mark.parametrize("name", DATASET_NAMES)
def test_the_lstm_is_the_egru_s_peer(name: str) -> None:
    recipe, lstm = load_recipe(name), load_lstm_recipe(LSTM_RECIPES / f"{name}_lstm.toml")
    assert lstm.data == recipe.data
    for field in ("embedding_size", "hidden_sizes", "tied_decoder"):
        assert getattr(lstm.dense.network, field) == getattr(recipe.dense.network, field)
    for field in ("streams", "chunk", "learning_rate", "weight_decay"):
        values = {getattr(phase, field) for phase in (recipe.dense, recipe.prune, lstm.dense)}
        assert len(values) == 1, field


@pytest.mark.parametrize("name", DATASET_NAMES)
def test_a_trunk_keeps_its_learning_rate_and_a_branch_has_pruned_before_it_falls(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.dense.final_learning_rate == 1.0
    assert recipe.prune.pruning is not None
    assert recipe.prune.pruning.end_step <= recipe.prune.cosine_from < recipe.prune.steps

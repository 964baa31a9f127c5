from pathlib import Path

import pytest
from pydantic import ValidationError

from sw_model.errors import UserError
from sw_model.train_config import TrainConfig, load_recipe


def test_demo_recipe_describes_three_phases() -> None:
    recipe = load_recipe()
    assert recipe.dense.quantization is None
    assert recipe.prune.pruning is not None
    assert recipe.prune.pruning.sparsity >= 0.8
    assert recipe.qat.quantization is not None
    assert all(neurons % 16 == 0 for neurons in recipe.dense.network.hidden_sizes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[dense]\nsteps = 1\n[prune]\nsteps = 1\n[qat]\nsteps = 1\nlearnig_rate = 1.0", "learnig_rate"),
        ("[dense]\nsteps = 0\n[prune]\nsteps = 1\n[qat]\nsteps = 1", r"dense\.steps"),
        ("[dense]\nsteps = 1\n[prune]\nsteps = 1", "qat"),
        ("[dense", "TOML"),
    ],
)
def test_wrong_recipes_are_named(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        load_recipe(file)


def test_missing_recipe_lists_those_that_ship() -> None:
    with pytest.raises(UserError, match=r"recipe nowhere does not exist; give a TOML file or one of .*demo"):
        load_recipe("nowhere")


def test_pruning_must_end_within_the_phase() -> None:
    with pytest.raises(ValidationError, match="pruning must end before steps=10"):
        TrainConfig.model_validate({"steps": 10, "pruning": {"sparsity": 0.5, "end_step": 10}})

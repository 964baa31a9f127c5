from pathlib import Path

import pytest

from egru.config import StrictModel, load_config
from sw_model.errors import UserError


class Train(StrictModel):
    epochs: int = 3
    learning_rate: float = 1e-3
    layers: tuple[int, ...] = (64,)


class Whole(StrictModel):
    seed: int = 0
    train: Train = Train()


def write(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text)
    return path


def test_defaults_file_and_command_line_override_one_another(tmp_path: Path) -> None:
    path = write(tmp_path, "seed = 4\n[train]\nepochs = 9\nlayers = [8, 16]\n")
    assert load_config(Whole) == Whole()
    assert load_config(Whole, path) == Whole(seed=4, train=Train(epochs=9, layers=(8, 16)))
    assert load_config(Whole, path, {"train.epochs": 1, "seed": None}).train.epochs == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepocs = 9\n", "key 'train.epocs' in {path} is not known; did you mean 'epochs'?"),
        ("sed = 1\n", "key 'sed' in {path} is not known; did you mean 'seed'?"),
        ("zzzzzz = 1\n", "key 'zzzzzz' in {path} is not known; legal keys here: seed, train"),
        ("[trian]\nepochs = 9\n", "key 'trian' in {path} is not known; did you mean 'train'?"),
        (
            "[train]\nepochs = '9'\n",
            "key 'train.epochs' = '9' in {path} is not accepted: input should be a valid integer; change the value",
        ),
    ],
)
def test_a_bad_key_is_one_line_that_names_key_file_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_config(Whole, path)
    assert str(caught.value) == message.format(path=path)


def test_a_file_that_is_not_toml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not valid TOML: .*line 2"):
        load_config(Whole, write(tmp_path, "seed = 1\nseed 2\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_config(Whole, tmp_path / "absent.toml")


def test_a_wrong_override_names_the_command_line() -> None:
    with pytest.raises(UserError, match=r"key 'train\.epochs' = 'x' in the command line"):
        load_config(Whole, None, {"train.epochs": "x"})

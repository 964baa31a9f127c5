"""Names in a user's file lead nowhere: no loader opens, and no command writes, a file outside the folders that were named."""

import json
import random
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.hostile_files import places, toml
from benchmarks.loaders import FOLDER, LANES, LOADERS, SPEC, Loader
from hls_gen.board import BOARD_FILE, BOARDS_FOLDER, load_board
from hls_gen.hls_project import write_hls_project
from hls_gen.project import write_project
from hls_gen.weight_swap import image_files
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import random_model
from tests.egru.conftest import egru
from tests.robustness.file_events import tree, watched

OUTSIDE, SECRET = "outside", "secret.txt"
STRUCTURED = [loader for loader in LOADERS if loader.file.endswith((".json", ".toml"))]
#: Of each file; the same kind of name stands in many places.
MOST_PLACES = 6


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a neighbour that nobody named."""
    for folder in (OUTSIDE, FOLDER):
        (tmp_path / folder).mkdir()
    (tmp_path / OUTSIDE / SECRET).write_text("secret")
    return tmp_path


def names(root: Path) -> list[str]:
    """Names that lead to the secret, or would make a file beside it, from a folder one or two levels deep."""
    inside = f"{OUTSIDE}/{SECRET}"
    return [f"../{inside}", f"../../{inside}", f"a/../../{inside}", str(root / inside), f"../{OUTSIDE}/new", f"{OUTSIDE}\0/../../{inside}"]


def spoilt(loader: Loader, data: bytes, hostile: list[str]) -> Iterator[bytes]:
    """Yield the file with a hostile name in the place of a text, or of a key, one after the other."""
    json_file = loader.file.endswith(".json")

    def parsed() -> Any:
        return json.loads(data) if json_file else tomllib.loads(data.decode())

    count = len(places(parsed()))
    rng = random.Random(loader.name)
    for number in sorted(rng.sample(range(count), min(MOST_PLACES, count))):
        name = hostile[number % len(hostile)]
        for as_key in (False, True):
            tree_ = parsed()
            holder, key = places(tree_)[number]
            if as_key and not isinstance(holder, dict):
                continue
            if as_key:
                holder[name] = holder.pop(key)
            else:
                holder[key] = name
            yield json.dumps(tree_).encode() if json_file else toml(tree_)


@pytest.mark.parametrize("loader", STRUCTURED, ids=lambda loader: loader.name)
def test_no_name_in_a_file_is_followed_out_of_its_folder(loader: Loader, root: Path) -> None:
    folder = root / FOLDER
    loader.make(folder)
    before, valid = tree(root / OUTSIDE), (folder / loader.file).read_bytes()
    for data in spoilt(loader, valid, names(root)):
        (folder / loader.file).write_bytes(data)
        with watched(root / OUTSIDE) as watch, suppress(UserError):
            loader.read(folder)
        assert not [path for path in watch.read if OUTSIDE in path.parts], data
        assert watch.events == [], data
    assert tree(root / OUTSIDE) == before


@pytest.mark.parametrize("key", ["constraints", "top"])
@pytest.mark.parametrize("name", ["../../outside/secret.txt", "/etc/passwd", "..", "a/b", "", "a\\u0000b"])
def test_a_board_names_files_of_its_own_folder(key: str, name: str, root: Path) -> None:
    folder = root / FOLDER / "icebreaker"
    shutil.copytree(BOARDS_FOLDER / "icebreaker", folder)
    lines = [line for line in (folder / BOARD_FILE).read_text().splitlines() if not line.startswith(f"{key} =")]
    (folder / BOARD_FILE).write_text(f'{key} = "{name}"\n' + "\n".join(lines))
    with pytest.raises(UserError, match=f"key '{key}' = "):
        load_board("icebreaker", folder.parent)


@pytest.mark.parametrize("name", ["../outside/secret.txt", "/etc/passwd", "a/b", "", ".", "a\0b", "a" * 300 + "/b"])
def test_a_memory_names_no_other_folder(name: str) -> None:
    with pytest.raises(UserError, match="is none of ours"):
        image_files({"memories": [{"name": name, "bits": 4, "depth": 4}]})


def test_no_name_in_a_model_takes_a_command_out_of_its_output_folder(root: Path) -> None:
    model = random_model(SPEC)
    hostile = names(root)
    QuantizedModel(
        **{**vars(model), "vocabulary": tuple(hostile[:4]), "metadata": {"data": {"name": hostile[0], "unit": "words"}, hostile[1]: {}}}
    ).save(root / FOLDER, force=True)
    before = tree(root / OUTSIDE)
    with watched(root) as watch:
        writers: tuple[Callable[..., object], ...] = (write_project, write_hls_project)
        for number, write in enumerate(writers):
            write(QuantizedModel.load(root / FOLDER), LANES, root / f"out{number}")
        assert egru("generate", root / FOLDER, "--lanes", 1, "--out", root / "out2").code == 0
        assert egru("estimate", root / FOLDER, "--lanes", 1, "--json").code == 0
        assert egru("verify", root / "out2", "--json").code == 0
    for event, paths in watch.events:
        assert all(path == root or path.relative_to(root).parts[0].startswith((".out", "out")) for path in paths), (event, paths)
    assert tree(root / OUTSIDE) == before


@pytest.mark.parametrize("name", ["[/red]", "[bold]x[/]", "a\udcffb", "%s", "-x"])
def test_a_folder_may_have_any_name(name: str, root: Path) -> None:
    model = random_model(SPEC)
    folder = root / name / "model"
    model.save(folder)
    done = egru("generate", folder, "--lanes", 1, "--out", root / name / "out")
    assert done.code == 0, done.err
    assert egru("verify", root / name / "out").code == 0
    assert "3 lanes" in done.out

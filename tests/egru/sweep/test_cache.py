"""Entries that are not as they were written, and what a key covers."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from egru.sweep import cache as module
from egru.sweep.cache import DAMAGED, Cache, Code
from hls_gen.manifest import MANIFEST_FILE
from tests.egru.sweep.fake_stages import RESULT, diamond, fake, lines, read


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def _foreign(folder: Path) -> None:
    other = next(path for path in folder.parent.glob("first-*") if path != folder)
    rmtree(folder)
    copytree(other, folder)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered": (lambda folder: _rewrite(folder / RESULT, lambda text: text.replace("3", "4")), f"has an altered file {RESULT}"),
    "cut off": (lambda folder: _rewrite(folder / RESULT, lambda text: ""), f"has an altered file {RESULT}"),
    "gone": (lambda folder: (folder / RESULT).unlink(), f"lacks its file {RESULT}"),
    "added": (lambda folder: (folder / "more").touch(), "holds a file more that is not its own"),
    "no manifest": (lambda folder: (folder / MANIFEST_FILE).unlink(), f"holds no {MANIFEST_FILE}"),
    "manifest cut off": (lambda folder: _rewrite(folder / MANIFEST_FILE, lambda text: text[:-9]), f"has a damaged {MANIFEST_FILE} ("),
    "other format": (lambda folder: _rewrite(folder / MANIFEST_FILE, lambda text: text.replace("egru-sweep-entry", "x")), "has a damaged "),
    "foreign": (_foreign, "holds another result: first of key "),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_named_set_aside_and_computed_again(tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    store, log = Cache(tmp_path / "cache"), tmp_path / "log"
    first = fake(log, "first")
    second, whole = fake(log, "second", first), fake(log, "whole", first)
    for task in (first, second, whole):
        store.produce(task)
    folder = store.folder(second)
    spoil, said = DAMAGES[damage]
    spoil(folder)
    assert store.find(second) is None
    message = capsys.readouterr().err
    assert message.startswith(f"cache entry {folder} {said}")
    assert message.endswith("and will be computed again if it is needed\n")
    assert list((store.root / DAMAGED).glob(f"{second.name}.*/{second.name}"))
    store.produce(second)
    assert read(store.folder(second)) == 3
    assert store.find(whole) is not None
    assert lines(log) == ["first", "second", "whole", "second"]


def test_a_manifest_says_what_an_entry_is(tmp_path: Path) -> None:
    store = Cache(tmp_path / "cache")
    _, right = diamond(tmp_path / "log")
    for task in (right.inputs["first"], right.inputs["second"], right):
        entry = store.produce(task)
    manifest = json.loads((entry.folder / MANIFEST_FILE).read_text())
    assert manifest["settings"] == right.settings
    assert manifest["inputs"] == {name: task.key for name, task in right.inputs.items()}
    assert sorted(manifest["files"]) == ["log.txt", RESULT]
    assert store.seconds(right) == manifest["seconds"] == entry.seconds


def test_a_key_covers_stage_settings_inputs_and_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    (tmp_path / "package").mkdir()
    source = tmp_path / "package" / "a.py"
    source.write_text("one")
    monkeypatch.setattr(module, "PACKAGE_ROOT", tmp_path)
    monkeypatch.setattr(module, "versions", lambda packages: {package: "1.0" for package in packages})

    def key(**changes: object) -> str:
        module._fingerprint.cache_clear()
        task = fake(log, "second", fake(log, "first", **{"seed": 1} | {k: v for k, v in changes.items() if k == "seed"}))
        return module.Task(
            **{
                **{name: getattr(task, name) for name in ("stage", "run", "settings", "inputs")},
                "code": Code(("package",), ("tool",)),
                **{name: value for name, value in changes.items() if name != "seed"},
            }
        ).key

    before = key()
    assert key() == before
    assert key(source="elsewhere") == before  # where a text lies is no part of it
    (tmp_path / "package" / "a.pyc").write_text("compiled")
    (tmp_path / "report.py").write_text("not what computes it")
    assert key() == before
    others = [key(stage="third"), key(settings={"name": "x"}), key(seed=2), key(inputs={})]
    monkeypatch.setattr(module, "versions", lambda packages: {package: "1.1" for package in packages})
    others.append(key())
    monkeypatch.undo()
    monkeypatch.setattr(module, "PACKAGE_ROOT", tmp_path)
    monkeypatch.setattr(module, "versions", lambda packages: {package: "1.0" for package in packages})
    assert key() == before
    source.write_text("two")
    others.append(key())
    assert len({before, *others}) == len(others) + 1
    module._fingerprint.cache_clear()

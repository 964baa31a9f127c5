import lzma
import os
from pathlib import Path

import numpy as np
import pytest

from sw_model import datasets
from sw_model.datasets import embedded_text, encode, join, load_text, symbols_of
from sw_model.errors import UserError


def test_embedded_text_is_the_default() -> None:
    text = load_text()
    assert text.name == "pydoc-topics"
    assert len(text.train) + len(text.valid) + len(text.test) == len(embedded_text()) > 300_000
    assert 90 <= len(text.vocabulary) <= 200
    assert join((text.vocabulary[t] for t in text.train[:1000]), "characters") == embedded_text()[:1000]


def test_splits_are_contiguous_and_always_the_same(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("abcdefghij" * 100, encoding="utf-8")
    text = load_text(file)
    assert (len(text.train), len(text.valid), len(text.test)) == (900, 50, 50)
    whole = np.concatenate([text.split(name) for name in ("train", "valid", "test")])
    assert join((text.vocabulary[t] for t in whole), "characters") == "abcdefghij" * 100
    assert np.array_equal(load_text(file).train, text.train)


def test_words_with_ends_of_line(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(b"one two\r\n\r\nthree\n" * 100)
    text = load_text(file, "words")
    assert set(text.vocabulary) == {"one", "two", "three", "<eos>"}
    assert [text.vocabulary[t] for t in text.train[:6]] == ["one", "two", "<eos>", "<eos>", "three", "<eos>"]


def test_unseen_symbols_become_unknown(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("ab" * 450 + "ab" * 25 + "zq" * 25, encoding="utf-8")
    text = load_text(file)
    assert text.vocabulary == ("<unk>", "a", "b")
    assert text.test.tolist() == [0] * 50


def test_vocabulary_can_be_limited(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("a a a b b c d\n" * 100, encoding="utf-8")
    text = load_text(file, "words", max_vocabulary=4)
    assert text.vocabulary == ("<unk>", "<eos>", "a", "b")
    assert [text.vocabulary[t] for t in text.train[:8]] == ["a", "a", "a", "b", "b", "<unk>", "<unk>", "<eos>"]


def _treebank(folder: Path) -> None:
    (folder / "ptb.train.txt").write_text(" a b c \n d <unk> a \n" * 20, encoding="utf-8")
    (folder / "ptb.valid.txt.xz").write_bytes(lzma.compress(b" a b \n zebra \n"))
    (folder / "ptb.test.txt").write_text(" c d \n", encoding="utf-8")


def test_treebank_layout(tmp_path: Path) -> None:
    _treebank(tmp_path)
    text = load_text(tmp_path, "words")
    assert set(text.vocabulary) == {"<unk>", "<eos>", "a", "b", "c", "d"}
    assert [text.vocabulary[t] for t in text.valid] == ["a", "b", "<eos>", "<unk>", "<eos>"]
    assert [text.vocabulary[t] for t in text.test] == ["c", "d", "<eos>"]


def test_wikitext_layout_counts_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "train.txt.xz").write_bytes(lzma.compress(b" \n = a = \n \n b c\x0cd \n\n" * 20))
    (tmp_path / "valid.txt").write_text(" \n a", encoding="utf-8")
    (tmp_path / "test.txt").write_text("\nb\n\n", encoding="utf-8")
    text = load_text(tmp_path, "words")
    splits = [[text.vocabulary[t] for t in text.split(name)] for name in ("train", "valid", "test")]
    assert splits[0][:11] == ["<eos>", "=", "a", "=", "<eos>", "<eos>", "b", "c", "d", "<eos>", "<eos>"]
    assert splits[1:] == [["<eos>", "a", "<eos>"], ["<eos>", "b", "<eos>", "<eos>"]]


def test_treebank_with_a_missing_split(tmp_path: Path) -> None:
    _treebank(tmp_path)
    (tmp_path / "ptb.test.txt").unlink()
    with pytest.raises(UserError, match=r"holds no ptb\.test\.txt and no test\.txt, with or without \.xz"):
        load_text(tmp_path, "words")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b" \n ", "is empty"), (b"abc" * 10, "is shorter than 200"), (b"ok " * 100 + b"\xff", "is not UTF-8 at byte 300")],
)
def test_texts_that_cannot_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_text(file)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_text(tmp_path / "nowhere.txt")
    (tmp_path / "cut.xz").write_bytes(lzma.compress(b"some text " * 1000)[:-20])
    with pytest.raises(UserError, match="is not a whole xz file"):
        load_text(tmp_path / "cut.xz")


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="max_vocabulary=1"):
        load_text(max_vocabulary=1)
    with pytest.raises(UserError, match="unit='bytes' is not known"):
        load_text(unit="bytes")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="split 'dev' does not exist"):
        load_text().split("dev")


def test_prompts() -> None:
    assert encode("ba", ("a", "b")).tolist() == [1, 0]
    assert encode("bz", ("<unk>", "b")).tolist() == [1, 0]
    with pytest.raises(UserError, match="symbol 'z' is not in the model's vocabulary"):
        encode("az", ("a", "b"))
    assert symbols_of("one two", "words") == ["one", "two"]
    assert symbols_of("one two\n", "words") == ["one", "two", "<eos>"]


def test_text_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MAX_TEXT_BYTES", 5000)
    bomb = tmp_path / "bomb.xz"
    bomb.write_bytes(lzma.compress(b"a" * 100_000))
    with pytest.raises(UserError, match="unpacks to more than 5000 bytes"):
        load_text(bomb)


@pytest.mark.skipif("EGRU_DATA" not in os.environ, reason="EGRU_DATA does not name a folder with ptb/ and wikitext2/ in it")
@pytest.mark.parametrize(
    ("folder", "sizes"), [("ptb", (10000, 929589, 73760, 82430)), ("wikitext2", (33278, 2088628, 217646, 245569))], ids=["ptb", "wikitext2"]
)
def test_published_texts_have_their_published_sizes(folder: str, sizes: tuple[int, ...]) -> None:
    text = load_text(Path(os.environ["EGRU_DATA"]) / folder, "words")
    assert (len(text.vocabulary), len(text.train), len(text.valid), len(text.test)) == sizes

"""Texts as sequences of symbols: any text file, a folder of published splits, and CPython's own reference text as the embedded default."""

import lzma
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sw_model.errors import UserError
from sw_model.input_file import read_bytes

Unit = Literal["characters", "words"]

EMBEDDED = "pydoc-topics"
UNKNOWN = "<unk>"
END_OF_LINE = "<eos>"
MIN_SYMBOLS = 200
#: Of a text, unpacked. A symbol takes some thirty bytes on its way to a token, and an xz file of 20 kB may hold this many.
MAX_TEXT_BYTES = 1 << 27
UNPACK_BYTES = 1 << 20
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class TextDataset:
    """A text as integers.

    Attributes:
        name: Where it came from, for reports.
        unit: What one symbol is.
        vocabulary: The symbols; a token is an index into it. From the training split alone, plus ``<unk>`` when a symbol is not in it.
        train: First 90 % of the text, int64.
        valid: Next 5 %.
        test: Last 5 %.
    """

    name: str
    unit: Unit
    vocabulary: tuple[str, ...]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    def split(self, name: str) -> np.ndarray:
        """Return the split ``train``, ``valid`` or ``test``."""
        if name not in SPLITS:
            raise UserError(f"split {name!r}", "does not exist", f"choose one of {', '.join(SPLITS)}")
        tokens: np.ndarray = getattr(self, name)
        return tokens


def load_text(source: str | Path = EMBEDDED, unit: Unit = "characters", *, max_vocabulary: int | None = None) -> TextDataset:
    """Read a text and split it, always the same way.

    Args:
        source: ``pydoc-topics`` for the embedded text, a UTF-8 text file (``.xz`` is unpacked), or a folder of splits:
            ``ptb.train.txt``, ``ptb.valid.txt``, ``ptb.test.txt`` as the Penn Treebank is published, or ``train.txt``, ``valid.txt``,
            ``test.txt`` as WikiText-2 is, each with or without ``.xz``.
        unit: Characters, or words between white space with ``<eos>`` after every line, blank lines included: the published sizes of the
            Penn Treebank, which has no blank lines, and of WikiText-2 are counted so, and a blank line tells where a paragraph ends.
        max_vocabulary: Keep this many of the most frequent training symbols and turn the rest into ``<unk>``; None keeps all.

    Raises:
        UserError: When the source is missing, empty, not UTF-8, too short, or ``max_vocabulary`` is below 2.
    """
    if max_vocabulary is not None and max_vocabulary < 2:
        raise UserError(f"max_vocabulary={max_vocabulary}", "leaves nothing to tell apart", "give 2 or more, or leave it out")
    if str(source) == EMBEDDED:
        parts = _split(_symbols(embedded_text(), unit), EMBEDDED)
        return _dataset(EMBEDDED, unit, parts, max_vocabulary)
    path = Path(source)
    if path.is_dir():
        parts = [_symbols(_read(_split_file(path, split)), unit) for split in SPLITS]
        for split, part in zip(SPLITS, parts, strict=True):
            _require_length(f"{split} split of {path}", part)
    else:
        parts = _split(_symbols(_read(path), unit), str(path))
    return _dataset(path.name, unit, parts, max_vocabulary)


def embedded_text() -> str:
    """Return CPython's language reference as ``pydoc`` carries it; it differs a little between Python versions."""
    from pydoc_data import topics

    return "".join(topics.topics[key] for key in sorted(topics.topics))


def encode(symbols: Iterable[str], vocabulary: Sequence[str]) -> np.ndarray:
    """Turn symbols into tokens, int64; an unknown symbol becomes ``<unk>``.

    Raises:
        UserError: When a symbol is unknown and the vocabulary has no ``<unk>``.
    """
    index = {symbol: token for token, symbol in enumerate(vocabulary)}
    fallback = index.get(UNKNOWN)
    tokens = [index.get(symbol, fallback) for symbol in symbols]
    if None in tokens:
        missing = next(symbol for symbol in symbols if symbol not in index)
        raise UserError(f"symbol {missing!r}", "is not in the model's vocabulary", "leave it out of the prompt")
    return np.array(tokens, dtype=np.int64)


def symbols_of(text: str, unit: Unit) -> list[str]:
    """Cut a prompt into symbols; words get no ``<eos>`` at the end."""
    symbols = _symbols(text, unit)
    return symbols[:-1] if unit == "words" and symbols and not text.endswith("\n") else symbols


def join(symbols: Iterable[str], unit: Unit) -> str:
    """Turn symbols back into text."""
    if unit == "characters":
        return "".join(symbols)
    return " ".join("\n" if symbol == END_OF_LINE else symbol for symbol in symbols)


def _read(path: Path) -> str:
    if not path.is_file():
        raise UserError(f"text file {path}", "does not exist", f"give a UTF-8 text file, a folder of splits, or {EMBEDDED}")
    data = read_bytes(path, "text file", "cut it into parts", MAX_TEXT_BYTES)
    if path.suffix == ".xz":
        data = _unpack(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"text file {path}", f"is not UTF-8 at byte {error.start}", "convert it, e.g. with iconv -t utf-8") from error
    if not text.strip():
        raise UserError(f"text file {path}", "is empty", "give a text to learn from")
    # One end of line on every system, so that one text gives one model.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unpack(path: Path) -> bytes:
    data = bytearray()
    try:
        with lzma.open(path) as file:
            while len(data) <= MAX_TEXT_BYTES and (part := file.read(UNPACK_BYTES)):
                data += part
    except (lzma.LZMAError, EOFError) as error:
        raise UserError(f"text file {path}", f"is not a whole xz file ({error})", "download or compress it again") from error
    except MemoryError:  # an xz file says how much it takes to unpack, up to 4 GiB
        raise UserError(f"text file {path}", "takes more memory to unpack than there is", "compress it again with xz -6") from None
    if len(data) > MAX_TEXT_BYTES:
        raise UserError(f"text file {path}", f"unpacks to more than {MAX_TEXT_BYTES} bytes", "cut it into parts")
    return bytes(data)


def _split_file(folder: Path, split: str) -> Path:
    for name in (f"ptb.{split}.txt", f"{split}.txt"):
        for path in (folder / name, folder / f"{name}.xz"):
            if path.is_file():
                return path
    rule = f"holds no ptb.{split}.txt and no {split}.txt, with or without .xz"
    raise UserError(f"folder {folder}", rule, "give a folder with the splits train, valid and test, or one text file")


def _symbols(text: str, unit: Unit) -> list[str]:
    if unit == "characters":
        return list(text)
    if unit == "words":
        # Not splitlines, which also cuts at form feeds and other signs that are white space here.
        return [word for line in text.removesuffix("\n").split("\n") for word in (*line.split(), END_OF_LINE)]
    raise UserError(f"unit={unit!r}", "is not known", "choose characters or words")


def _require_length(what: str, symbols: Sequence[str], least: int = 2) -> None:
    if len(symbols) < least:
        raise UserError(f"{what} with {len(symbols)} symbols", f"is shorter than {least}", "give a longer text")


def _split(symbols: list[str], name: str) -> list[list[str]]:
    _require_length(f"text {name}", symbols, MIN_SYMBOLS)
    first, second = len(symbols) * 90 // 100, len(symbols) * 95 // 100
    return [symbols[:first], symbols[first:second], symbols[second:]]


def _dataset(name: str, unit: Unit, parts: list[list[str]], max_vocabulary: int | None) -> TextDataset:
    counts = Counter(parts[0])
    # Ties in frequency go by the symbol itself: the vocabulary must not depend on the order of a dictionary.
    kept = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))[:max_vocabulary]
    vocabulary = sorted(kept)
    known = set(vocabulary)
    if UNKNOWN not in known and any(symbol not in known for part in parts for symbol in part):
        if max_vocabulary is not None and len(kept) == max_vocabulary:
            vocabulary.remove(kept[-1])
        vocabulary = [UNKNOWN, *vocabulary]
    train, valid, test = (encode(part, vocabulary) for part in parts)
    return TextDataset(name, unit, tuple(vocabulary), train, valid, test)

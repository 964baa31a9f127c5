"""What the README shows is run: its commands in their order, with a small training recipe; its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from tests.egru.conftest import egru

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SMALL_RECIPE = """
[dense]
steps = 6
streams = 8
chunk = 8
network = { embedding_size = 4, hidden_sizes = [8, 8], threshold_mean = 0.1 }
[prune]
steps = 4
streams = 8
chunk = 8
pruning = { sparsity = 0.85, end_step = 2, interval = 1 }
[qat]
steps = 2
streams = 8
chunk = 8
quantization = { weight_bits = 8, decoder_bits = 8 }
"""


def commands() -> list[list[str]]:
    """Return the `egru` lines of the README, comments dropped."""
    return [shlex.split(line, comments=True)[1:] for line in re.findall(r"^egru .*$", README, re.MULTILINE)]


def test_the_commands_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_RECIPE)
    lines = commands()
    assert [line[0] for line in lines] == ["doctor", "train", "prune", "train", "export", "evaluate", "generate", "simulate", "build"]
    for line in lines[:-1]:
        small = ["--config", "small.toml"] if line[0] in ("train", "prune") else []
        outcome = egru(*line, *small)
        assert outcome.code == 0, f"egru {' '.join(line)}: {outcome.err}"
    # Place and route takes minutes and has tests of its own: here the last line need only be understood.
    outcome = egru(*lines[-1][:1], "no_such_folder", *lines[-1][2:])
    assert outcome.code == 2
    assert "no_such_folder" in outcome.err


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_named_files_exist() -> None:
    for path in re.findall(r"`((?:tests|docs|sim|boards)/[\w/.]+\.\w+)`", README):
        assert (ROOT / path).is_file(), path

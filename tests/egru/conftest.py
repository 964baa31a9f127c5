import io
import json
import random
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from egru import cli

TINY_CONFIG = """
[data]
source = "{text}"
[dense]
steps = 6
streams = 4
chunk = 8
network = {{ embedding_size = 4, hidden_sizes = [6, 5], threshold_mean = 0.1 }}
[prune]
steps = 4
streams = 4
chunk = 8
pruning = {{ sparsity = 0.7, end_step = 2, interval = 1 }}
[qat]
steps = 3
streams = 4
chunk = 8
quantization = {{ weight_bits = 4, decoder_bits = 4 }}
[hardware]
lanes = [2, 2, 1]
[simulation]
steps = 40
[build]
seeds = [1]
"""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


def egru(*arguments: object) -> Outcome:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Tiny:
    """A tiny text, a configuration for it, and what each command makes of them."""

    config: Path
    text: Path
    dense: Path
    pruned: Path
    quantised: Path
    model: Path
    rtl: Path


# Made once for all files of a worker: a test that changes a part takes a copy.
@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("tiny")
    made = Tiny(root / "tiny.toml", root / "text.txt", *(root / name for name in ("dense", "pruned", "quantised", "model", "rtl")))
    words = random.Random(1).choices(["event", "gate", "lane", "weight"], k=400)
    made.text.write_text(" ".join(words))
    made.config.write_text(TINY_CONFIG.format(text=made.text))
    egru("train", "--config", made.config, "--out", made.dense, "--json").json()
    egru("prune", made.dense, "--config", made.config, "--out", made.pruned, "--json").json()
    egru("train", "--quantise", "--from", made.pruned, "--config", made.config, "--out", made.quantised, "--json").json()
    egru("export", made.quantised, "--out", made.model, "--json").json()
    egru("generate", made.model, "--config", made.config, "--out", made.rtl, "--json").json()
    yield made
    torch.set_num_threads(threads)

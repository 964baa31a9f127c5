"""The speed benchmark on a CPU: figures of a tiny LSTM, failures that stop nothing, and what is made of kernels' names."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import typer
from torch import Tensor
from typer.testing import CliRunner, Result

from benchmarks import training_speed
from benchmarks.paper_results import Speed, TwoGpus
from benchmarks.results_file import write_results
from benchmarks.training_speed import TINY, grouped, measure

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Products of this size are slower by far on several threads, where others want the cores too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def command(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(training_speed.run)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_cpu_measures_the_lstm_both_ways_and_keeps_what_two_gpus_gave(tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    known = TwoGpus(batch=128, one_ms=6.0, two_ms=7.0, speedup=1.7)
    write_results(Speed(gpu="another", batch=64, steps=70, two_gpus=known), out)
    result = command("--device", "cpu", "--out", out)
    assert result.exit_code == 0
    found = Speed.model_validate_json(out.read_text())
    assert (found.gpu, found.batch, found.steps, found.two_gpus) == ("CPU", 64, TINY.chunk, known)
    for times in (found, found.batch128):
        assert times.errors == {}
        assert (times.ours_ms, times.qat_ms) == (None, None)
        assert times.spread_ms.keys() == {"cudnn_lstm", "cudnn_lstm_unpadded"}
        assert times.cudnn_lstm_ms
        assert times.cudnn_lstm_unpadded_ms
    shown = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()[2:]}
    assert shown["ours"] == ["-", "-"]
    assert shown["cudnn_lstm"][0] == f"{found.cudnn_lstm_ms:.3f}"
    assert shown["cudnn_lstm"][2] == f"{found.batch128.cudnn_lstm_ms:.3f}"


def test_a_variant_that_fails_leaves_its_error_and_the_others_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    working = training_speed.lstm_step

    def failing(task: training_speed.Task, streams: int, device: torch.device, *, padded: bool) -> training_speed.Step:
        if padded and streams == 64:
            raise RuntimeError("no such kernel")
        return working(task, streams, device, padded=padded)

    monkeypatch.setattr(training_speed, "lstm_step", failing)
    result = command("--device", "cpu", "--out", tmp_path / "speed.json")
    found = Speed.model_validate_json((tmp_path / "speed.json").read_text())
    assert (found.errors, found.cudnn_lstm_ms) == ({"cudnn_lstm": "RuntimeError: no such kernel"}, None)
    assert found.cudnn_lstm_unpadded_ms
    assert found.batch128.cudnn_lstm_ms
    assert "failed: cudnn_lstm: RuntimeError: no such kernel" in result.stdout


def test_steps_read_random_text_in_turn_and_a_loss_that_is_no_number_is_a_failure() -> None:
    seen: list[tuple[Tensor, bool, int]] = []

    def step(chunk: Tensor, first: bool, learning_rate: float, seed: int) -> Tensor:
        seen.append((chunk, first, seed))
        return torch.tensor(float("nan") if seed > 10 else 1.0)

    with pytest.raises(ArithmeticError, match="the loss is nan"):
        measure(step, TINY, 4, CPU)
    assert [first for _, first, _ in seen] == [True] + [False] * (len(seen) - 1)
    assert [seed for _, _, seed in seen] == list(range(training_speed.WARM_UPS + training_speed.SERIES * TINY.steps + 1))
    chunks = [chunk for chunk, _, _ in seen]
    assert {tuple(chunk.shape) for chunk in chunks} == {(TINY.chunk + 1, 4)}
    assert torch.equal(chunks[0], chunks[training_speed.CHUNKS])
    assert not torch.equal(chunks[0], chunks[1])
    assert all(bool(chunk.any()) for chunk in chunks)


def test_kernels_are_added_up_by_kind_and_our_own_keep_their_names() -> None:
    names = {
        "sm90_xmma_gemm_bf16bf16_bf16f32": 1.0,
        "nvjet_tst_128x64": 2.0,
        "scan_forward": 2.5,
        "void at::native::elementwise_kernel<4>": 0.25,
        "Memset (Device)": 0.5,
        "cudaGraphLaunch": 0.0,
    }
    parts = [(part.part, part.ms) for part in grouped(list(names.items()))]
    assert parts == [("matrix products", 3.0), ("scan_forward", 2.5), ("copies and fills", 0.5), ("element-wise kernels of torch", 0.25)]


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = command("--device", "tpu", "--out", tmp_path / "speed.json")
    assert (result.exit_code, "--device tpu is not known; choose cuda or cpu" in result.stderr) == (2, True)
    result = command("--two-gpus", "--out", tmp_path / "speed.json")
    assert (result.exit_code, "use torchrun --nproc-per-node 2" in " ".join(result.stderr.split())) == (2, True)
    assert not list(tmp_path.iterdir())

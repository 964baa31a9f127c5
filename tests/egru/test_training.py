"""Where `egru train` and `egru prune` train: by what torch says of GPUs, which is made up here, in a phase that ends before it begins."""

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import torch.distributed as dist

from egru import training
from egru.commands.train import Device
from egru.training import Processes, require_device
from sw_model.errors import UserError
from sw_model.train_config import TrainConfig
from tests.egru.conftest import Tiny, egru

METRICS = {"steps": 1, "best_step": 1, "validation_bits": 1.0, "event_density": 0.5, "weight_density": 1.0, "history": [], "seconds": 0.1}
RUN = ["GPU 1", "joined nccl on cuda:1", "trained on cuda", "met", "left"]


@dataclass
class Machine:
    """GPUs that are not there.

    Attributes:
        happened: What was done, in order.
        fails: Whether a phase does.
    """

    happened: list[str] = field(default_factory=list)
    fails: bool = False

    def run_phase(self, config: TrainConfig, *_: object, **__: object) -> dict[str, Any]:
        """Stand for training."""
        self.happened.append(f"trained on {config.device}")
        if self.fails:
            raise UserError("training loss", "is not a number any more", "lower it")
        return dict(METRICS)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Give this process two GPUs."""
    made = Machine()
    happened = made.happened
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: happened.append(f"GPU {index}"))
    monkeypatch.setattr(dist, "init_process_group", lambda kind, device_id: happened.append(f"joined {kind} on {device_id}"))
    monkeypatch.setattr(dist, "barrier", lambda: happened.append("met"))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: happened.append("left"))
    monkeypatch.setattr(training, "run_phase", made.run_phase)
    with_triton(monkeypatch, found=True)
    return made


def with_triton(monkeypatch: pytest.MonkeyPatch, *, found: bool) -> None:
    """Let Triton be installed, or not."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: (object() if found else None) if name == "triton" else find(name))


def start_as(monkeypatch: pytest.MonkeyPatch, rank: int, count: int) -> None:
    """Set what torchrun sets."""
    for name, value in (("WORLD_SIZE", count), ("RANK", rank), ("LOCAL_RANK", rank)):
        monkeypatch.setenv(name, str(value))


def for_two_gpus(tiny: Tiny, folder: Path) -> Path:
    """Write a configuration that two processes can train."""
    config = folder / "my.toml"
    config.write_text(tiny.config.read_text().replace("streams = 4", 'streams = 32\ndevice = "cuda"'))
    return config


def cuda(**changes: Any) -> TrainConfig:
    return TrainConfig(steps=1, device="cuda", **changes)


def test_devices_on_the_command_line_are_those_of_the_configuration() -> None:
    names, _ = get_args(get_args(Device)[0])
    assert get_args(names) == get_args(TrainConfig.model_fields["device"].annotation)


@pytest.mark.parametrize("command", ["train", "qat", "prune"])
def test_the_device_of_the_command_line_is_the_phases(tiny: Tiny, tmp_path: Path, machine: Machine, command: str) -> None:
    config = tmp_path / "my.toml"
    config.write_text(tiny.config.read_text().replace("streams = 4", "streams = 16"))
    artifact = {"train": ("train",), "qat": ("train", "--quantise", "--from", tiny.pruned), "prune": ("prune", tiny.dense)}[command]
    report = egru(*artifact, "--config", config, "--device", "cuda", "--out", tmp_path / "out", "--json").json()
    assert report == {"checkpoint": str(tmp_path / "out"), **METRICS}
    assert machine.happened == ["trained on cuda"]
    assert egru(*artifact, "--config", config, "--out", tmp_path / "out").code == 0
    assert machine.happened[1:] == ["trained on cpu"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_process_of_torchrun_takes_its_gpu_and_only_the_first_reports(
    tiny: Tiny, tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    config = for_two_gpus(tiny, tmp_path)
    command = ("train", "--config", config, "--out", tmp_path / "out", *(["--json"] if as_json else []))
    start_as(monkeypatch, 1, 2)
    second = egru(*command)
    assert (second.code, second.out) == (0, "")
    assert machine.happened == RUN
    start_as(monkeypatch, 0, 2)
    first = egru(*command)
    assert first.code == 0
    assert "validation" in first.out
    assert machine.happened[len(RUN) :] == [entry.replace("1", "0") for entry in RUN]


def test_a_phase_that_fails_waits_for_nobody(tiny: Tiny, tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    config = for_two_gpus(tiny, tmp_path)
    start_as(monkeypatch, 1, 2)
    machine.fails = True
    assert egru("train", "--config", config, "--out", tmp_path / "out").code == 2
    assert machine.happened == [entry for entry in RUN if entry != "met"]


def test_one_process_of_torchrun_joins_nobody(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    start_as(monkeypatch, 0, 1)
    with Processes.from_environment().joined():
        assert machine.happened == []


def test_several_processes_are_those_of_torchrun_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert Processes.from_environment() == Processes()


def test_cuda_without_a_gpu(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for command in (("train",), ("prune", tiny.dense)):
        refused = egru(*command, "--config", tiny.config, "--device", "cuda", "--out", tmp_path / "out")
        assert refused.code == 2
        assert refused.out == ""
        assert refused.err.startswith(
            f"error: device=cuda needs a GPU, and torch {torch.__version__} finds none; install torch for CUDA and "
        )
        assert refused.err.endswith("pip install 'egru-fpga[gpu]', or give --device cpu\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("machine")
def test_cuda_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    require_device(cuda())
    with_triton(monkeypatch, found=False)
    with pytest.raises(
        UserError, match=r"^device=cuda needs Triton, which is not installed; pip install 'egru-fpga\[gpu\]', or give --dev"
    ):
        require_device(cuda())


def test_a_cpu_trains_in_one_process() -> None:
    settings = TrainConfig(steps=1, streams=3)
    require_device(settings)
    with pytest.raises(UserError, match=r"^device=cpu with 2 processes would train the same network in each of them; start one without "):
        require_device(settings, Processes(2, 0, 0))


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("streams", "count", "words"),
    [
        (50, 1, "streams=50 is not a multiple of 16; use 48 or 64, or train on the CPU"),
        (8, 1, "streams=8 is not a multiple of 16; use 16, or train on the CPU"),
        # Two processes could share them, but not in tiles.
        (48, 2, "streams=48 is not a multiple of 16 for each of 2 processes; use 32 or 64"),
        (64, 3, "streams=64 is not a multiple of 16 for each of 3 processes; use 48 or 96"),
    ],
)
def test_streams_that_cannot_be_dealt(streams: int, count: int, words: str) -> None:
    with pytest.raises(UserError) as refused:
        require_device(cuda(streams=streams), Processes(count, 0, 0))
    assert str(refused.value) == words
    require_device(cuda(streams=16 * count), Processes(count, 0, 0))


@pytest.mark.usefixtures("machine")
def test_more_processes_than_gpus() -> None:
    require_device(cuda(streams=48), Processes(3, 2, 1))
    with pytest.raises(UserError, match=r"^process 3 of this machine has no GPU left of 2; lower --nproc-per-node of torchrun"):
        require_device(cuda(streams=48), Processes(3, 2, 2))

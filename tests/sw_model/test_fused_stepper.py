import os
import subprocess
import sys
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor

pytest.importorskip("triton", reason="Triton is not installed: it is there for Linux only")

from sw_model import checkpoint, fused_stepper, train
from sw_model.datasets import TextDataset
from sw_model.event_gru import THRESHOLD_MAX, EventNetwork, LayerState, NetworkConfig
from sw_model.fused_network import FlatParameters, Precision, Tiles, corner
from sw_model.fused_stepper import FlatAdamW, FusedStepper
from sw_model.pruning import apply_masks, magnitude_masks
from sw_model.quantizers import QuantizationConfig, quantize
from sw_model.stepper import PlainStepper, decayed_parameters
from sw_model.text_training import TextTask
from sw_model.train import Batches, progress_folder, run_phase
from sw_model.train_config import TrainConfig

TOKENS = 8
DOUBLE, SINGLE = Precision(torch.float64, torch.float64), Precision(torch.float32, torch.float32)
TILES = Tiles(chunk=2, width=64)
CPU = torch.device("cpu")
EVERYWHERE = {"word": 0.5, "embedding": 0.5, "between": 0.5, "decoder": 0.5, "recurrent": 0.5}
#: Kernels take plain numbers as float32: with such as these nothing is lost.
BASE: dict[str, Any] = {
    "network": {
        "embedding_size": 6,
        "hidden_sizes": (6,),
        "threshold_mean": 0.1,
        "learn_thresholds": True,
        "surrogate_damp": 0.75,
        "surrogate_support": 1.25,
        "tied_decoder": True,
    },
    "steps": 3,
    "streams": 16,
    "chunk": 2,
    "betas": (0.5, 0.875),
    "weight_decay": 0.125,
}


@pytest.fixture(autouse=True)
def _large_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of the optimiser's kernels that Triton's interpreter gets through sooner; there are still several."""
    if os.environ["TRITON_INTERPRET"] == "1":
        monkeypatch.setattr(fused_stepper, "BLOCK", 8192)


def _config(**values: Any) -> TrainConfig:
    return TrainConfig.model_validate(BASE | values)


def _network(config: TrainConfig, seed: int = 0) -> EventNetwork:
    torch.manual_seed(seed)
    network = EventNetwork(NetworkConfig(tokens=TOKENS, **config.network.model_dump()))
    with torch.no_grad():
        network.get_parameter("embedding").uniform_(-1.0, 1.0)
    return network


def _weights(network: EventNetwork) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def _only_padding(flat: FlatParameters, network: EventNetwork) -> Tensor:
    """The buffer of a copy of ``flat`` whose parameters are zero."""
    copied = FlatParameters(network, flat.buffer.dtype, flat.buffer.device)
    copied.buffer.copy_(flat.buffer)
    for name, parameter in network.named_parameters():
        corner(copied.views[name], parameter).zero_()
    return copied.buffer


# The optimiser


@pytest.mark.parametrize("betas", [(0.5, 0.875), (0.0, 0.875)])
@pytest.mark.parametrize("clip", [0.25, 1024.0])
def test_adamw_equals_that_of_torch(betas: tuple[float, float], clip: float, cpu: torch.device) -> None:
    config = _config(betas=betas, gradient_clip=clip)
    network = _network(config).double()
    apply_masks(network, magnitude_masks(network, 0.5))
    masks = magnitude_masks(network, 0.5)
    weights, grads = FlatParameters(network, torch.float64, cpu), FlatParameters(network, torch.float64, cpu)
    weights.copy_from(_weights(network))
    ours = FlatAdamW(network, weights, grads, config)
    assert (ours.first is None) == (betas[0] == 0.0)
    for name, mask in masks.items():
        corner(ours.masks.views[name], mask).copy_(mask)
    decayed = decayed_parameters(network)
    groups = [
        {
            "params": [p for name, p in network.named_parameters() if (name in decayed) == decays],
            "weight_decay": config.weight_decay * decays,
        }
        for decays in (True, False)
    ]
    theirs = torch.optim.AdamW(groups, lr=1.0, betas=betas)
    for step in range(2):
        for parameter in network.parameters():
            parameter.grad = torch.randn_like(parameter)
        grads.copy_from({name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None})
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        assert (float(norm) > clip) == (clip == 0.25)
        for group in theirs.param_groups:
            group["lr"] = 0.25 / (step + 1)
        theirs.step()
        apply_masks(network, masks)
        with torch.no_grad():
            for layer in network.event_layers():
                layer.threshold.clamp_(0.0, THRESHOLD_MAX)
        ours.advance(0.25 / (step + 1))
        ours.update()
        for name, parameter in network.named_parameters():
            found = corner(weights.views[name], parameter)
            # ε, which float32 does not hold, is in the ninth digit of what it is added to.
            torch.testing.assert_close(found, parameter.detach(), rtol=1e-9, atol=1e-12, msg=name)
            if name in masks:
                assert not bool(found[~masks[name]].any())
                assert bool(found[masks[name]].all())


# A step


@pytest.mark.parametrize("quantised", [False, True])
def test_steps_equal_those_of_the_plain_stepper(quantised: bool, cpu: torch.device) -> None:
    """Also that padding stays zero, and masked weights."""
    network_values = BASE["network"] | {"embedding_size": 5, "hidden_sizes": (7, 6), "tied_decoder": False}
    config = _config(network=network_values, gradient_clip=0.25, activity={"target": 0.125, "weight": 1.0})
    network = _network(config).double()
    if quantised:
        quantize(network, QuantizationConfig())
    other = deepcopy(network)
    plain, fused = PlainStepper(network, config), FusedStepper(other, config, cpu, precision=DOUBLE, tiles=TILES)
    masks = magnitude_masks(network, 0.5)
    for each, stepper in ((network, plain), (other, fused)):
        apply_masks(each, masks)
        stepper.set_masks(masks)
    before = _weights(network)
    # What another sequence left, which the first chunk of this one must not see.
    fused.fused.set_state([LayerState(torch.ones(16, neurons), torch.ones(16, neurons)) for neurons in (7, 6)])
    for step in range(2):
        chunk = torch.randint(0, TOKENS, (3, 16))
        losses = [stepper.step(chunk, step == 0, 0.0625, step) for stepper in (plain, fused)]
        assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-9)
    fused.publish()
    for (name, parameter), found in zip(network.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(found, parameter, rtol=1e-8, atol=1e-10, msg=name)
        assert not torch.equal(found, before[name]), name
    for name, mask in masks.items():
        assert not bool(dict(other.named_parameters())[name][~mask].any())
    for flat in (fused.fused.weights, fused.fused.grads, fused.optimizer.first, fused.optimizer.second):
        assert flat is not None
        assert not bool(_only_padding(flat, network).any())


def test_a_resumed_phase_ends_with_the_same_bits(
    cpu: torch.device, text: TextDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruning = {"sparsity": 0.6, "end_step": 2, "interval": 1}
    config = _config(validate_every=1, checkpoint_every=1, dropout=EVERYWHERE, pruning=pruning, quantization={})
    monkeypatch.setattr(TextTask, "stepper", lambda _, network: FusedStepper(network, config, cpu, precision=SINGLE, tiles=TILES))
    whole = run_phase(config, text, tmp_path / "whole", progress=False)
    original = train._Phase.train_step

    def interrupted(phase: train._Phase) -> Tensor:
        if phase.step == 2:
            raise KeyboardInterrupt
        return original(phase)

    with monkeypatch.context() as patch:
        patch.setattr(train._Phase, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_phase(config, text, tmp_path / "resumed", progress=False)
    assert checkpoint.load(progress_folder(tmp_path / "resumed")).manifest.step == 2
    torch.manual_seed(99)  # what else the process did must not matter
    resumed = run_phase(config, text, tmp_path / "resumed", resume=True, progress=False)
    first, second = checkpoint.load(tmp_path / "whole").tensors, checkpoint.load(tmp_path / "resumed").tensors
    assert first.keys() == second.keys()
    assert any(name.startswith(checkpoint.MASK) for name in first)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    assert {k: v for k, v in whole.items() if k != "seconds"} == {k: v for k, v in resumed.items() if k != "seconds"}
    assert whole["weight_density"] == pytest.approx(0.4, abs=0.01)


# Several processes

TEXT = np.random.default_rng(0).integers(0, TOKENS, 400)


def _train() -> dict[str, Tensor]:
    """Do two steps as this process's part of all, the second resumed, and return the weights and the last gradients."""
    config = _config(streams=32, dropout=EVERYWHERE, activity={"target": 0.0, "weight": 1.0}, gradient_clip=0.25)
    network = _network(config).double()
    first, second = (FusedStepper(network, config, CPU, precision=DOUBLE, tiles=TILES) for _ in range(2))
    batches = Batches(TEXT, config)
    first.step(*batches.at(0), 0.0625, 0)
    first.publish()
    second.restore(first.tensors())
    second.step(*batches.at(1), 0.0625, 1)
    second.publish()
    return _weights(network) | {"gradients": second.fused.grads.buffer}


def _train_as(rank: int, folder: Path) -> dict[str, Tensor]:
    """Do the same as one of two processes that meet in ``folder``."""
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2, timeout=timedelta(minutes=5))
    try:
        return _train()
    finally:
        dist.destroy_process_group()


def test_two_processes_train_as_one_with_all_streams(cpu: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")  # whatever the machine's name resolves to
    with subprocess.Popen([sys.executable, __file__, "1", str(tmp_path)], stderr=subprocess.PIPE, text=True) as other:
        try:
            alone = _train()
            first = _train_as(0, tmp_path)
            _, errors = other.communicate(timeout=300)
        finally:
            other.kill()
    assert other.returncode == 0, errors
    second = load_file(tmp_path / "weights.safetensors")
    assert not torch.equal(alone["embedding"], _network(_config()).get_parameter("embedding"))
    for name, tensor in alone.items():
        assert torch.equal(first[name], second[name]), name
        # Sums over all streams are ordered differently.
        torch.testing.assert_close(first[name], tensor, rtol=1e-9, atol=1e-12, msg=name)


# On a GPU


def test_replaying_the_graph_equals_running_eagerly_on_a_gpu(gpu: torch.device) -> None:
    shape = BASE["network"] | {"embedding_size": 96, "hidden_sizes": (200, 96)}
    config = _config(network=shape, streams=64, chunk=20, dropout=EVERYWHERE, activity={"target": 0.1, "weight": 1.0}, betas=(0.0, 0.999))
    torch.manual_seed(5)
    chunks = torch.randint(0, TOKENS, (3, 21, 64), device=gpu)
    found = []
    for replayed in (True, False):
        network = _network(config).to(gpu)
        stepper = FusedStepper(network, config, gpu)
        assert stepper._graphs is not None
        if not replayed:
            stepper._graphs = None
        losses = [stepper.step(chunk, step == 0, 0.01, step).item() for step, chunk in enumerate(chunks)]
        stepper.publish()
        found.append((losses, _weights(network)))
        assert not bool(_only_padding(stepper.fused.weights, network).any())
    assert found[0][0] == found[1][0]
    for name, weights in found[0][1].items():
        assert torch.equal(weights, found[1][1][name]), name


if __name__ == "__main__":
    torch.set_num_threads(1)
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    save_file(_train_as(rank, folder), folder / "weights.safetensors")

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sw_model.datasets import TextDataset
from sw_model.event_gru import EventNetwork, FeatureNetworkConfig, NetworkConfig
from sw_model.quantizers import QuantizationConfig, quantize


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def cpu() -> torch.device:
    """Where Triton's interpreter runs the kernels."""
    from triton import knobs

    if not knobs.runtime.interpret:
        pytest.skip("TRITON_INTERPRET=0 compiles the kernels, which takes a GPU")
    return torch.device("cpu")


@pytest.fixture(scope="session")
def gpu() -> torch.device:
    """Where the compiled kernels run."""
    from triton import knobs

    if knobs.runtime.interpret or not torch.cuda.is_available():
        pytest.skip("needs a GPU, and TRITON_INTERPRET=0 before pytest")
    return torch.device("cuda")


@pytest.fixture
def text() -> TextDataset:
    """A text with something to learn: a repeated sentence with noise."""
    rng = np.random.default_rng(5)
    tokens = np.tile(np.array([1, 2, 3, 4, 5, 6, 7, 2, 3, 0], np.int64), 400)
    noise = rng.random(len(tokens)) < 0.1
    tokens[noise] = rng.integers(0, 8, int(noise.sum()))
    return TextDataset("sentence", "characters", tuple("abcdefgh"), tokens[:3400], tokens[3400:3700], tokens[3700:])


@pytest.fixture
def lively_network() -> Callable[..., EventNetwork]:
    """A quantised network whose gates, thresholds and biases are far from their initial values."""

    def make(config: QuantizationConfig, hidden: tuple[int, ...], seed: int, channels: int = 0) -> EventNetwork:
        torch.manual_seed(seed)
        shape: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": hidden, "threshold_mean": 0.1}
        if channels:
            network = EventNetwork(FeatureNetworkConfig(channels=channels, classes=5, **shape))
        else:
            network = EventNetwork(NetworkConfig(tokens=17, **shape))
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name.endswith("bias"):
                    parameter.normal_()
                elif not name.endswith("threshold"):
                    parameter.mul_(3.0)
            for layer in network.event_layers():
                layer.threshold[:3] = 0.0  # θ at its least
                layer.threshold[3:5] = 1.0  # θ at its largest integer
        quantize(network, config)
        return network

    return make

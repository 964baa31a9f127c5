import pytest
import torch
from brevitas.core.quant import IntQuant
from pydantic import ValidationError

from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, NetworkConfig
from sw_model.fixed_point import Formats
from sw_model.quantizers import FixedPointQuant, LoopQuant, QuantizationConfig, QuantizedArithmetic, WeightQuant, quantize


def _values() -> torch.Tensor:
    torch.manual_seed(0)
    ties = (torch.arange(-40, 41).double() + 0.5) / 64
    return torch.cat([torch.randn(500).double() * 4, ties, torch.tensor([-1e9, 1e9, 0.0]).double()])


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("bits", "frac"), [(8, 6), (12, 8), (4, 4), (17, 15)])
def test_loop_quantiser_equals_brevitas_int_quant(signed: bool, bits: int, frac: int) -> None:
    x = _values()
    fast, stock = LoopQuant(bits, frac, signed=signed), FixedPointQuant(bits, frac, signed=signed)
    assert isinstance(stock.int_quant, IntQuant)
    with torch.no_grad():
        assert torch.equal(fast(x), stock(x))
        assert torch.equal(fast.to_int(x), stock.to_int(x))


def test_brevitas_rounds_half_up_here() -> None:
    quant = FixedPointQuant(8, 0)
    assert quant(torch.tensor([0.5, -0.5, -1.5, 1.5, 2.5])).tolist() == [1, 0, -1, 2, 3]


def test_gradient_passes_straight_through() -> None:
    x = torch.tensor([0.3, -7.0, 9.0], requires_grad=True)
    FixedPointQuant(4, 0)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_weight_exponent_has_least_squared_error(bits: int) -> None:
    torch.manual_seed(bits)
    weights = [torch.randn(30, 20) * 0.1, torch.randn(30, 7) * 0.2]
    quant = WeightQuant(bits)
    quant.calibrate(weights)
    limit = 2 ** (bits - 1) - 1

    def error(frac: int) -> float:
        return sum(
            float((torch.clamp(torch.floor(w.double() * 2.0**frac + 0.5), -limit, limit) * 2.0**-frac - w).square().sum()) for w in weights
        )

    assert quant.frac == min(range(-8, 25), key=error)
    integers = quant.to_int(torch.cat([w.flatten() for w in weights]))
    assert float(integers.abs().max()) <= limit


def test_uncalibrated_weights_are_refused() -> None:
    with pytest.raises(UserError, match="has not been calibrated"):
        WeightQuant(8)(torch.zeros(3))


def test_one_exponent_for_both_matrices_of_a_layer() -> None:
    network = EventNetwork(NetworkConfig(tokens=4, embedding_size=3, hidden_sizes=(5, 5)))
    arithmetic = quantize(network, QuantizationConfig())
    assert arithmetic.exponents.keys() == {"embedding", "input", "layers.0", "layers.1", "decoder"}


def test_exponents_survive_only_when_they_fit() -> None:
    arithmetic = QuantizedArithmetic(QuantizationConfig(), 1)
    legal = {"embedding": 6, "input": 7, "layers.0": 8, "decoder": 9}
    arithmetic.set_exponents(legal)
    assert arithmetic.exponents == legal
    with pytest.raises(UserError, match=r"exponent of layers\.1 is missing or belongs to no weight"):
        arithmetic.set_exponents(legal | {"layers.1": 3})
    with pytest.raises(UserError, match="exponent of decoder=99 is outside -8 to 24"):
        arithmetic.set_exponents(legal | {"decoder": 99})


def test_tables_are_those_of_the_formats() -> None:
    config = QuantizationConfig(gate_bits=9)
    arithmetic = QuantizedArithmetic(config, 1)
    a = torch.arange(-512, 512).double() / 64
    arithmetic.double()
    assert torch.equal(arithmetic.sigmoid(a) * 2**9, torch.as_tensor(Formats(gate_bits=9).sigmoid_table()).double())
    assert torch.equal(arithmetic.tanh(a / 2) * 2**9, torch.as_tensor(Formats(gate_bits=9).tanh_table()).double())


def test_table_gradient_is_the_true_function_s() -> None:
    arithmetic = QuantizedArithmetic(QuantizationConfig(gate_bits=15), 1).double()
    a = torch.linspace(-3, 3, 97, dtype=torch.float64, requires_grad=True)
    for table, function in ((arithmetic.sigmoid, torch.sigmoid), (arithmetic.tanh, torch.tanh)):
        (found,) = torch.autograd.grad(table(a).sum(), a)
        (wanted,) = torch.autograd.grad(function(a).sum(), a)
        assert float((found - wanted).abs().max()) < 0.01


@pytest.mark.parametrize("values", [{"weight_bits": 1}, {"weight_bits": 9}, {"event_bits": 16}, {"preact_frac": 11}, {"wieght_bits": 4}])
def test_illegal_widths_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        QuantizationConfig.model_validate(values)

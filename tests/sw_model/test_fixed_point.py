import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sw_model.errors import UserError
from sw_model.fixed_point import (
    SIGMOID_FRAC,
    TABLE_SIZE,
    TANH_FRAC,
    Formats,
    rescale,
    round_half_up,
    saturate,
    signed_bits,
    signed_limits,
    symmetric_limit,
    table_index,
)


@pytest.mark.parametrize(("value", "rounded"), [(0.5, 1), (-0.5, 0), (-1.5, -1), (1.5, 2), (2.5, 3), (-0.51, -1), (0.49, 0)])
def test_ties_go_up_in_every_kind_of_number(value: float, rounded: int) -> None:
    assert round_half_up(value) == rounded
    assert round_half_up(np.array([value]))[0] == rounded
    assert round_half_up(torch.tensor([value]))[0] == rounded


@pytest.mark.parametrize(
    ("value", "shift", "expected"), [(1, 1, 1), (-1, 1, 0), (-3, 1, -1), (3, 1, 2), (6, 2, 2), (-6, 2, -1), (5, -2, 20)]
)
def test_rescale_rounds_half_up(value: int, shift: int, expected: int) -> None:
    assert rescale(value, shift, 0) == expected
    assert rescale(np.array([value]), shift, 0)[0] == expected


@given(st.integers(-(2**40), 2**40), st.integers(-8, 24), st.integers(-8, 24))
def test_rescale_is_round_half_up_of_the_real_number(value: int, frac_from: int, frac_to: int) -> None:
    assert rescale(value, frac_from, frac_to) == math.floor(value * 2.0 ** (frac_to - frac_from) + 0.5)


@given(st.integers(-(2**20), 2**20), st.integers(-(2**20), 2**20))
def test_signed_bits_are_the_fewest_that_hold_the_interval(a: int, b: int) -> None:
    low, high = min(a, b), max(a, b)
    bits = signed_bits(low, high)
    assert signed_limits(bits)[0] <= low <= high <= signed_limits(bits)[1]
    assert bits == 1 or not (signed_limits(bits - 1)[0] <= low and high <= signed_limits(bits - 1)[1])


def test_limits() -> None:
    assert signed_limits(12) == (-2048, 2047)
    assert symmetric_limit(8) == 127
    assert saturate(np.array([-9, 0, 9]), -8, 7).tolist() == [-8, 0, 7]


@pytest.mark.parametrize("gate_bits", [4, 8, 12, 15])
def test_tables_are_monotone_and_centred(gate_bits: int) -> None:
    formats = Formats(gate_bits=gate_bits)
    sigmoid, tanh = formats.sigmoid_table(), formats.tanh_table()
    assert len(sigmoid) == len(tanh) == TABLE_SIZE
    assert (np.diff(sigmoid) >= 0).all()
    assert (np.diff(tanh) >= 0).all()
    assert sigmoid[512] == 1 << (gate_bits - 1)
    assert tanh[512] == 0
    assert sigmoid.min() >= 0
    assert sigmoid.max() <= (1 << gate_bits) - 1
    assert np.abs(tanh).max() <= (1 << gate_bits) - 1


def test_table_entries_are_the_rounded_functions() -> None:
    formats = Formats()
    for i in (0, 1, 300, 512, 700, 1022, 1023):
        sigmoid = 1 / (1 + math.exp(-(i - 512) / 2**SIGMOID_FRAC)) * 2**12
        assert formats.sigmoid_table()[i] == min(math.floor(sigmoid + 0.5), 4095)
        assert formats.tanh_table()[i] == math.floor(math.tanh((i - 512) / 2**TANH_FRAC) * 2**12 + 0.5)


def test_table_index_saturates_and_rounds() -> None:
    assert table_index(0, 8, 6) == 512
    assert table_index(2, 8, 6) == 513
    assert table_index(-2, 8, 6) == 512
    assert table_index(10**6, 8, 6) == 1023
    assert table_index(-(10**6), 8, 6) == 0
    assert table_index(1, 4, 6) == 516


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("event_bits", 1),
        ("event_bits", 13),
        ("state_bits", 7),
        ("state_bits", 17),
        ("gate_bits", 3),
        ("gate_bits", 16),
        ("preact_bits", 7),
        ("preact_bits", 19),
        ("preact_frac", 3),
        ("preact_frac", 11),
    ],
)
def test_illegal_widths_are_named(name: str, value: int) -> None:
    with pytest.raises(UserError, match=f"{name}={value} is outside .*; choose"):
        Formats(**{name: value})


def test_event_bits_stay_below_state_bits() -> None:
    with pytest.raises(UserError, match="event_bits=9"):
        Formats(state_bits=9, event_bits=9, gate_bits=8)

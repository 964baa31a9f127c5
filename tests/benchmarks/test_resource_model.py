"""The law of the logic is what the benchmark's samples give, and its errors are those that the result file states."""

import numpy as np
import pytest

from benchmarks.resource_model import CASES, RESULT_FILE, SAME_LOGIC, Results, fit, fit_not_negative
from benchmarks.results_file import require_results
from hls_gen.board import Family
from hls_gen.device import Resource
from hls_gen.logic_model import load_logic_model
from hls_gen.resource_model import estimate_resources
from sw_model.random_model import random_model


def test_law_and_errors_follow_from_the_samples() -> None:
    results = require_results(RESULT_FILE, Results)
    again, law = fit(results)
    assert law == load_logic_model()
    assert again.families == results.families
    assert set(law.families) == set(Family)
    # Synthesis drops bits that are the same in every word of a memory: with 4-kbit blocks that may save some.
    assert [family for family, found in results.families.items() if not found.bram_and_dsp_equal] in ([], [Family.ICE40UP])
    for sample in results.samples:
        assert all(sample.estimated[resource] >= sample.synthesised[resource] for resource in (Resource.BRAM, Resource.DSP)), sample.case


@pytest.mark.parametrize("family", [family for family in Family if family not in SAME_LOGIC])
def test_tables_are_estimated_within_the_stated_error(family: Family) -> None:
    results = require_results(RESULT_FILE, Results)
    mine = {sample.case: sample for sample in results.samples if sample.family is family}
    assert mine
    for case in CASES:
        if case.name in mine:
            found = estimate_resources(random_model(case.spec), case.config, family)
            wanted = mine[case.name].synthesised
            assert abs(found.lut / wanted[Resource.LUT] - 1) <= results.families[family].lut_worst + 0.002, case.name
            assert abs(found.ff / wanted[Resource.FF] - 1) <= results.families[family].ff_worst + 0.002, case.name


def test_no_coefficient_is_negative_and_exact_laws_are_found() -> None:
    rng = np.random.default_rng(1)
    amounts, law = rng.integers(1, 50, (12, 4)).astype(float), np.array([3.0, 0.0, 12.0, 0.5])
    np.testing.assert_allclose(fit_not_negative(amounts, amounts @ law), law, atol=1e-9)
    assert (fit_not_negative(amounts, amounts @ np.array([3.0, -1.0, 12.0, 0.5])) >= 0).all()

import pytest

from sim.benches.update_unit import CONFIGURATIONS, launch


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_update_unit(name: str) -> None:
    launch(name, seed=1)

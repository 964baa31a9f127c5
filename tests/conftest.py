import os
from collections.abc import Callable

import pytest

# Triton reads this when it is imported, and whichever test file a worker takes first may import it (Brevitas does). With 1 the kernels run
# in Triton's interpreter, without a GPU; TRITON_INTERPRET=0 compiles them, for the tests that want one.
os.environ.setdefault("TRITON_INTERPRET", "1")

REFRESH = "--refresh-golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(REFRESH, action="store_true", help="write golden files anew, to be read as diffs, instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name in the folder `golden` beside the test."""

    def compare(name: str, text: str) -> None:
        path = request.path.parent / "golden" / name
        if request.config.getoption(REFRESH):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        remedy = f"if that is meant: pytest {request.path.name} {REFRESH}, then read git diff"
        assert path.is_file(), f"{path} does not exist; {remedy}"
        assert text == path.read_text(), f"{name} is not as it was; {remedy}"

    return compare


@pytest.fixture(scope="session")
def csim() -> None:
    """What C simulation needs: a compiler and the headers of HLS. Where they are missing, the test is skipped and says why."""
    from sim.csim import find_compiler
    from sim.hls_headers import find_headers
    from sw_model.errors import UserError

    try:
        find_headers()
        find_compiler()
    except UserError as missing:
        pytest.skip(str(missing))

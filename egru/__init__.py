"""The front door: command line, the flow from one stage to the next, the report."""

import os

from sw_model.version import __version__

# Before numpy and torch are loaded. Matrices here are small, and idle BLAS threads that spin take the core from the simulator or the placer
# that works beside them; whoever trains something large says so in the environment.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

__all__ = ["__version__"]

"""What a model of features decides from its integer logits (docs/semantics.md, section 6), on the host.

* ``last``: argmax of the logits of the last step.
* ``mean``: argmax of their sum over all steps, which is the argmax of their mean without a division.
* ``steps``: at every step the argmax of the sum over the last ``window`` steps, fewer at the start.
* ``regression``: at every step ``offset + scale · logit · 2^-(fd + n)``, in float64.

Sums are of integers, hence exact; of equal logits the one of the lowest index is the largest.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sw_model.errors import UserError

ReadoutKind = Literal["last", "mean", "steps", "regression"]

MAX_WINDOW = 1 << 16
REMEDY = "export the model again"


@dataclass(frozen=True)
class Readout:
    """How logits become decisions or outputs.

    Attributes:
        kind: See the module.
        window: Steps that ``steps`` sums over; 1 otherwise.
        target_offset: Output that a logit of 0 stands for, float64, shape (outputs,); None unless ``kind`` is ``regression``.
        target_scale: Output per unit of logit, float64, same shape, not 0; None likewise.

    Raises:
        UserError: When these contradict each other.
    """

    kind: ReadoutKind
    window: int = 1
    target_offset: np.ndarray | None = None
    target_scale: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        if self.kind not in ("last", "mean", "steps", "regression"):
            raise UserError(f"read-out {self.kind!r}", "is not known", "use last, mean, steps or regression")
        if not 1 <= self.window <= MAX_WINDOW or (self.window > 1 and self.kind != "steps"):
            raise UserError(f"window={self.window} of the read-out {self.kind}", f"is not 1 to {MAX_WINDOW}, or 1 without steps", REMEDY)
        for name, values in (("target_offset", self.target_offset), ("target_scale", self.target_scale)):
            if (values is None) != (self.kind != "regression"):
                raise UserError(f"{name} of the read-out {self.kind}", "is there without regression, or missing with it", REMEDY)
            if values is not None and (values.ndim != 1 or values.dtype != np.float64 or not np.isfinite(values).all()):
                raise UserError(f"{name} of the read-out, {values.dtype} {values.shape}", "is not finite float64 (outputs,)", REMEDY)
        if self.target_scale is not None and not self.target_scale.all():
            raise UserError("target_scale of the read-out", "holds a 0", REMEDY)

    @property
    def needs_logits(self) -> bool:
        """Whether it needs more of every step than its answer: the class of the largest logit."""
        return self.kind in ("mean", "regression") or self.window > 1

    def decisions(self, logits: np.ndarray) -> np.ndarray:
        """Decide a sequence's class, or with ``steps`` a class at every step.

        Args:
            logits: int64, shape (..., steps, classes), whole sequences of at least one step.

        Returns:
            int64, shape (...), or (..., steps).

        Raises:
            UserError: When there is no step, or the read-out is a regression.
        """
        _require_steps(logits)
        if self.kind == "regression":
            raise UserError("the read-out regression", "decides no class", "take its outputs")
        if self.kind == "last":
            sums = logits[..., -1, :]
        elif self.kind == "mean":
            sums = logits.sum(axis=-2)
        else:
            sums = np.cumsum(logits, axis=-2)
            sums[..., self.window :, :] -= sums[..., : -self.window, :].copy()
        decided: np.ndarray = sums.argmax(axis=-1)  # numpy's argmax gives the first of equals
        return decided

    def outputs(self, logits: np.ndarray, frac: int) -> np.ndarray:
        """Return the outputs of a regression, float64, of the shape of ``logits``.

        Args:
            logits: int64, shape (..., steps, outputs).
            frac: Their fraction bits.

        Raises:
            UserError: When the read-out is no regression.
        """
        if self.target_offset is None or self.target_scale is None:
            raise UserError(f"the read-out {self.kind}", "has no outputs", "take its decisions")
        found: np.ndarray = self.target_offset + self.target_scale * (logits * 2.0**-frac)
        return found


class RunningReadout:
    """What a read-out makes of the logits of a sequence as they come: after its last step the decision of `Readout.decisions`.

    Args:
        readout: Any but ``regression``, whose outputs belong to one step each: take `Readout.outputs`.

    Raises:
        UserError: When it is a regression.

    Attributes:
        sums: The sums that are compared now, int64, shape (classes,); None before the first step.
    """

    def __init__(self, readout: Readout) -> None:
        if readout.kind == "regression":
            raise UserError("the read-out regression", "decides no class", "take its outputs")
        self._window = {"last": 1, "mean": None, "steps": readout.window}[readout.kind]
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self.sums: np.ndarray | None = None
        self._steps = 0
        self._within: deque[np.ndarray] = deque()

    def step(self, logits: np.ndarray) -> int:
        """Take the logits of the next step, int64, shape (classes,); return the class decided so far."""
        self.sums = logits.copy() if self.sums is None else self.sums + logits
        self._steps += 1
        if self._window is not None:
            self._within.append(logits)
            if len(self._within) > self._window:
                self.sums = self.sums - self._within.popleft()
                self._steps -= 1
        return int(self.sums.argmax())

    @property
    def margin(self) -> float:
        """How far the class decided leads the next one: mean difference of their logits, in units of 2^-(fd + n); 0 at a tie."""
        if self.sums is None or len(self.sums) < 2:
            return 0.0
        second, first = np.sort(self.sums)[-2:]
        return float(first - second) / self._steps


def _require_steps(logits: np.ndarray) -> None:
    if logits.shape[-2] == 0:
        raise UserError("a sequence of 0 steps", "has nothing to decide from", "give at least one frame")

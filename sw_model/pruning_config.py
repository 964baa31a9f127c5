"""What a user may set for pruning, checked when it is read; without torch, so that what only reads it starts at once."""

from typing import Any, Literal

from pydantic import Field, model_validator

from sw_model.strict_toml import StrictModel

Method = Literal["global", "layer", "column-balanced", "n-m", "gate-group"]

MAX_BLOCK = 64
#: How far ``sparsity`` may be from 1 - N/M: what rounding to two digits does, and a little for the rounding of floats.
SPARSITY_ROUNDING = 0.0051


class PruningStructure(StrictModel):
    """Which weights compete with each other for being kept.

    Attributes:
        method: ``global``: all of all matrices. ``layer``: those of one matrix; every matrix gets the same sparsity. ``column-balanced``:
            all, but every lane keeps as many of a column as the others, so that all have the same work on every event. ``n-m``: those of a
            block of M that follow each other in a column. ``gate-group``: all, but the gates' weights of one (row, source) pair stay or go
            together.
        lanes: For ``column-balanced``: lanes of every layer and of the decoder, or one number for each layer and then the decoder; none for
            a tied decoder, which is not pruned. Row r belongs to lane r mod lanes.
        n_of_m: For ``n-m``: N and M.
    """

    method: Method = "global"
    lanes: int | tuple[int, ...] | None = None
    n_of_m: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _check_structure(self) -> "PruningStructure":
        for name, value, owner in (("lanes", self.lanes, "column-balanced"), ("n_of_m", self.n_of_m, "n-m")):
            if value is not None and self.method != owner:
                raise ValueError(f"{name}={_shown(value)} belongs to method='{owner}', not to method='{self.method}': leave it out")
            if value is None and self.method == owner:
                raise ValueError(f"method='{owner}' needs {name}")
        if self.lanes is not None and min(_numbers(self.lanes), default=0) < 1:
            raise ValueError(f"lanes={_shown(self.lanes)} must be at least 1")
        if self.n_of_m is not None and not 1 <= self.n_of_m[0] < self.n_of_m[1] <= MAX_BLOCK:
            raise ValueError(f"n_of_m={_shown(self.n_of_m)} must be 1 <= N < M <= {MAX_BLOCK}")
        return self


class PruningConfig(PruningStructure):
    """When, how far and in which structure to prune.

    Attributes:
        sparsity: Share of zero weights at the end. With ``n_of_m`` it follows as 1 - N/M and may be left out.
        schedule: ``one-shot`` prunes everything at ``start_step``; ``cubic`` goes from the sparsity found to ``sparsity`` by ``end_step``,
            fast at first: s(t) = s_end + (s_start - s_end) (1 - t)^3.
        start_step: First step that prunes.
        end_step: Step that reaches ``sparsity``.
        interval: Steps between two prunings.
    """

    sparsity: float = Field(ge=0, lt=1)
    schedule: Literal["one-shot", "cubic"] = "cubic"
    start_step: int = Field(default=0, ge=0)
    end_step: int = Field(default=0, ge=0)
    interval: int = Field(default=10, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _derive_sparsity(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        # A validator that runs before turns JSON into Python values, and for those strict refuses a list in place of a tuple.
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        match values.get("n_of_m"):
            case (int(n), int(m)) if 0 < n < m:
                return {"sparsity": 1.0 - n / m} | values
        return values

    @model_validator(mode="after")
    def _check_steps(self) -> "PruningConfig":
        if self.schedule == "cubic" and self.end_step <= self.start_step:
            raise ValueError(f"end_step={self.end_step} is not after start_step={self.start_step}")
        return self

    @model_validator(mode="after")
    def _check_sparsity(self) -> "PruningConfig":
        if self.n_of_m is not None:
            derived = 1.0 - self.n_of_m[0] / self.n_of_m[1]
            if abs(self.sparsity - derived) > SPARSITY_ROUNDING:
                raise ValueError(f"sparsity={self.sparsity} disagrees with n_of_m={_shown(self.n_of_m)}, which gives {derived:.4g}")
        return self

    def finished(self, step: int) -> bool:
        """Say whether ``sparsity`` is reached once ``step`` has been pruned."""
        return step >= (self.end_step if self.schedule == "cubic" else self.start_step)

    def due(self, step: int) -> bool:
        """Say whether ``step`` prunes."""
        if self.schedule == "one-shot":
            return step == self.start_step
        return step == self.end_step or (self.start_step <= step < self.end_step and (step - self.start_step) % self.interval == 0)

    def sparsity_at(self, step: int, start_sparsity: float = 0.0) -> float:
        """Return the sparsity that ``step`` asks for."""
        if self.finished(step):
            return self.sparsity
        if self.schedule == "one-shot" or step < self.start_step:
            return start_sparsity
        left = 1.0 - (step - self.start_step) / (self.end_step - self.start_step)
        return self.sparsity + (start_sparsity - self.sparsity) * left**3


def _numbers(lanes: int | tuple[int, ...]) -> tuple[int, ...]:
    return (lanes,) if isinstance(lanes, int) else lanes


def _shown(value: int | tuple[int, ...]) -> str:
    """Write a tuple as TOML and the error messages of the hardware configuration do."""
    return str(value if isinstance(value, int) else list(value))

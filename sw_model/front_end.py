"""What made the features of a data set from a signal, as it travels with data sets, checkpoints and models: plain JSON values.

So whoever runs the model on a microphone makes the same features as those that it was trained on.
"""

from dataclasses import asdict
from typing import Any, Literal

from sw_model.errors import UserError
from sw_model.log_mel import LogMelConfig
from sw_model.quantized_model import QuantizedModel
from sw_model.strict_toml import StrictModel, validate


class FrontEnd(StrictModel):
    """`sw_model.log_mel.LogMelConfig`, every value of it, and that it is one."""

    kind: Literal["log-mel"]
    sample_rate: int
    window: int
    hop: int
    fft: int
    bands: int
    low_hz: float
    high_hz: float
    power_floor: float
    offset_db: float
    steps_per_db: float

    @classmethod
    def of(cls, config: LogMelConfig) -> "FrontEnd":
        """Write a configuration down."""
        return cls(kind="log-mel", **asdict(config))

    def config(self) -> LogMelConfig:
        """Return the configuration.

        Raises:
            UserError: When a value is out of range.
        """
        return LogMelConfig(**self.model_dump(exclude={"kind"}))


def model_front_end(model: QuantizedModel) -> LogMelConfig | None:
    """Return the front end that a model was trained behind; None where it names none.

    Raises:
        UserError: When what it names is damaged, or gives another number of features than the model reads.
    """
    data = model.metadata.get("data")
    given: Any = data.get("front_end") if isinstance(data, dict) else None
    if given is None or model.feature_input is None:
        return None
    what = "front end that the model names"
    if not isinstance(given, dict):
        raise UserError(what, "is no table", "export the model again")
    config = validate(given, FrontEnd, what).config()
    require_bands(model, config)
    return config


def require_bands(model: QuantizedModel, config: LogMelConfig) -> None:
    """Check that a model reads what a front end gives.

    Raises:
        UserError: When it does not.
    """
    features = 0 if model.feature_input is None else model.feature_input.features
    if features != config.bands:
        rule = f"cannot feed a model that reads {features} features"
        raise UserError(f"front end of {config.bands} bands", rule, "give a model that was trained behind this front end")

"""Compares what a design did with what the reference says, with ==, and saves the first case that differs."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

SaveMore = Callable[[Path], None]


class MismatchError(AssertionError):
    """The first difference; the message names step, layer, neuron, both values, the seed and where the case is saved."""


class Scoreboard:
    """Counts what is compared; the first difference is saved and raised.

    Attributes:
        steps: Steps of which at least one thing was compared.
        events: Events that the reference expected.
        values: Values compared: event flags and event values of every neuron, logits, other items.
        mismatches: Values that differed.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        context: Mapping[str, Any] | None = None,
        tensors: Mapping[str, np.ndarray] | None = None,
        save_more: SaveMore | None = None,
    ) -> None:
        """Start with nothing compared.

        Args:
            folder: Where the failing case is saved; need not exist.
            seed: What chose the stimulus.
            context: JSON facts that are saved with the case, such as parameters.
            tensors: Arrays that are saved with the case, such as the stimulus.
            save_more: Called with the folder to add what else a replay needs, such as the model.
        """
        self.events = self.values = self.mismatches = 0
        self._seen: set[int] = set()
        self._folder, self._seed, self._save_more = folder, seed, save_more
        self._context, self._tensors = dict(context or {}), dict(tensors or {})

    @property
    def steps(self) -> int:
        """Number of different steps compared."""
        return len(self._seen)

    def report(self) -> dict[str, int]:
        """Return the counts, as `sim.runner.write_report` takes them."""
        return {"steps": self.steps, "events": self.events, "values": self.values, "mismatches": self.mismatches}

    def check_events(self, step: int, layer: int | str, observed: Sequence[tuple[int, int]], fired: np.ndarray, value: np.ndarray) -> None:
        """Compare one layer's events of one step, in any order.

        Args:
            step: Time step.
            layer: Number or name of the layer.
            observed: (index, value) of each event.
            fired: Expected flags, bool, shape (neurons,).
            value: Expected values, int, shape (neurons,).

        Raises:
            MismatchError: When a neuron fired twice, outside the layer, with another value, or not as expected.
        """
        indices = [index for index, _ in observed]
        strange = [index for index in indices if index >= len(fired)] + [index for index in set(indices) if indices.count(index) > 1]
        if strange:
            self._differ(step, layer, "event sent twice or outside the layer", strange[0], indices.count(strange[0]), 1, observed, fired)
        observed_fired, observed_value = np.zeros(len(fired), np.int64), np.zeros(len(fired), np.int64)
        for index, event in observed:
            observed_fired[index], observed_value[index] = 1, event
        self.events += int(np.count_nonzero(fired))
        self.check(step, layer, "event flag", observed_fired, np.asarray(fired).astype(np.int64))
        self.check(step, layer, "event value", observed_value, np.where(fired, value, 0))

    def check_logits(self, step: int, observed: Sequence[int], expected: np.ndarray) -> None:
        """Compare all logits of one step.

        Raises:
            MismatchError: When one differs or the number of them does.
        """
        self.check(step, "decoder", "logit", observed, expected)

    def check(
        self, step: int, layer: int | str, what: str, observed: Sequence[int] | np.ndarray, expected: Sequence[int] | np.ndarray
    ) -> None:
        """Compare one value per neuron (or class, or item).

        Args:
            step: Time step or transaction.
            layer: Layer or module.
            what: Name of the compared quantity.
            observed: int, shape (neurons,).
            expected: int, same shape.

        Raises:
            MismatchError: At the first difference.
        """
        self._seen.add(step)
        found, wanted = np.asarray(observed, np.int64), np.asarray(expected, np.int64)
        if found.shape != wanted.shape:
            self._differ(step, layer, f"number of {what}s", 0, len(found), len(wanted), found, wanted)
        self.values += wanted.size
        different = np.flatnonzero(found != wanted)
        if different.size:
            self.mismatches += int(different.size)
            first = int(different[0])
            self._differ(step, layer, what, first, int(found[first]), int(wanted[first]), found, wanted)

    def _differ(
        self, step: int, layer: int | str, what: str, neuron: int, found: int, wanted: int, all_found: Any, all_wanted: Any
    ) -> None:
        case = {"step": step, "layer": layer, "what": what, "neuron": neuron, "observed": found, "expected": wanted, "seed": self._seed}
        if not self._folder.exists():  # keep the first case
            self._folder.mkdir(parents=True)
            (self._folder / "case.json").write_text(json.dumps(case | {"context": self._context}, indent=1) + "\n")
            tensors = self._tensors | {"observed": np.asarray(all_found, np.int64), "expected": np.asarray(all_wanted, np.int64)}
            save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, self._folder / "tensors.safetensors")
            if self._save_more:
                self._save_more(self._folder)
        raise MismatchError(
            f"step {step}, layer {layer}, neuron {neuron}: {what} is {found}, expected {wanted}; "
            f"seed {self._seed}, case saved in {self._folder}"
        )

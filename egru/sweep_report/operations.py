"""What a step does, by the names of `egru.energy.Operation`. What that costs by an energy model belongs here, as one more figure."""

from collections.abc import Sequence

from egru.sweep_report.entries import Entry
from egru.sweep_report.figures import COLORS, MAX_BARS, Axis, Bars, Figure, Part, shortened, spread

#: Which names belong together, by how they end. Toggles are of another order of magnitude than all else.
READ, WRITE, TOGGLE = "_read", "_write", "_toggle"


def operations(entries: Sequence[Entry]) -> list[Figure]:
    """Return how often a step does what; nothing where nothing was counted."""
    counted = [(one, one.row.simulation.counts_per_step) for one in entries if one.row.simulation and one.row.simulation.counts_per_step]
    shown = spread(counted, MAX_BARS)
    names = list(dict.fromkeys(name for _, counts in shown for name in counts))
    others = [name for name in names if not name.endswith((READ, WRITE, TOGGLE))]
    memories = list(dict.fromkeys(name.removesuffix(READ).removesuffix(WRITE) for name in names if name.endswith((READ, WRITE))))

    def bars(title: str, unit: str, found: Sequence[str], ending: str = "", first: int = 0) -> list[Bars]:
        parts = tuple(
            Part(name.replace("_", " "), (first + index) % COLORS, tuple(counts.get(name + ending, 0.0) for _, counts in shown))
            for index, name in enumerate(found)
            if name + ending in names
        )
        return [Bars(title, Axis(unit), tuple(one.label for one, _ in shown), parts)] if parts else []

    toggles = [name for name in names if name.endswith(TOGGLE)]
    work = bars("Arithmetic and events", "times in a step", others)
    work += bars("Toggles of registers", "bits that change in a step", toggles, first=len(others))
    accesses = bars("Reads", "words in a step", memories, READ) + bars("Writes", "words in a step", memories, WRITE)
    told = "MACs, events and toggles were counted in the simulated RTL. Counts are no energy." + shortened(len(counted))
    derived = "How often memories and queues are read and written, as follows from what was counted and from the architecture."
    made = (("work", "What a step does", told, work), ("memories", "What a step reads and writes", derived, accesses))
    return [Figure(key, title, reading, tuple(panels)) for key, title, reading, panels in made if panels]

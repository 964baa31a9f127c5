"""What every transport offers: words in, answers and registers out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Word(NamedTuple):
    """A word of the input stream (docs/host_link.md): a token, or of a device that reads features an event or the end of a time step.

    Attributes:
        value: 15 bits.
        last: Whether it ends its sequence: what follows then meets a state of zero.
        answered: Whether it ends a time step, as every token does.
    """

    value: int
    last: bool = False
    answered: bool = True


class Answer(NamedTuple):
    """The class of the largest logit of a step, the lowest such class at a tie, and that logit (docs/semantics.md, section 6)."""

    symbol: int
    logit: int


@dataclass
class LinkStatistics:
    """What happened on the link.

    Attributes:
        requests: Requests, each counted once.
        retries: Times that a request was sent again.
        replies: Replies that were accepted.
        rejected: Beginnings of a reply that were followed by no good frame: a wrong CRC, or a byte that only looked like a beginning.
        ignored: Good replies that nobody waited for, most of them second replies after a retry.
        bytes_sent: Bytes sent.
        bytes_received: Bytes received.
    """

    requests: int = 0
    retries: int = 0
    replies: int = 0
    rejected: int = 0
    ignored: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class Transport(Protocol):
    """A way to a device. Each call is executed by the device exactly once, or raises `LinkError`."""

    @property
    def name(self) -> str:
        """What the device is called in messages, e.g. its port."""
        ...

    @property
    def max_words(self) -> int:
        """The most words that one `step` takes."""
        ...

    @property
    def has_logits(self) -> bool:
        """Whether `logits` can be asked for."""
        ...

    @property
    def statistics(self) -> LinkStatistics:
        """What happened so far."""
        ...

    def step(self, words: Sequence[Word]) -> list[Answer]:
        """Send 1 to ``max_words`` words; return an answer for each that ends a time step."""
        ...

    def read(self, address: int, count: int = 1) -> list[int]:
        """Read consecutive registers from a byte address on, in this order."""
        ...

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write consecutive registers."""
        ...

    def fill(self, address: int, words: Sequence[int]) -> None:
        """Write all words to the same register, in this order."""
        ...

    def logits(self, first: int, count: int) -> list[int]:
        """Read logits of the last step."""
        ...

    def close(self) -> None:
        """Give the device free; may be called twice."""
        ...

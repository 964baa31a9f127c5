"""Which sequences every step of a training sees: a function of seed and step alone."""

import numpy as np

from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureSplit

#: Batches whose sequences are sorted by length before they are dealt, so that little is padded.
POOL = 8


class SequenceOrder:
    """The sequences of a split in another order in every epoch, those of about the same length together.

    Attributes:
        batches: Steps of an epoch.
    """

    def __init__(self, split: FeatureSplit, streams: int, seed: int) -> None:
        """Deal ``streams`` sequences a step.

        Raises:
            UserError: When they are too few.
        """
        if split.sequences < streams:
            what = f"a training split of {split.sequences} sequences"
            raise UserError(what, f"is too small for streams={streams}", f"lower streams to {split.sequences} or less")
        self._lengths, self._streams, self._seed = split.lengths, streams, seed
        self.batches = split.sequences // streams
        self._epoch, self._dealt = -1, np.zeros((0, 0), np.int64)

    def at(self, step: int) -> np.ndarray:
        """Return which sequences a step sees, int, shape (streams,): in an epoch none twice, and all but fewer than ``streams``."""
        epoch, index = divmod(step, self.batches)
        if epoch != self._epoch:
            rng, streams = np.random.default_rng((self._seed, epoch)), self._streams
            drawn = rng.permutation(len(self._lengths))[: self.batches * streams]
            pools = np.array_split(drawn, range(POOL * streams, len(drawn), POOL * streams))
            drawn = np.concatenate([pool[np.argsort(self._lengths[pool], kind="stable")] for pool in pools])
            self._epoch, self._dealt = epoch, rng.permutation(drawn.reshape(self.batches, streams))
        indices: np.ndarray = self._dealt[index]
        return indices

"""Which training samples belong to which worker."""

from typing import Any, NamedTuple

from keras_efgsm.checks import check_count


class Shard(NamedTuple):
    """The samples of one of several workers: those whose id leaves its number as remainder.

    A worker keeps the momentum of its own samples only, the sample `id` in row `id // count`.

    Attributes:
        index: the worker, from 0.
        count: how many workers there are.
    """

    # Shadow `tuple.index` and `tuple.count`, which have no use here.
    index: int = 0  # type: ignore[assignment]
    count: int = 1  # type: ignore[assignment]

    def size(self, num_samples: int) -> int:
        """How many of so many samples belong to it."""
        return len(range(self.index, num_samples, self.count))

    def rows(self, ids: Any) -> Any:
        """Rows of its samples in its own tables."""
        return ids if self.count == 1 else ids // self.count

    def owned(self, ids: Any) -> Any:
        """Whether each of these samples belongs to it."""
        return ids % self.count == self.index


def check_shards(shards: int, batch_size: int) -> int:
    """Returns `shards` if each can give the same part of a global batch.

    Raises:
        ValueError: if the batch cannot be divided so.
    """
    shards = check_count(shards, "shards")
    if batch_size % shards:
        raise ValueError(
            f"`batch_size` is that of all workers together and must be a multiple of their number, "
            f"{shards}. Received: batch_size={batch_size}"
        )
    return shards

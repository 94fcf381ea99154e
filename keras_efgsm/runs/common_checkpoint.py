"""The newest checkpoint that all workers have."""

from keras_efgsm.distribution.agreement import Agreement
from keras_efgsm.runs.checkpoint import Checkpoint
from keras_efgsm.runs.checkpoint_pair import CheckpointPair

_NONE = (-1, -1)


def read_common_checkpoint(pair: CheckpointPair, agreement: Agreement) -> Checkpoint | None:
    """Reads this worker's checkpoint of the newest step of which every worker has one.

    Each worker writes its own, with its part of the momentum. A kill may come when some have
    written and others not; then they are one checkpoint apart, and each has its last two.

    Args:
        pair: this worker's checkpoint files.
        agreement: with the other workers.

    Returns:
        None if no worker has any.

    Raises:
        ValueError: if there are checkpoints, but none of the same step on all workers.
    """
    if agreement.workers == 1:
        return pair.read()
    found = pair.read_all()
    positions = [(c.meta["epoch"], c.meta["step"]) for c in found]
    padded = [*positions, _NONE, _NONE][:2]
    rows = agreement.gather([number for position in padded for number in position])
    of_workers = [{tuple(row[:2]), tuple(row[2:])} - {_NONE} for row in rows.tolist()]
    if not any(of_workers):
        return None
    common = set.intersection(*of_workers)
    if not common:
        there = "; ".join(
            f"worker {worker}: {sorted(found) or 'none'}" for worker, found in enumerate(of_workers)
        )
        raise ValueError(
            "The workers must have checkpoints of a common step to go on from; these are there, "
            f"as (epoch, step): {there}. Put back copies of them, or train anew in another folder. "
            f"Received: checkpoint={str(pair.newest)!r}"
        )
    checkpoint = found[positions.index(max(common))]
    pair.go_on_from(checkpoint)
    return checkpoint

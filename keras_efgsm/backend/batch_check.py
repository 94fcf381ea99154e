"""What a backend asks about the batches of its steps; `trainer.batch_checks` answers."""

from typing import Any, NamedTuple, Protocol


class BatchLimits(NamedTuple):
    """What every batch must keep to, as far as a graph can tell.

    Attributes:
        image_shape: `(H, W, C)` of an image.
        num_classes: the number K of classes; None where labels are not asked for.
        num_ids: sample ids lie below it; None where they are not asked for.
        distinct_ids: whether a sample may come once in a batch only.
    """

    image_shape: tuple[int, int, int]
    num_classes: int | None = None
    num_ids: int | None = None
    distinct_ids: bool = True


class BatchCheck(Protocol):
    """Looks at the batches of one kind of step: of a training, an evaluation or a prediction."""

    @property
    def limits(self) -> BatchLimits:
        """What a graph can tell by itself; a batch that seems to pass them is asked about."""
        ...

    def advance(self, steps: int) -> None:
        """Takes down that the next batches are taken.

        Args:
            steps: how many.
        """
        ...

    def refuses(self, data: Any) -> bool:
        """Whether a batch must not be taken, which it then remembers.

        Args:
            data: what Keras hands to a step, with NumPy arrays.
        """
        ...

    def raise_refused(self, stopped: bool = False) -> None:
        """Raises the `ValueError` of what it refused, if it refused something.

        Args:
            stopped: whether the step was stopped, if not by this process then by another. Defaults
                to `False`.
        """
        ...

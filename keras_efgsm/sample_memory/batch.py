"""A batch of training samples: images, their ids and labels, and how the images are looked at."""

from typing import Any, NamedTuple, TypeVar

import keras
from keras import ops

from keras_efgsm.typing import Tensor

Named = TypeVar("Named", bound=Any)


class TrainingBatch(NamedTuple):
    """A batch as the training step sees it.

    Attributes:
        x: clean images `(B, H, W, C)`, float32.
        ids: sample ids `(B,)`, int32.
        y: labels as they came, for compiled metrics.
        labels: true classes `(B,)`, int32.
        probabilities: class probabilities `(B, K)`, not smoothed.
        sample_weight: weights `(B,)` or None.
        view: the `View` of the stored images that `x` is, None where it is the images themselves.
        present: how many images the replica really has, see `without_empty_batch`; None for B.
    """

    x: Tensor
    ids: Tensor
    y: Tensor
    labels: Tensor
    probabilities: Tensor
    sample_weight: Tensor | None
    view: Any = None
    present: Tensor | None = None

    @property
    def count(self) -> Tensor:
        """How many images there are."""
        return ops.shape(self.x)[0] if self.present is None else self.present

    def real(self, values: Any) -> Any:
        """The values of the images that are really present, in any structure."""
        if self.present is None:
            return values
        return keras.tree.map_structure(
            lambda v: v[: self.present] if v is not None and len(v.shape) else v, values
        )

    def real_tensors(self, values: Named) -> Named:
        """A named tuple with `real` applied to its tensors."""
        if self.present is None:
            return values
        tensors = {name: v for name, v in values._asdict().items() if ops.is_tensor(v)}
        real: Named = values._replace(**self.real(tensors))
        return real

"""How far the decisions of a randomised classifier spread: single draws on the images found."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_efgsm.backend import compiled_once
from keras_efgsm.evaluation.image_set import ImageSet, batches, even_batch_size
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.records.single_draws import SingleDraws
from keras_efgsm.typing import Tensor

DRAWS = 10
"""How often each image is asked again, one draw at a time."""


class Spread:
    """What single draws of a randomised classifier say of the images that its verdict is on.

    The verdict of an evaluation is one answer for each image: a single draw, or the mean over the
    draws of `with_eot`. A deployed classifier draws once. So of each image the adversarial version
    of the smallest margin, by the verdict, is put to it `DRAWS` times more; the share of images
    that a draw gets right is one robust accuracy of the deployed classifier, and these spread.

    Args:
        model: the classifier as it is attacked; it must answer at random.
        images: the images and labels.
        before: what was known at an interruption, see `state`. Defaults to nothing.

    Attributes:
        state: float32 `(1 + DRAWS, n)`: the smallest margin of each image so far, and whether each
            draw was right on the version that has it.
    """

    def __init__(self, model: EvaluatedModel, images: ImageSet, before: np.ndarray | None = None):
        self._images = images
        one = model.logits_fn if model.one_draw is None else model.one_draw
        self._draw = compiled_once(one, model.variables)
        count = len(images.labels)
        if before is None:
            before = np.full((1 + DRAWS, count), np.inf, "float32")
            before[1:] = 0.0
        self.state = before

    def take_clean(self, judge: Callable[..., Any], batch_size: int) -> None:
        """Asks about the clean images, from which an image that no attack sees keeps its draws.

        Args:
            judge: as `compile_judge` makes it.
            batch_size: most images in a batch.
        """
        count = len(self._images.labels)
        for chosen, padded in batches(np.arange(count), even_batch_size(count, batch_size)):
            x = ops.convert_to_tensor(self._images.pixels(padded))
            self.take(chosen, x, np.asarray(judge(x, x)[0])[: len(chosen)])

    def take(self, chosen: np.ndarray, x: Tensor, logits: np.ndarray) -> None:
        """Asks about a batch, and keeps the draws of the images whose margin is the smallest yet.

        Args:
            chosen: numbers `(b,)` of the images.
            x: their present versions `(B, H, W, C)`, B >= b: what follows is padding.
            logits: the verdict's `(b, K)`.
        """
        labels = self._images.labels[chosen]
        margins = _margins(logits, labels)
        lower = margins < self.state[0, chosen]
        if not lower.any():
            return
        answers = np.stack([np.asarray(self._draw(x))[: len(chosen)] for _ in range(DRAWS)])
        right = np.isfinite(answers).all(axis=2) & (answers.argmax(axis=2) == labels)
        self.state[0, chosen[lower]] = margins[lower]
        self.state[1:, chosen[lower]] = right[:, lower]

    def result(self, correct: np.ndarray) -> SingleDraws:
        """The robust accuracies of single draws.

        Args:
            correct: whether `(n,)` the verdict on each clean image is right; the others, which no
                attack saw, count as wrong.
        """
        shares = (self.state[1:].astype(bool) & correct).mean(axis=1)
        return SingleDraws(
            draws=len(shares),
            mean=float(shares.mean()),
            deviation=float(shares.std(ddof=1)),
            lowest=float(shares.min()),
            highest=float(shares.max()),
        )


def _margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The true logit less the largest other one, `(b,)`; minus infinity where one is not finite."""
    rows = np.arange(len(labels))
    others = logits.astype("float64")
    others[rows, labels] = -np.inf
    with np.errstate(invalid="ignore"):
        margins = logits[rows, labels] - others.max(axis=1)
    return np.where(np.isfinite(logits).all(axis=1), margins, -np.inf).astype("float32")

"""The base of attacks that look for the nearest image of another class."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import keras

from keras_efgsm.attacks.inputs import check_call
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import compiled_once
from keras_efgsm.configured import Configured
from keras_efgsm.records import wording
from keras_efgsm.typing import LogitsFn, Tensor

Finder = Callable[[Tensor, Tensor], Tensor]
"""Images `(B, H, W, C)` and true classes `(B,)` to the nearest images found of another class."""


class MinimumAttack(Configured, ABC):
    """Base of the minimum-distance attacks: no ball, but the smallest change that turns an image.

    A subclass sets `kind` and `norms`, keeps its options as attributes of their names, and
    implements `find`; one that another library runs sets `engines` alone. An image for which it
    finds nothing comes back as it was, and so does one that is misclassified already; whoever
    measures asks the classifier, see `measure_distances`. The result of an image does not depend
    on the others of its batch.

    Example:

    ```python
    x_adv = DeepFool(norm="l2")(classifier, x, y)
    ```
    """

    # What it is called, whatever its norm.
    kind: ClassVar[str]
    # The norms it is there for.
    norms: ClassVar[tuple[str, ...]]
    # Whose implementations there are.
    engines: ClassVar[tuple[str, ...]] = ("native",)
    # Whether it goes through gradients of the model, or asks for logits alone.
    needs_gradient: ClassVar[bool] = True
    # The norm that it makes small; an instance may have it as an option.
    norm: str
    steps: int

    def find(self, logits_fn: LogitsFn, x: Tensor, labels: Tensor) -> Tensor:
        """The nearest images found that are not of the true class, in a graph.

        Args:
            logits_fn: maps images to float32 logits `(B, K)` in evaluation mode.
            x: clean images `(B, H, W, C)` in [0, 1].
            labels: true classes `(B,)`, integers.

        Returns:
            Images of the shape of `x` in [0, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} is run by another library")

    def compile(self, logits_fn: LogitsFn, reads: Sequence[keras.Variable] = ()) -> Finder:
        """The attack on a classifier as one graph, traced once for each size of batch.

        Args:
            logits_fn: maps images to logits `(B, K)`.
            reads: the variables that it reads. Defaults to none.
        """

        def run(x: Tensor, labels: Tensor) -> Tensor:
            return self.find(logits_fn, x, labels)

        graph: Finder = compiled_once(run, reads)
        return graph

    def __call__(self, classifier: LogitsFn, x: Tensor, y: Tensor) -> Tensor:
        """The nearest images found of another class, for a batch of clean ones.

        Args:
            classifier: a Keras model or function that returns logits.
            x: images `(B, H, W, C)` in [0, 1].
            y: true classes `(B,)`.

        Raises:
            ValueError: if images and labels are not as above, or not as the classifier takes them,
                or if the attack is run by another library, see `measure_distances`.
        """
        if "native" not in self.engines:
            raise ValueError(
                f"`{self.kind}` is run by another library: "
                f'`measure_distances(..., engine="{self.engines[0]}")`. '
                f"Received: attack={self!r}"
            )
        check_call(classifier, x, y)
        reads = classifier.variables if isinstance(classifier, keras.layers.Layer) else ()
        run = self.compile(evaluation_logits(classifier), reads)
        images, labels = (
            keras.ops.convert_to_tensor(x, dtype="float32"),
            keras.ops.convert_to_tensor(y, dtype="int32"),
        )
        return run(images, labels)

    @property
    @abstractmethod
    def passes(self) -> int:
        """How often it asks for logits and a gradient at most."""

    @property
    def budget(self) -> str:
        """What it may spend on an image, such as `"50 steps"`."""
        return wording.count(self.passes, "step")

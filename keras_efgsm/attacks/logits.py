"""A classifier's logits: in evaluation mode, with the statistics of the batch, or over draws."""

import keras

from keras_efgsm.checks import check_count
from keras_efgsm.networks.outputs import read_logits
from keras_efgsm.typing import LogitsFn, Tensor


def evaluation_logits(classifier: LogitsFn) -> LogitsFn:
    """Float32 logits of a classifier in evaluation mode: batch-norm statistics do not move.

    Of several outputs it takes the only one, or that named `logits`, and reads one logit as two,
    see `keras_efgsm.networks.outputs.read_logits`.
    """
    if isinstance(classifier, keras.layers.Layer):
        return lambda x: read_logits(classifier(x, training=False))
    return lambda x: read_logits(classifier(x))


def expected_logits(classifier: LogitsFn, draws: int) -> LogitsFn:
    """The mean of the logits over independent draws of a randomised classifier.

    Expectation over transformation, for defences that draw at random (Athalye, Engstrom, Ilyas &
    Kwok 2018, "Synthesizing robust adversarial examples"; section 4 of Athalye, Carlini & Wagner
    2018, "Obfuscated gradients give a false sense of security"): an attack that follows a single
    draw is led astray by the next one. The gradient of any loss of the mean goes through all draws,
    so that of a margin, which is linear in the logits, is the mean of their gradients; and a
    decision, such as whether a query of Square is kept or an image turned, is by the mean logits,
    not by a vote. A pass takes `draws` times as long and as much memory.

    Args:
        classifier: a Keras model or function that returns logits, another draw at each call.
        draws: how many, at least 1; with 1 it is `evaluation_logits`.

    Raises:
        ValueError: if `draws` is no count.

    Example:

    ```python
    x_adv = PGD(epsilon=0.3)(expected_logits(classifier, draws=20), x, y)
    ```
    """
    count, one = check_count(draws, "draws"), evaluation_logits(classifier)
    if count == 1:
        return one

    def mean(x: Tensor) -> Tensor:
        # One call for each draw: a layer may draw once for a whole batch, so that a batch of
        # copies would share it.
        total = one(x)
        for _ in range(count - 1):
            total = total + one(x)
        return total / count

    return mean


def batch_statistics_logits(classifier: keras.Model) -> LogitsFn:
    """Float32 logits of a classifier in training mode, which leave the classifier as it was.

    Batch norm normalises by the batch, as in the update that follows, but its running statistics
    do not move; dropout and other random layers draw what that update will draw.
    """

    def logits_of(images: Tensor) -> Tensor:
        state = [(variable, variable.value) for variable in classifier.variables]
        with keras.StatelessScope(state_mapping=state):
            return keras.ops.cast(classifier(images, training=True), "float32")

    return logits_of

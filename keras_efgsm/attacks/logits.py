"""A classifier's logits, in evaluation mode or with the statistics of the batch."""

import keras

from keras_efgsm.typing import LogitsFn, Tensor


def evaluation_logits(classifier: LogitsFn) -> LogitsFn:
    """Float32 logits of a classifier in evaluation mode: batch-norm statistics do not move."""
    if isinstance(classifier, keras.layers.Layer):
        return lambda x: keras.ops.cast(classifier(x, training=False), "float32")
    return lambda x: keras.ops.cast(classifier(x), "float32")


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

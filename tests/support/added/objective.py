"""An objective of someone else's: the cross-entropy of clean images, of some weight."""

from keras_efgsm.objectives import AdversarialCrossEntropy


class Clean(AdversarialCrossEntropy):
    """Cross-entropy of the clean images.

    Args:
        label_smoothing: share of each label spread over the classes. Defaults to `0.25`.
        strength: factor of the loss. Defaults to `1.0`.
    """

    def __init__(self, label_smoothing: float = 0.25, strength: float = 1.0):
        super().__init__(label_smoothing)
        self.strength = strength

    def losses(self, classifier, reconstructor, examples):
        result = super().losses(classifier, None, examples._replace(x_adv=examples.x))
        return result._replace(loss=self.strength * result.loss)

"""A training attack of someone else's: all pixels darker."""

from keras_efgsm.attacks import Attack, Perturbed
from keras_efgsm.equations import project


class Darken(Attack):
    """Makes every pixel darker.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        share: of epsilon, that each pixel loses. Defaults to `0.5`.
    """

    def __init__(self, *, epsilon, share: float = 0.5):
        super().__init__(epsilon=epsilon)
        self.share = share

    def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
        return Perturbed(images=project(x - self.share * self.epsilon, x, self.epsilon))

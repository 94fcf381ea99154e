"""An evaluation attack of someone else's: all pixels brighter, at once."""

from keras_efgsm.attacks import Attack, Budget, Perturbed
from keras_efgsm.equations import project


class Brighten(Attack):
    """Makes every pixel brighter.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        queries: how many it says that it asks. Defaults to `4`.
    """

    kind = "brighten"
    needs_gradient = False
    evaluation_options = ("queries",)

    def __init__(self, *, epsilon, queries=4):
        super().__init__(epsilon=epsilon)
        self.queries = queries

    @property
    def budget(self):
        return Budget(steps=None, queries=self.queries)

    def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
        return Perturbed(images=project(x + self.epsilon, x, self.epsilon))

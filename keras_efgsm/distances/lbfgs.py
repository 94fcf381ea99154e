"""The box-constrained L-BFGS attack."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.losses import cross_entropy
from keras_efgsm.backend import compiled_once, input_gradient
from keras_efgsm.checks import check_count, check_number
from keras_efgsm.distances.minimum_attack import Finder, MinimumAttack
from keras_efgsm.typing import LogitsFn, Tensor

# Until there was a success, the weight of the loss grows by this factor.
_GROWTH = 10.0


@keras.saving.register_keras_serializable(package="keras_efgsm")
class LBFGS(MinimumAttack):
    """L-BFGS within the box of images: the first attack of all.

    Szegedy et al. 2013, "Intriguing properties of neural networks", section 4.1, reference [8] of
    Chen & Lee: for a class l, the smallest r such that `x + r` in [0, 1] is classified as l is
    approximated by minimising

        ||r||_2^2 + c loss(x + r, l),   x + r in [0, 1]

    with box-constrained L-BFGS, loss being the cross-entropy, for the smallest c that turns the
    image, found by a binary search. Here l is the class of the largest rival logit on the clean
    image, and an image counts as turned in whatever class it ends. The weight stands at the loss
    and not, as printed, at the length of r, which is the same with c inverted.

    SciPy's `L-BFGS-B` runs it, image by image, as it works on the host; it is there for a
    comparison, not for thousands of images.

    Args:
        steps: iterations of L-BFGS for each c, at most. Defaults to `50`.
        searches: how many c are tried. Defaults to `8`.
        initial_constant: the first c. Defaults to `1.0`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = LBFGS(steps=20, searches=4)(classifier, x, y)
    ```
    """

    kind = "lbfgs"
    norms = ("l2",)
    norm = "l2"

    def __init__(self, *, steps: int = 50, searches: int = 8, initial_constant: float = 1.0):
        self.steps = check_count(steps, "steps")
        self.searches = check_count(searches, "searches")
        self.initial_constant = check_number(
            initial_constant, "initial_constant", minimum=0.0, strict=True
        )

    @property
    def passes(self) -> int:
        return self.steps * self.searches

    @property
    def budget(self) -> str:
        return f"{self.searches} x up to {self.steps:,} steps"

    def compile(self, logits_fn: LogitsFn, reads: Sequence[keras.Variable] = ()) -> Finder:
        def towards(images: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            def loss_at(images: Tensor) -> tuple[Tensor, Tensor]:
                logits = logits_fn(images)
                return cross_entropy(logits, target), logits

            return input_gradient(loss_at, images)

        loss_and_gradient = compiled_once(towards, reads)

        def run(x: Tensor, labels: Tensor) -> Tensor:
            images, truth = np.asarray(x), np.asarray(labels)
            made = [
                self._find_one(loss_and_gradient, image, label)
                for image, label in zip(images, truth, strict=True)
            ]
            return ops.convert_to_tensor(np.stack(made))

        return run

    def _find_one(self, loss_and_gradient: Finder, image: np.ndarray, label: int) -> np.ndarray:
        from scipy.optimize import minimize

        clean = image.astype("float64").reshape(-1)

        def ask(flat: np.ndarray, target: int) -> tuple[float, np.ndarray, np.ndarray]:
            pixels = ops.convert_to_tensor(flat.reshape(1, *image.shape).astype("float32"))
            loss, logits, gradient = loss_and_gradient(
                pixels, ops.convert_to_tensor(np.array([target], "int32"))
            )
            slope = np.asarray(gradient, "float64").reshape(-1)
            return float(np.asarray(loss)[0]), slope, np.asarray(logits)[0]

        logits = ask(clean, int(label))[2]
        if logits.argmax() != label:
            return image
        target = int(
            np.asarray(equations.nearest_rivals(logits[None], np.array([label], "int32"), 1))[0, 0]
        )
        constant, low, high = self.initial_constant, 0.0, np.inf
        best, shortest = image, np.inf
        for _ in range(self.searches):

            def objective(flat: np.ndarray, c: float = constant) -> tuple[float, np.ndarray]:
                loss, slope, _ = ask(flat, target)
                change = flat - clean
                return float(change @ change) + c * loss, 2.0 * change + c * slope

            options = {"maxiter": self.steps}
            bounds = [(0.0, 1.0)] * len(clean)
            found = minimize(
                objective, clean, jac=True, method="L-BFGS-B", bounds=bounds, options=options
            ).x
            # As it comes back: in float32.
            found = np.clip(found, 0.0, 1.0).astype("float32")
            if ask(found, target)[2].argmax() != label:
                high = min(high, constant)
                length = float(np.linalg.norm(found - clean))
                if length < shortest:
                    best, shortest = found.reshape(image.shape), length
            else:
                low = max(low, constant)
            constant = 0.5 * (low + high) if np.isfinite(high) else _GROWTH * constant
        return best

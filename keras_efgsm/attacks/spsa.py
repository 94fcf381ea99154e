"""SPSA, run by cleverhans."""

from typing import Any

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Attack, Budget, Perturbed
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.backend import BACKEND
from keras_efgsm.checks import check_count, check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class SPSA(Attack):
    """Simultaneous perturbation stochastic approximation: gradients guessed from logits alone.

    Uesato et al. 2018, "Adversarial risk and the dangers of evaluating against weak attacks": Adam
    on finite differences of the margin along random signs, from a random start, projected to the
    ball. The implementation is cleverhans', an optional dependency: its optimisation loop, its
    loss, its gradient estimate and its update. Called as it comes it fails with Keras 3, because
    of its optimiser's constructor, which is replaced here; and its random numbers are ours, keyed
    by sample, so that an image's result does not depend on its batch.

    It takes the images one by one, `samples` of each at a time, and leaves an image once it is
    turned.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        steps: number of steps. Defaults to `40`.
        samples: images asked for in each step, an even number: half are mirror images of the
            others. Defaults to `128`.
        learning_rate: of Adam, in pixels of [0, 1]. Defaults to `0.01`.
        delta: size of the finite differences in pixels of [0, 1]; below the step of a quantised
            input it sees nothing. Defaults to `0.01`.

    Raises:
        ValueError: if an option is out of range.
        ImportError: if cleverhans is not installed, or Keras runs on another backend than
            TensorFlow.

    Example:

    ```python
    x_adv = SPSA(epsilon=0.3, steps=40)(classifier, x, y)
    ```
    """

    kind = "spsa"
    evaluation_options = ("steps",)
    needs_gradient = False
    loss = "cw"

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 40,
        samples: int = 128,
        learning_rate: float = 0.01,
        delta: float = 0.01,
    ):
        super().__init__(epsilon=epsilon)
        self.steps = check_count(steps, "steps")
        self.samples = check_count(samples, "samples", minimum=2)
        if self.samples % 2:
            raise ValueError(
                f"`samples` must be even: half mirror the others. Received: samples={samples!r}"
            )
        self.learning_rate = check_number(learning_rate, "learning_rate", minimum=0.0, strict=True)
        self.delta = check_number(delta, "delta", minimum=0.0, strict=True)
        # Now, not after the attacks that are run before it.
        _cleverhans()

    @property
    def budget(self) -> Budget:
        return Budget(steps=self.steps, queries=self.steps * self.samples)

    @property
    def starts_at_random(self) -> bool:
        return True

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        cleverhans = _cleverhans()

        def loss_at(images: Tensor, label: Tensor) -> Tensor:
            # A step of `delta` can leave the pixel range, where no model has to answer.
            logits = logits_fn(ops.clip(images, 0.0, 1.0))
            return -cleverhans.margin_logit_loss(logits, label, nb_classes=logits.shape[-1])

        def attack_one(index: Tensor, images: Tensor) -> Tensor:
            image, label = ops.take(x, index, axis=0)[None], ops.take(labels, index)
            own_noise = Noise(noise.seed, noise.step, ops.take(noise.ids, index)[None])
            made = cleverhans.projected_optimization(
                loss_at,
                image,
                label,
                self.epsilon,
                self.steps,
                _optimizer(cleverhans, self, own_noise),
                clip_min=0.0,
                clip_max=1.0,
                early_stop_loss_threshold=0.0,
                project_perturbation=self._projection(cleverhans, own_noise, image),
            )
            return ops.slice_update(images, (index, 0, 0, 0), made)

        images = ops.fori_loop(0, ops.shape(x)[0], attack_one, x)
        return Perturbed(images=equations.project(images, x, self.epsilon))

    def _projection(self, cleverhans: Any, noise: Noise, image: Any) -> Any:
        """The projection of cleverhans, with a start of ours.

        It draws the start from TensorFlow's global generator, without a seed, and projects it
        before anything else: the first call is the place to put in another.
        """
        shift = noise.uniform(tuple(image.shape[1:]), -self.epsilon, self.epsilon)
        starts = iter([shift])

        def project(perturbation: Tensor, *arguments: Any, **bounds: Any) -> Tensor:
            perturbation = next(starts, perturbation)
            return cleverhans._project_perturbation(perturbation, *arguments, **bounds)

        return project


def _cleverhans() -> Any:
    if BACKEND != "tensorflow":
        raise ImportError(
            'The attack "spsa" is run by cleverhans, which needs TensorFlow: use "square", or '
            f"evaluate the saved classifier with KERAS_BACKEND=tensorflow. Received: {BACKEND=}"
        )
    try:
        from cleverhans.tf2.attacks import spsa
    except ImportError as error:
        raise ImportError(
            'The attack "spsa" needs an optional dependency: '
            f"pip install keras-efgsm[cleverhans] ({error})"
        ) from error
    return spsa


def _optimizer(cleverhans: Any, attack: SPSA, noise: Noise) -> Any:
    """The optimiser of cleverhans for one image, with random signs keyed by the sample."""
    theirs = cleverhans.SPSAAdam

    class KeyedAdam:
        # Methods without the class: its constructor hands Keras an argument that Keras 3 refuses,
        # and Keras' own would make variables, which no graph may.
        _compute_gradients = theirs._compute_gradients
        _apply_gradients = theirs._apply_gradients
        init_state = theirs.init_state
        _num_samples = attack.samples // 2  # they add the mirrored ones
        _num_iters = 1
        _delta = attack.delta
        lr = attack.learning_rate
        # Adam's defaults.
        beta_1, beta_2, epsilon = 0.9, 0.999, 1e-7

        def minimize(self, loss_fn: Any, x: Tensor, optim_state: dict[str, Any]) -> Any:
            self._step = optim_state["t"]
            return theirs.minimize(self, loss_fn, x, optim_state)

        def _get_delta(self, x: Tensor, delta: float) -> Tensor:
            shape = (self._num_samples, *x.shape[1:])
            # The start is stream 0.
            signs = noise.uniform(shape, -1.0, 1.0, stream=self._step + 1.0)[0]
            return delta * ops.where(signs < 0.0, -1.0, 1.0)

    return KeyedAdam()

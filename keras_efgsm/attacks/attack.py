"""The base of every attack, from images, labels and noise to perturbed images."""

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

import keras

from keras_efgsm.attacks.ball import BALLS, Ball, check_radius
from keras_efgsm.attacks.graphs import CompiledAttacks, in_graph
from keras_efgsm.attacks.inputs import check_call
from keras_efgsm.attacks.losses import LOSSES
from keras_efgsm.checks import check_choice, check_epsilon, check_seed
from keras_efgsm.configured import Configured
from keras_efgsm.noise import Noise, seed_words
from keras_efgsm.typing import Config, ImageShape, LogitsFn, Tensor

_compiled = CompiledAttacks()


class Perturbed(NamedTuple):
    """The result of an attack on a batch.

    Attributes:
        images: adversarial images `(B, H, W, C)`.
        start_loss: the attack's own loss `(B,)` at its start, see `Attack.loss_of`; None unless
            `Attack.has_shortfall`.
        predicted_gain: by how much the linearised loss rises from the start to `images`, `(B,)`;
            None as `start_loss`.
        robust: whether `(B,)` the linearised margin stays positive over the whole ball; None if
            the attack takes no gradient of a margin.
        momentum: updated per-sample momentum; None for an attack without.
        start_logits: logits `(B, K)` where it took its gradient; None unless `tells_start_logits`.
    """

    images: Tensor
    start_loss: Tensor | None = None
    predicted_gain: Tensor | None = None
    robust: Tensor | None = None
    momentum: Tensor | None = None
    start_logits: Tensor | None = None


class Budget(NamedTuple):
    """The budget of an attack per image and run; None for what is not an option of the attack.

    Attributes:
        steps: gradient steps of one round. Defaults to `1`.
        step_size: in pixels of [0, 1], of a fixed step.
        rounds: how many rounds, one for each target class. Defaults to `1`.
        queries: how often it asks for the logits of a candidate, without gradients.
    """

    steps: int | None = 1
    step_size: float | None = None
    rounds: int = 1
    queries: int | None = None


class Attack(Configured, ABC):
    """Base of every attack of training and evaluation: a small object with keyword-only options.

    A subclass sets `kind`, keeps its options as attributes of their names, and implements
    `perturb`. Attacks hold no state: the same arguments give the same images, whatever the batch.
    With the decorator `register_attack` it is found by its name.

    What else it says about itself has defaults that suit most attacks:

    - An evaluation asks for `name`, `budget`, `rounds`, `starts_at_random`, `gains_by_restarts`,
      `needs_gradient` and `stays_in_ball`; by name it makes those with `evaluation_options`.
    - One that is for other balls than the L-infinity one names them in `norms`, has an option
      `norm`, and asks its `ball` where it may go.
    - A training asks for `uses_momentum` and what follows from it, `tells_start_logits`,
      `has_shortfall` and `couples_batch`; of an attack that shares passes with the updates of the
      weights also for `update` and `replays`.

    An attack of several `rounds`, one for each target class, makes round `noise.step % rounds` at
    a call of `perturb`; whoever evaluates runs them all and carries on the images that withstood.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].

    Raises:
        ValueError: if epsilon is no radius of that norm, in (0, 1] for L-infinity.

    Example:

    ```python
    @register_attack
    class Brighten(Attack):
        '''Makes all pixels as bright as the ball allows.'''

        kind = "brighten"
        evaluation_options = ()

        def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
            return Perturbed(images=equations.project(x + self.epsilon, x, self.epsilon))


    x_adv = Brighten(epsilon=0.1)(classifier, x, y)
    evaluate_robustness(classifier, (x, y), make_attacks("brighten,apgd-ce", 0.1, steps=5))
    ```
    """

    # What it is called, whatever its loss.
    kind: ClassVar[str] = "attack"
    # The losses that its option `loss` chooses from.
    losses: ClassVar[tuple[str, ...]] = ()
    # What it raises; an instance may have it as an option.
    loss: str = "ce"

    # Of an evaluation.

    # Which of steps, step_size, targets and queries a list of names may set, see `make_attacks`;
    # None keeps it out of such lists.
    evaluation_options: ClassVar[tuple[str, ...] | None] = None
    # Whether it goes through gradients of the model, or asks for logits alone.
    needs_gradient: bool = True
    # Whether its images lie in the ball; those of a training attack need not.
    stays_in_ball: bool = True
    # The norms of the balls that it knows, of `checks.NORMS`.
    norms: ClassVar[tuple[str, ...]] = ("linf",)
    # That of its ball; an instance may have it as an option, set before `super().__init__`.
    norm: str = "linf"

    # Of a training.

    uses_momentum: bool = False
    # Whether the logits of its one gradient pass are handed on, for an objective that wants them.
    tells_start_logits: bool = False
    # Whether it makes one step whose gain can be compared with what its gradient promised.
    has_shortfall: bool = False
    # Whether what it does to an image depends on the other images of the batch by more than the
    # statistics of batch norm.
    couples_batch: bool = False
    # How a batch becomes updates of the weights, a name in `updates.UPDATES`.
    update: str = "one"
    # How many updates of the weights a training step makes.
    replays: int = 1

    def __init__(self, *, epsilon: float):
        # One with an option `norm` has set it already; the others have no such option.
        check_choice(self.norm, "norm", self.norms)
        self.epsilon = check_epsilon(epsilon, norm=self.norm)

    @property
    def ball(self) -> Ball:
        """What lies within epsilon: where it may go, which way is steepest, where it starts."""
        return BALLS[self.norm]

    @abstractmethod
    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        """Perturbs a batch within the ball.

        Args:
            logits_fn: maps images to float32 logits `(B, K)`; a trainer's uses the statistics of
                the batch, an evaluation's those that the network keeps.
            x: clean images `(B, H, W, C)` in [0, 1].
            labels: true classes `(B,)`, integers.
            noise: noise of these samples.
            momentum: their Gamma `(B, H, W, C)`, for an attack that uses it. Defaults to that of
                samples not seen before.
            gradient_scale: factor that keeps a float16 network's gradients from underflowing.
        """

    def __call__(self, classifier: LogitsFn, x: Tensor, y: Tensor, seed: int = 0) -> Tensor:
        """Adversarial images for a batch of clean ones; sample ids are positions in the batch.

        Of several rounds, each image is that of the first one that turned it, else of the last.

        The compiled graph of a Keras classifier is kept while that lives, for each attack with
        these options and each shape of the images; it sees weights that changed, but no other
        change of a layer. A function is compiled anew at each call.

        Args:
            classifier: a Keras model or function that returns logits.
            x: images `(B, H, W, C)` in [0, 1].
            y: true classes `(B,)` or `(B, 1)`.
            seed: seed of the attack's noise. Defaults to 0.

        Raises:
            ValueError: if images, labels or seed are not as above, or not as the classifier takes
                them, or if that is none: see `read_contract`.
        """
        check_seed(seed)
        check_radius(self.epsilon, self.norm, tuple(x.shape[1:]))
        attack = self if in_graph(x, y) else self.for_classes(check_call(classifier, x, y))
        x = keras.ops.convert_to_tensor(x, dtype="float32")
        y = keras.ops.reshape(keras.ops.convert_to_tensor(y, dtype="int32"), (-1,))
        words = [keras.ops.convert_to_tensor(word) for word in seed_words(seed)]
        run = _compiled.of(attack, classifier, x)
        images, withstood = x, keras.ops.ones(x.shape[:1], dtype="bool")
        for step in range(attack.rounds):
            number = keras.ops.convert_to_tensor(step, dtype="int32")
            images, withstood = run(x, y, *words, number, images, withstood)
        return images

    @property
    def name(self) -> str:
        """What a report calls it: its kind, with the loss where that is an option."""
        return f"{self.kind}-{self.chosen_loss}" if self.chosen_loss else self.kind

    @property
    def chosen_loss(self) -> str | None:
        """The loss if it is an option of this attack; every attack has one it is described by."""
        return self.loss if "loss" in self.option_names() else None

    @property
    def rounds(self) -> int:
        """How many calls of `perturb`, with steps 0, 1, ... of the noise, make the whole attack."""
        return 1

    @property
    def budget(self) -> Budget:
        """What it may spend on an image in one run."""
        return Budget(rounds=self.rounds)

    @property
    def starts_at_random(self) -> bool:
        """Whether it starts at a random point, or searches at random."""
        return False

    @property
    def gains_by_restarts(self) -> bool:
        """Whether a restart is another attempt and no repetition."""
        return self.starts_at_random

    @classmethod
    def names(cls) -> dict[str, dict[str, str]]:
        """Names of its instances, see `name`, each with the options that make it one."""
        if "loss" not in cls.option_names():
            return {cls.kind: {}}
        return {f"{cls.kind}-{loss}": {"loss": loss} for loss in cls.losses}

    @classmethod
    def for_evaluation(cls, epsilon: float, **options: Any) -> Self:
        """The attack as an evaluation makes it by name: with the defaults that are published.

        Args:
            epsilon: L-infinity radius in pixels of [0, 1].
            **options: those of `names` and `evaluation_options` that were given.
        """
        return cls(epsilon=epsilon, **options)

    @property
    def momentum_of(self) -> str:
        """Whose the momentum is: that of a "sample", "position" in the batch, or "dataset"."""
        return "sample"

    @property
    def momentum_limit(self) -> float:
        """Bound on the momentum, which its storage as int8 is scaled by. Defaults to 1."""
        return 1.0

    def momentum_shape(self, image_shape: ImageShape) -> ImageShape:
        """Shape of one sample's momentum. Defaults to that of its image."""
        return image_shape

    def momentum_rows(self, num_samples: int) -> int:
        """How many entries the momentum has. Defaults to one for each training sample."""
        return num_samples

    def initial_momentum(self, x: Tensor) -> Tensor:
        """The momentum of samples not seen before: zeros."""
        shape = self.momentum_shape(tuple(x.shape[1:]))
        return keras.ops.zeros((keras.ops.shape(x)[0], *shape), dtype="float32")

    def loss_of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss `(B,)` that the attack raises, of logits `(B, K)`."""
        return LOSSES[self.loss](logits, labels)

    def for_classes(self, num_classes: int) -> Self:
        """The attack on a classifier of so many classes: a round for each rival, none twice.

        Args:
            num_classes: the number K of classes, of which K - 1 are rivals of the true one.
        """
        targets = vars(self).get("targets")
        if targets is None or targets < num_classes:
            return self
        attack = copy.copy(self)
        vars(attack)["targets"] = num_classes - 1
        return attack

    def on_file(self) -> tuple[str, Config]:
        """Its class and options as files tell of it, without the norm where that is L-infinity."""
        options = self.get_config()
        if options.get("norm") == "linf":
            del options["norm"]
        return type(self).__qualname__, options

    def scaled(self, factor: Tensor) -> Self:
        """The same attack on a ball `factor` times as large, for a warm-up of epsilon."""
        attack = copy.copy(self)
        attack.epsilon = self.epsilon * factor
        if vars(self).get("step_size") is not None:
            vars(attack)["step_size"] = vars(self)["step_size"] * factor
        return attack

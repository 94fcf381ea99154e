"""Attacks that are checked against a classifier and images, and run one after the other."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.ball import check_radius
from keras_efgsm.checks import check_choice, check_count, check_seed
from keras_efgsm.evaluation.adversarial import FOUND_SUFFIX, AdversarialImages, found_images
from keras_efgsm.evaluation.art_engine import compile_art
from keras_efgsm.evaluation.attack_result import AttackResult
from keras_efgsm.evaluation.cleverhans_engine import compile_cleverhans
from keras_efgsm.evaluation.expectation import doubts_of
from keras_efgsm.evaluation.image_file import ImageFile
from keras_efgsm.evaluation.image_set import ImageSet
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.evaluation.spread import Spread
from keras_efgsm.evaluation.straight_through import twin_agreement
from keras_efgsm.evaluation.tally import Tally
from keras_efgsm.evaluation.transfer import Transfer
from keras_efgsm.evaluation.verdict import classify_clean, compile_judge, withstand
from keras_efgsm.progress_bar import progress_bar
from keras_efgsm.records import SingleDraws
from keras_efgsm.records.environment import hardware, versions

ENGINES = {"native": compile_native, "cleverhans": compile_cleverhans, "art": compile_art}
"""Engines by name: each compiles an attack into a function of a batch, see `compile_native`."""

_PACKAGES = {"cleverhans": ("cleverhans",), "art": ("adversarial-robustness-toolbox",)}


class Attacking:
    """Attacks on one classifier and its images, compiled and ready to run.

    Args:
        model: the classifier.
        images: the images.
        attacks: in the order in which they run.
        cascade: whether an attack sees only what withstood those before it; for the state alone,
            as `run` is told where each begins.
        engine: whose implementation runs.
        batch_size: most images in a batch.
        seed: seed of the attacks' noise.
        restarts: how often an attack with a random start is run.
        state: the `.npz` file by which the evaluation can be continued; None for none.
        keep_adversarial: whether the adversarial images are kept.

    Attributes:
        tally: what came out so far.

    Raises:
        ImportError: if the engine's package is not installed.
        OSError: if the state cannot be written.
        ValueError: if an option is out of range, an attack needs gradients that the model has not,
            no clean image can be attacked, or the state is of another evaluation.
    """

    def __init__(
        self,
        model: EvaluatedModel,
        images: ImageSet,
        attacks: Sequence[Attack],
        *,
        cascade: bool,
        engine: str,
        batch_size: int,
        seed: int,
        restarts: int,
        state: str | os.PathLike[str] | None,
        keep_adversarial: bool,
    ):
        self.model, self.images = model, images
        self.engine, self.batch_size, self.seed, self.restarts = engine, batch_size, seed, restarts
        self.attacks = [attack.for_classes(model.num_classes) for attack in attacks]
        for attack in self.attacks:
            check_radius(attack.epsilon, attack.norm, model.image_shape)
        self.twin = model.twin.description if model.twin else None
        self.agreement = twin_agreement(model, images, batch_size) if model.twin else None
        # Before the first attack takes minutes, so that the last one's options are checked too.
        self._compiled = [
            ENGINES[engine](attack, model.logits_fn, seed, _reads(attack, model))
            for attack in self.attacks
        ]
        self.versions = versions(*_PACKAGES.get(engine, ()))
        identity: dict[str, Any] = {}
        if state is not None:
            identity = {
                "model": model.identity(),
                "data": images.digest(),
                "attacks": [attack.on_file() for attack in self.attacks],
                "cascade": cascade,
                "engine": engine,
                "batch size": batch_size,
                "seed": seed,
                "restarts": restarts,
                "versions": self.versions,
            }
            if keep_adversarial:
                identity["adversarial images"] = "kept"
            if images.towards:
                identity["success"] = "the target is reached"
        self.tally = Tally(state, identity, len(self.attacks))
        if keep_adversarial:
            self.tally.found = _found_file(self.tally, model)
        self._judges = {
            epsilon: compile_judge(model, epsilon, self.attacks[0].norm)
            for epsilon in dict.fromkeys(attack.epsilon for attack in self.attacks)
        }
        judge = self._judges[self.attacks[0].epsilon]
        if self.tally.correct is None:
            classes = classify_clean(judge, images, batch_size)
            self.tally.begin(images.holds(classes), classes)
        self._spread: Spread | None = None
        # Single draws answer for one ball, and for what is right in it.
        if model.answers.is_random and len(self._judges) == 1 and not images.towards:
            # From here on the tally saves what it holds with all else.
            self._spread = Spread(model, images, self.tally.single_draws)
            if self.tally.single_draws is None:
                self._spread.take_clean(judge, batch_size)
            self.tally.single_draws = self._spread.state

    def run(self, after: Sequence[Sequence[int]], *, progress: bool) -> tuple[AttackResult, ...]:
        """Runs every attack that is not through yet.

        Args:
            after: of each attack the numbers of those whose survivors it sees; none where it sees
                every image that is to be attacked.
            progress: whether to show a progress bar.

        Raises:
            OSError: if the state cannot be written.
            RuntimeError: if an attack leaves the ball or [0, 1].
        """
        tally, results = self.tally, []
        with progress_bar(progress) as bar:
            for number, (attack, run) in enumerate(zip(self.attacks, self._compiled, strict=True)):
                runs = self.restarts if attack.gains_by_restarts else 1
                start = tally.survivors_of(after[number])
                if number == tally.attack:
                    tally.start(after[number])
                    judge = self._judges[attack.epsilon]
                    withstand(
                        run,
                        attack,
                        judge,
                        self.images,
                        tally,
                        start,
                        self.batch_size,
                        runs,
                        bar,
                        self._spread,
                    )
                assert tally.robust is not None and tally.classes is not None
                results.append(
                    AttackResult.of(
                        attack,
                        name=_reported_name(attack, self.twin),
                        engine=self.engine,
                        restarts=runs,
                        seed=self.seed,
                        start=start,
                        robust=tally.robust[number],
                        seconds=tally.attack_seconds[number],
                        classes=tally.classes[number],
                    )
                )
        return tuple(results)

    def about(self) -> dict[str, Any]:
        """What every report says of classifier, images and circumstances, by its own names."""
        return {
            "model": self.model.description,
            "twin": self.twin,
            "twin_agreement": self.agreement,
            "versions": self.versions,
            "hardware": hardware(),
            "seconds": self.tally.seconds,
            "state": self.tally.path,
            "selection": self.images.selection,
            "images": self.images.contents(),
            "missing": self.images.missing,
            "eot": self.model.draws if self.model.draws > 1 else None,
            "doubts": doubts_of(self.model),
        }

    def single_draws(self) -> SingleDraws | None:
        """How single draws of a randomised classifier decide; None for one that does not draw."""
        correct = self.tally.correct
        return None if self._spread is None or correct is None else self._spread.result(correct)

    def adversarial(self, results: Sequence[AttackResult]) -> AdversarialImages | None:
        """The adversarial images that were found; None if they were not kept.

        Args:
            results: what `run` returned.
        """
        return found_images(self.images, self.tally, [(r.name, r.epsilon) for r in results])


def check_options(
    engine: str, batch_size: int, seed: int, restarts: int, state: str | os.PathLike[str] | None
) -> None:
    """Checks the options that all evaluations have.

    Args:
        engine: a name of `ENGINES`.
        batch_size: at least 1.
        seed: at least 0.
        restarts: at least 1.
        state: a path or None; for the native engine.

    Raises:
        ValueError: if one is not so.
    """
    check_choice(engine, "engine", tuple(ENGINES))
    check_count(batch_size, "batch_size")
    check_seed(seed)
    check_count(restarts, "restarts")
    if state is not None and engine != "native":
        raise ValueError(
            "`state` is for the native engine: the random numbers of other libraries depend on the "
            f"batches. Received: state={str(state)!r}, engine={engine!r}"
        )


def check_attacks(attacks: Attack | Sequence[Attack]) -> list[Attack]:
    """Checks that attacks are some that keep to their ball, which is of one norm.

    Args:
        attacks: one or more.

    Raises:
        ValueError: if they are not.
    """
    attacks = [attacks] if isinstance(attacks, Attack) else list(attacks)
    if not attacks or not all(isinstance(attack, Attack) for attack in attacks):
        raise ValueError(
            "`attacks` must be one or more attacks such as `PGD(epsilon=0.3)`. "
            f"Received: attacks={attacks!r}"
        )
    outside = [attack.name for attack in attacks if not attack.stays_in_ball]
    if outside:
        raise ValueError(
            "`attacks` must keep their images in the ball and in [0, 1]; a robust accuracy under "
            f"images outside would mean nothing. Received: attacks that do not={outside}"
        )
    norms = sorted({attack.norm for attack in attacks})
    if len(norms) > 1:
        raise ValueError(
            "`attacks` must share one norm, as a worst case over several is that of no ball. "
            f"Evaluate each by itself. Received: norms={norms}"
        )
    return attacks


def check_one_radius(attacks: Sequence[Attack]) -> None:
    """Checks that attacks share their radius.

    Args:
        attacks: one or more.

    Raises:
        ValueError: if they do not.
    """
    epsilons = sorted({attack.epsilon for attack in attacks})
    if len(epsilons) > 1:
        raise ValueError(
            "`attacks` must share one epsilon: a worst case over several radii is that of the "
            "largest. Evaluate each radius by itself, or all with `evaluate_over_epsilons`. "
            f"Received: epsilons={epsilons}"
        )


def check_gradients(attacks: Sequence[Attack], model: EvaluatedModel) -> None:
    """Checks that a classifier has the gradients that attacks need, and fits their sources.

    Args:
        attacks: the attacks.
        model: the classifier.

    Raises:
        ValueError: if it has not, or does not.
    """
    for attack in attacks:
        if isinstance(attack, Transfer):
            attack.check_fits(model)
    needing = [attack.name for attack in attacks if attack.needs_gradient]
    if needing and not model.differentiable:
        raise ValueError(
            f"{model.description} has no gradients, which {', '.join(needing)} needs. Use attacks "
            "that need none (`--attacks black-box`), or the gradients of its twin, the Keras model "
            "or SavedModel it was converted from: `--twin TWIN` (in Python `StraightThrough`) or "
            "`--transfer-from TWIN` (`Transfer`). "
            f"Received: attacks={', '.join(attack.name for attack in attacks)}"
        )


def _found_file(tally: Tally, model: EvaluatedModel) -> ImageFile:
    if tally.path is None:
        return ImageFile(model.image_shape)
    path = tally.path.with_suffix(FOUND_SUFFIX)
    is_begun = tally.correct is not None
    if is_begun and not path.exists():
        raise ValueError(
            "The adversarial images of an interrupted evaluation must lie beside its state; remove "
            f"the state to start from the beginning. Received: state={str(tally.path)!r}, no "
            f"{path.name}"
        )
    file = ImageFile(model.image_shape, path)
    if not is_begun:
        # What an evaluation without a state left behind.
        file.clear()
    return file


def _reported_name(attack: Attack, twin: str | None) -> str:
    """The attack, and whose gradients it went by if they were not those of the evaluated model."""
    if twin is None or not attack.needs_gradient:
        return attack.name
    return f"{attack.name}, gradients of {twin} (straight-through)"


def _reads(attack: Attack, model: EvaluatedModel) -> list[keras.Variable]:
    source = attack.source.variables if isinstance(attack, Transfer) else ()
    # Each once, also where the source is the model itself.
    return list({id(v): v for v in (*model.variables, *source)}.values())

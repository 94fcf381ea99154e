"""The Keras model that trains a classifier adversarially through plain `model.fit`."""

from os import PathLike
from typing import Any

import keras

from keras_efgsm.attacks import Attack, Perturbed
from keras_efgsm.backend import BACKEND, use_fast_layers
from keras_efgsm.checks import check_count, check_seed
from keras_efgsm.distribution.limits import check_distribution
from keras_efgsm.distribution.workers import own_shard
from keras_efgsm.networks.requirements import check_reconstructor, read_contract, uses_float16
from keras_efgsm.networks.splitting import split_after_first_layer
from keras_efgsm.objectives import Objective
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.sample_memory.memory import SampleMemory
from keras_efgsm.trainer.batch import read_batch
from keras_efgsm.trainer.batch_checks import StepCheck, limits_of
from keras_efgsm.trainer.defaults import chosen_attack, chosen_update, suitable_objective
from keras_efgsm.trainer.evaluation import evaluate_batch
from keras_efgsm.trainer.fit_watch import fit_options, say_which_images, watched_fit
from keras_efgsm.trainer.inspection import inspect_training_data, inspect_validation_data
from keras_efgsm.trainer.progress import TrainingProgress
from keras_efgsm.trainer.step import TrainingStep, image_gradient_scale, step_of
from keras_efgsm.trainer.stepped_model import SteppedModel
from keras_efgsm.trainer.trained_classifier import check_trained
from keras_efgsm.typing import Tensor
from keras_efgsm.updates import Update

# What a configuration holds as objects.
_PARTS = ("classifier", "attack", "reconstructor", "objective", "augmentation")
# What it holds as plain values.
_OPTIONS = ("num_samples", "momentum_dtype", "momentum_storage", "momentum_directory", "seed")
_MORE_OPTIONS = ("epsilon_warmup_steps", "regularizer_warmup_steps", "attack_in_training_mode")


def _of_samples(name: str, meaning: str) -> Any:
    """An attribute of the trainer that is one of its `samples`."""
    return property(
        lambda trainer: getattr(trainer.samples, name),
        lambda trainer, value: setattr(trainer.samples, name, value),
        doc=meaning,
    )


@keras.saving.register_keras_serializable(package="keras_efgsm")
class AdversarialTrainer(SteppedModel):
    """Trains a classifier to withstand adversarial examples, through `compile` and `fit`.

    A training method is an attack times an objective: each step perturbs the batch with the
    attack and minimises the objective on the result. The attack sees the network that the update
    sees: batch norm normalises by the batch, whose running statistics the attack does not move,
    and random layers draw what the update draws. The default
    objective is the joint loss of Chen & Lee (equation 16) where there is a re-constructor, and
    the cross-entropy of the adversarial images otherwise. `evaluate` and `predict` answer for
    clean images and need no sample ids. What is trained is `trainer.classifier`; momentum and
    re-constructor exist only in training.

    Args:
        classifier: a functional or sequential Keras model from images `(B, H, W, C)` in [0, 1] to
            logits `(B, K)`; normalisation of the pixels belongs inside it.
        attack: makes the adversarial examples, such as `EFGSM(epsilon=0.3)`. Defaults to that of
            `epsilon`.
        reconstructor: a Keras model from class probabilities `(B, K)` to images. Defaults to
            none.
        objective: what is minimised. Defaults to `JointReconstruction()` with a re-constructor
            and `AdversarialCrossEntropy()` without.
        epsilon: L-infinity radius in pixels of [0, 1] to withstand, in place of an attack: the
            attack is then `recommended_attack(epsilon)`, eFGSM as the presets for photographs
            train with it. Photographs want about `8 / 255`, grey images 0.1 to 0.3.
        update: how a batch becomes updates of the weights. Defaults to what the attack names: one
            update, or those of `FreeReplay` and `YOPO`.
        num_samples: number of training samples, for an attack with per-sample momentum. Defaults
            to what `fit` counts in its data; needed for endless or uncountable data.
        momentum_dtype: storage of the momentum: `"int8"`, `"float16"` or `"float32"`. Defaults to
            `"int8"`.
        momentum_storage: `"memory"`, or `"disk"` where the momentum does not fit; the bits of the
            training are the same. Defaults to `"memory"`.
        momentum_directory: folder of the store on disk, see `DiskRows`. Defaults to `/var/tmp`.
        seed: seed of the attack's noise, which is keyed by (seed, step, sample id). Defaults to 0.
        epsilon_warmup_steps: updates over which the ball of the attack grows linearly from nothing
            to epsilon, and its step with it; FGSM needs it for a large epsilon. The `sigma` of
            `EFGSM` is in pixels and does not grow, so that the first updates start all over their
            small balls. Defaults to 0.
        augmentation: random views of the training images, such as `Augmentation(padding=4,
            flip=True)`. Defaults to none.
        regularizer_warmup_steps: updates over which the weight of the objective's regulariser,
            such as that of `LogitConsistency`, rises linearly from nothing; a short training only
            loses by a large one at once. Defaults to 0.
        attack_in_training_mode: whether the attack sees batch norm, and random layers, as the
            update does; `False` for evaluation mode, in which a fresh batch-norm network, whose
            running statistics lag behind, is hardly attacked at all. Defaults to `True`.

    Attributes:
        samples: what is kept for each training sample, a `SampleMemory`: momentum, kept images.
        progress: the metrics of its steps, a `TrainingProgress`.

    Raises:
        ValueError: if the classifier is none, see `read_contract`, the parts do not fit together,
            or attack and epsilon are both given or both missing.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, epsilon=8 / 255)
    trainer.fit(x_train, y_train, epochs=20, callbacks=[OverfittingStop()])
    trainer.classifier.save("robust.keras")
    # With the parts chosen, and an optimizer:
    trainer = AdversarialTrainer(mnist_classifier(), EFGSM(epsilon=0.3), mnist_reconstructor())
    trainer.compile(optimizer=keras.optimizers.Adam(2e-3))
    ```
    """

    momentum = _of_samples("momentum", "The per-sample momentum, None before it is made.")
    images = _of_samples("images", "The kept training images, or None.")
    num_samples = _of_samples("num_samples", "The number of training samples, if it was given.")
    momentum_dtype = _of_samples("dtype", "How the momentum is stored.")
    momentum_storage = _of_samples("storage", "Where the momentum is stored.")
    momentum_directory = _of_samples("directory", "Folder of the store on disk, or None.")
    augmentation = _of_samples("augmentation", "Random views of the training images, or None.")
    needs_ids = _of_samples("needs_ids", "Whether each training sample has a momentum.")
    shard = _of_samples("shard", "The samples whose momentum this process keeps.")

    def __init__(
        self,
        classifier: keras.Model,
        attack: Attack | None = None,
        reconstructor: keras.Model | None = None,
        objective: Objective | None = None,
        *,
        epsilon: float | None = None,
        update: Update | None = None,
        num_samples: int | None = None,
        momentum_dtype: str = "int8",
        momentum_storage: str = "memory",
        momentum_directory: str | PathLike[str] | None = None,
        seed: int = 0,
        epsilon_warmup_steps: int = 0,
        regularizer_warmup_steps: int = 0,
        augmentation: Augmentation | None = None,
        attack_in_training_mode: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.contract = read_contract(classifier)
        self.num_classes = self.contract.num_classes
        self.attack = chosen_attack(attack, epsilon)
        self.objective = suitable_objective(objective, self.attack, reconstructor)
        if reconstructor is not None:
            check_reconstructor(reconstructor, classifier, self.num_classes)
        networks = [network for network in (classifier, reconstructor) if network is not None]
        for network in networks:
            use_fast_layers(network)
        self.classifier = classifier
        self.reconstructor = reconstructor
        self.samples = SampleMemory(
            self.attack,
            classifier.input_shape[1:],
            num_samples=num_samples,
            dtype=momentum_dtype,
            storage=momentum_storage,
            directory=momentum_directory,
            augmentation=augmentation,
            shard=own_shard(getattr(self, "distribute_strategy", None)),
        )
        if momentum_storage == "disk" and BACKEND == "tensorflow":
            # XLA compiles no calls to the host there.
            self.supports_jit = False
        self.seed = check_seed(seed)
        self.epsilon_warmup_steps = check_count(
            epsilon_warmup_steps, "epsilon_warmup_steps", minimum=0
        )
        self.regularizer_warmup_steps = check_count(
            regularizer_warmup_steps, "regularizer_warmup_steps", minimum=0
        )
        self.attack_in_training_mode = bool(attack_in_training_mode)
        self._given_update = update
        self.update = chosen_update(update, self.attack)
        split = split_after_first_layer(classifier) if self.update.splits_classifier else None
        # Hidden from Keras, which would count these layers twice.
        self.split = lambda: split
        self.gradient_scale = image_gradient_scale(classifier)
        if any(uses_float16(network) for network in networks):
            # So that `compile` has the loss scaled, also of networks loaded from a file.
            self.dtype_policy = "mixed_float16"
        self.progress = TrainingProgress(self.attack, self.objective)
        for name, metric in self.progress.saved_attributes().items():
            # Where Keras finds them, in the order in which checkpoints hold them.
            setattr(self, name, metric)
        self.built = True

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit`, after checking the data and making room for the momentum.

        A trainer that was not compiled is compiled with Adam. Returns Keras's `History`. Its
        `accuracy` is that of the attacked training images, its `val_accuracy` that of clean ones:
        the first is no robust accuracy, and lies below the second in a training that goes well.

        Args:
            x: images `(n, H, W, C)` in [0, 1] as an array, or a `tf.data.Dataset` of
                `({"image": ..., "id": ...}, label)` batches, see `with_sample_ids`. Batches of
                `(images, label)` are numbered where they come in the same order each time; else,
                as of a shuffled `image_dataset_from_directory`, an attack with a momentum for each
                sample trains without it, with a warning.
            y: labels, if `x` is an array.
            *args: as `keras.Model.fit` takes them.
            **kwargs: as `keras.Model.fit` takes them.

        Raises:
            ValueError: if images, labels, sample weights or ids are not as they must be: before
                the first step as far as it can be seen then, and else in front of the batch, whose
                number it names, and the weights are those before it; or if the classifier cannot
                be trained, see `check_trained`.
            MemoryError: if the momentum cannot fit in memory.
            OSError: if its store on disk cannot be made, or fails.
        """
        if not self.compiled:
            self.compile()
        if getattr(self, "loss", None) is not None:
            raise ValueError(
                "The loss of adversarial training is its objective: pass `objective=` to "
                f"`AdversarialTrainer` and no loss to `compile`. Received: loss={self.loss!r}"
            )
        options = fit_options(args, kwargs)
        check_trained(self)
        check_distribution(self, x)
        x, num_samples = inspect_training_data(x, y, self.samples, self.num_classes)
        if hasattr(x, "element_spec"):
            # Keras would say that it does not shuffle a dataset, which nobody has asked for.
            options.setdefault("shuffle", False)
        inspect_validation_data(options.get("validation_data"), self.samples, self.num_classes)
        self.make_momentum(num_samples, verbose=options.get("verbose", "auto") != 0)
        say_which_images(options)
        with watched_fit(self, options):
            return super().fit(self.samples.stage_ahead(x), y, **options)

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        images = inputs["image"] if isinstance(inputs, dict) else inputs
        return self.classifier(images, training=training)

    def make_momentum(self, num_samples: int | None = None, *, verbose: bool = True) -> None:
        """Makes room for the momentum, as `fit` does by itself, see `SampleMemory.make`."""
        self.samples.make(num_samples, verbose=verbose)

    def reset_momentum(self) -> None:
        """Forgets the per-sample momentum, for training on other data."""
        self.samples.momentum = None
        # Whoever asks for a new one need not be warned of it.
        self.__dict__["_knows_its_momentum"] = True

    def keep_images(self, images: Any) -> None:
        """Puts uint8 images `(n, H, W, C)` on the device, see `SampleMemory.keep_images`."""
        self.samples.keep_images(images)

    def training_step(self, data: Any) -> dict[str, Tensor]:
        """Perturbs a batch, updates the weights, and says how it went."""
        batch = self.unpack_training_batch(data)
        perturbed, result = self.update.take(self.current_step(), batch)
        batch, logits = self.progress.update(batch, perturbed, result)
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(batch.y, logits, batch.sample_weight)
        results: dict[str, Any] = self.get_metrics_result()
        return results

    def batch_check(self, kind: str) -> StepCheck:
        """What looks at every batch of a training, an evaluation or a prediction."""
        limits = limits_of(kind, self.num_classes, self.samples)
        return StepCheck(kind, limits, self.position)

    def current_step(self) -> TrainingStep:
        """What an update strategy works with, as the trainer is now."""
        return step_of(self)

    def perturb(self, batch: TrainingBatch) -> Perturbed:
        """Adversarial examples of a batch; keeps the momentum that they leave."""
        return self.current_step().perturb(batch)

    def unpack_training_batch(self, data: Any) -> TrainingBatch:
        """Splits what `fit` hands over into images, ids, labels and weights."""
        batch = read_batch(data, self.num_classes, needs_ids=self.needs_ids, kept=self.images)
        return self.samples.look_at(batch, lambda: self.current_step().noise(batch))

    def evaluation_step(self, data: Any) -> dict[str, Tensor]:
        """Loss and accuracy on clean images."""
        found = evaluate_batch(lambda x: self(x, training=False), data, self.num_classes)
        logs = self.progress.update_evaluation(found.loss, found.labels, found.logits)
        if self._compile_metrics is None:
            return logs
        self._compile_metrics.update_state(found.y, found.logits, found.sample_weight)
        return {**logs, **self._compile_metrics.result()}

    def tables(self) -> tuple[list[Any], int]:
        """The tables by sample id that a step changes, and how often one was replaced."""
        return self.samples.tables(), self.samples.version

    def get_config(self) -> dict[str, Any]:
        parts = {part: getattr(self, part) for part in _PARTS}
        if self._given_update is not None:
            parts["update"] = self._given_update
        return {
            **super().get_config(),
            **{name: keras.saving.serialize_keras_object(part) for name, part in parts.items()},
            **{option: getattr(self, option) for option in (*_OPTIONS, *_MORE_OPTIONS)},
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "AdversarialTrainer":
        config = dict(config)
        # Trainers saved by an earlier version have no augmentation.
        for part in {*_PARTS, "update"} & config.keys():
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return cls(**config)

"""The Keras model that trains a classifier adversarially through plain `model.fit`."""

import os
from typing import Any

import keras
from keras import ops

from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.attack import batch_statistics_logits, evaluation_logits
from keras_efgsm.backend import (
    BACKEND,
    SampleTable,
    TrainStep,
    replica_count,
    use_fast_layers,
    without_empty_batch,
)
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.distribution.limits import check_distribution
from keras_efgsm.networks.requirements import (
    check_classifier,
    check_reconstructor,
    split_after_first_layer,
    uses_float16,
)
from keras_efgsm.noise import Noise
from keras_efgsm.objectives import (
    AdversarialCrossEntropy,
    Examples,
    JointReconstruction,
    Objective,
    ObjectiveResult,
)
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.sample_memory.momentum import STORAGE_DTYPES, STORAGES, SampleMomentum
from keras_efgsm.sample_memory.read_ahead import stage_ahead
from keras_efgsm.sample_memory.sample_state import SampleState
from keras_efgsm.trainer.batch import TrainingBatch, read_batch, read_labels
from keras_efgsm.trainer.inspection import inspect_training_data
from keras_efgsm.trainer.progress import TrainingProgress

Tensor = Any

# What a configuration holds as objects.
_PARTS = {"classifier", "attack", "reconstructor", "objective", "augmentation"}

# Keeps the input gradients of a float16 network, often below 1e-5, out of its subnormal range.
_FLOAT16_GRADIENT_SCALE = 1024.0


@keras.saving.register_keras_serializable(package="keras_efgsm")
class AdversarialTrainer(TrainStep, SampleState, TrainingProgress, keras.Model):
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
        attack: makes the adversarial examples, such as `EFGSM(epsilon=0.3)`.
        reconstructor: a Keras model from class probabilities `(B, K)` to images. Defaults to
            none.
        objective: what is minimised. Defaults to `JointReconstruction()` with a re-constructor
            and `AdversarialCrossEntropy()` without.
        num_samples: number of training samples, for an attack with per-sample momentum. Defaults
            to what `fit` counts in its data; needed for endless or uncountable data.
        momentum_dtype: storage of the momentum: `"int8"`, `"float16"` or `"float32"`. Defaults to
            `"int8"`.
        momentum_storage: `"memory"`, or `"disk"` where the momentum does not fit; the bits of the
            training are the same. Defaults to `"memory"`.
        momentum_directory: folder of the store on disk, see `DiskRows`. Defaults to `/var/tmp`.
        seed: seed of the attack's noise, which is keyed by (seed, step, sample id). Defaults to 0.
        epsilon_warmup_steps: updates over which the ball of the attack grows linearly from nothing
            to epsilon; FGSM needs it for a large epsilon. Defaults to 0.
        augmentation: random views of the training images, such as `Augmentation(padding=4,
            flip=True)`. Defaults to none.
        regularizer_warmup_steps: updates over which the weight of the objective's regulariser,
            such as that of `LogitConsistency`, rises linearly from nothing; a short training only
            loses by a large one at once. Defaults to 0.
        attack_in_training_mode: whether the attack sees batch norm, and random layers, as the
            update does; `False` for evaluation mode, in which a fresh batch-norm network, whose
            running statistics lag behind, is hardly attacked at all. Defaults to `True`.

    Raises:
        ValueError: if the classifier does not return logits, or the parts do not fit together.

    Example:

    ```python
    trainer = AdversarialTrainer(mnist_classifier(), EFGSM(epsilon=0.3), mnist_reconstructor())
    trainer.compile(optimizer="adam")
    trainer.fit(x_train, y_train, batch_size=128, epochs=10, callbacks=[OverfittingStop()])
    trainer.classifier.save("robust.keras")
    ```
    """

    def __init__(
        self,
        classifier: keras.Model,
        attack: Attack,
        reconstructor: keras.Model | None = None,
        objective: Objective | None = None,
        *,
        num_samples: int | None = None,
        momentum_dtype: str = "int8",
        momentum_storage: str = "memory",
        momentum_directory: str | os.PathLike | None = None,
        seed: int = 0,
        epsilon_warmup_steps: int = 0,
        regularizer_warmup_steps: int = 0,
        augmentation: Augmentation | None = None,
        attack_in_training_mode: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = check_classifier(classifier)
        if not isinstance(attack, Attack):
            raise ValueError(
                "`attack` must be an attack object such as `EFGSM(epsilon=0.3)`. "
                f"Received: attack={attack!r}"
            )
        objective = _suitable_objective(objective, attack, reconstructor)
        if reconstructor is not None:
            check_reconstructor(reconstructor, classifier, self.num_classes)
        for network in (classifier, reconstructor):
            if network is not None:
                use_fast_layers(network)
        self.classifier = classifier
        self.attack = attack
        self.reconstructor = reconstructor
        self.objective = objective
        self.num_samples = None if num_samples is None else check_count(num_samples, "num_samples")
        self.momentum_dtype = check_choice(momentum_dtype, "momentum_dtype", STORAGE_DTYPES)
        self.momentum_storage = check_choice(momentum_storage, "momentum_storage", STORAGES)
        directory = momentum_directory
        self.momentum_directory = None if directory is None else os.fspath(directory)
        if momentum_storage == "disk" and BACKEND == "tensorflow":
            # XLA compiles no calls to the host there.
            self.supports_jit = False
        self.seed = check_count(seed, "seed", minimum=0)
        self.epsilon_warmup_steps = check_count(
            epsilon_warmup_steps, "epsilon_warmup_steps", minimum=0
        )
        self.regularizer_warmup_steps = check_count(
            regularizer_warmup_steps, "regularizer_warmup_steps", minimum=0
        )
        if augmentation is not None and not isinstance(augmentation, Augmentation):
            raise ValueError(
                "`augmentation` must be an `Augmentation` or None. "
                f"Received: augmentation={augmentation!r}"
            )
        self.augmentation = augmentation
        self.attack_in_training_mode = bool(attack_in_training_mode)
        if attack.splits_classifier:
            parts = split_after_first_layer(classifier)
            # Hidden from Keras, which would count these layers twice.
            self._split = lambda: parts
        self.momentum: SampleMomentum | None = None
        self.images: SampleTable | None = None
        self._gradient_scale = _FLOAT16_GRADIENT_SCALE if uses_float16(classifier) else 1.0
        if any(uses_float16(network) for network in (classifier, reconstructor) if network):
            # So that `compile` has the loss scaled, also of networks loaded from a file.
            self.dtype_policy = "mixed_float16"
        self.make_progress_metrics()
        self.built = True

    def fit(self, x: Any = None, y: Any = None, *args, **kwargs) -> keras.callbacks.History:
        """Trains as `keras.Model.fit`, after checking the data and making room for the momentum.

        Args:
            x: images `(n, H, W, C)` in [0, 1] as an array, or a `tf.data.Dataset` of
                `({"image": ..., "id": ...}, label)` batches, see `with_sample_ids`.
            y: labels, if `x` is an array.
            *args: as `keras.Model.fit` takes them.
            **kwargs: as `keras.Model.fit` takes them.

        Raises:
            ValueError: if images, labels or ids are not as they must be.
            MemoryError: if the momentum cannot fit in memory.
            OSError: if its store on disk cannot be made, or fails.
        """
        if getattr(self, "loss", None) is not None:
            raise ValueError(
                "The loss of adversarial training is its objective: pass `objective=` to "
                f"`AdversarialTrainer` and no loss to `compile`. Received: loss={self.loss!r}"
            )
        check_distribution(self, x)
        x, num_samples = inspect_training_data(x, y, self)
        self.make_momentum(num_samples, verbose=kwargs.get("verbose", "auto") != 0)
        if self.needs_ids:
            x = stage_ahead(x, self.momentum, rows=self.shard.rows)
        try:
            return super().fit(x, y, *args, **kwargs)
        except Exception:
            if self.momentum is not None and self.momentum.storage == "disk":
                # In place of what the framework makes of an error in a call to the host.
                self.momentum.rows.check()
            raise

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        images = inputs["image"] if isinstance(inputs, dict) else inputs
        return self.classifier(images, training=training)

    # One training step. The backend's `TrainStep` calls it within what its gradients need.

    def training_step(self, data: Any) -> dict:
        """Perturbs a batch, updates the weights, and says how it went."""
        batch = self.unpack_training_batch(data)
        if self.attack.makes_updates:
            perturbed, result = self.attack_now().replay(self, batch)
        elif self.objective.needs_start_logits:
            perturbed, result, gradients = self.gradients_through_attack(batch)
            self.apply_gradients(gradients)
        else:
            perturbed = self.perturb(batch)
            result, gradients, _ = self.gradients_on(batch, perturbed, of_images=False)
            self.apply_gradients(gradients)
        return self.update_training_metrics(batch, perturbed, result)

    def unpack_training_batch(self, data: Any) -> TrainingBatch:
        """Splits what `fit` hands over into images, ids, labels and weights."""
        batch = read_batch(data, self.num_classes, needs_ids=self.needs_ids, kept=self.images)
        if self.augmentation is None:
            return batch
        view = self.augmentation.draw(self.noise(batch), tuple(batch.x.shape[1:]))
        return batch._replace(x=view.of_images(batch.x), view=view)

    @property
    def split(self) -> Any:
        """The classifier in two parts, for an attack that needs it so."""
        return self._split()

    def noise(self, batch: TrainingBatch) -> Noise:
        """Noise of the samples of a batch at this step."""
        return Noise(self.seed, self.optimizer.iterations, batch.ids)

    def attack_now(self) -> Attack:
        """The attack at this step: on a smaller ball while epsilon is being warmed up."""
        if not self.epsilon_warmup_steps:
            return self.attack
        # Never zero, which some steps divide by.
        return self.attack.scaled(self._risen(self.epsilon_warmup_steps))

    def objective_now(self) -> Objective:
        """The objective at this step: with a small regulariser while that is being warmed up."""
        if not self.regularizer_warmup_steps:
            return self.objective
        return self.objective.scaled(self._risen(self.regularizer_warmup_steps))

    def _risen(self, steps: int) -> Tensor:
        """The share in (0, 1] that a linear rise over so many steps has reached."""
        step = ops.cast(self.optimizer.iterations, "float32") + 1.0
        return ops.minimum(step / steps, 1.0)

    def perturb(self, batch: TrainingBatch) -> Any:
        """Adversarial examples of a batch; writes its momentum back."""
        momentum = stored = self.read_momentum(batch)
        # The one momentum of all samples lies in the frame of the views: it has no image's pixels.
        aligned = self.needs_ids and batch.view is not None and self.augmentation.aligned
        if aligned:
            momentum = batch.view.of_momentum(stored)
        perturbed = self.attack_now().perturb(
            batch_statistics_logits(self.classifier)
            if self.attack_in_training_mode
            else evaluation_logits(self.classifier),
            batch.x,
            batch.labels,
            self.noise(batch),
            momentum,
            self._gradient_scale,
        )
        if perturbed.momentum is not None:
            # Where gradients go through the attack, none goes into what is kept, on disk say.
            updated = ops.stop_gradient(perturbed.momentum)
            self.write_momentum(batch, batch.view.put_back(stored, updated) if aligned else updated)
        return perturbed

    def classify_in_training(self, images: Tensor) -> Tensor:
        """Float32 logits in training mode."""
        return ops.cast(self.classifier(images, training=True), "float32")

    def training_losses(
        self, batch: TrainingBatch, perturbed: Any, classifier: Any = None
    ) -> ObjectiveResult:
        """The objective, and the regularisers of the networks, on a perturbed batch.

        Args:
            batch: the training batch.
            perturbed: what the attack made of it.
            classifier: maps images to logits. Defaults to `classify_in_training`.
        """
        reconstructor = None
        if self.reconstructor is not None:
            reconstructor = lambda p: self.reconstructor(p, training=True)  # noqa: E731
        result = self.objective_now().losses(
            classifier or self.classify_in_training,
            reconstructor,
            Examples(
                batch.x,
                perturbed.images,
                batch.probabilities,
                batch.sample_weight,
                perturbed.start_logits,
            ),
        )
        replicas = replica_count()
        if replicas > 1:
            # Keras divides losses by the replicas; what is shown and regularised is one's own.
            result = result._replace(
                loss=result.loss * replicas,
                parts={name: part * replicas for name, part in result.parts.items()},
            )
        if self.losses:
            result = result._replace(loss=result.loss + sum(self.losses))
        return result

    def evaluation_step(self, data: Any) -> dict:
        """Loss and accuracy on clean images."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        (x, y, sample_weight), present = without_empty_batch((x, y, sample_weight))
        logits = ops.cast(self(x, training=False), "float32")
        if present is not None:
            logits, y = logits[:present], y[:present]
            sample_weight = None if sample_weight is None else sample_weight[:present]
        labels, probabilities = read_labels(y, self.num_classes)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)(
            probabilities, logits, sample_weight=sample_weight
        )
        # Keras divides losses by the replicas.
        loss = loss * replica_count() if replica_count() > 1 else loss
        self._loss_metric.update_state(loss, sample_weight=ops.shape(logits)[0])
        self._update_accuracy(labels, logits)
        metrics = [self._loss_metric, self._accuracy_metric]
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, logits, sample_weight)
            return {
                **{metric.name: metric.result() for metric in metrics},
                **self._compile_metrics.result(),
            }
        return {metric.name: metric.result() for metric in metrics}

    def get_config(self) -> dict:
        config = super().get_config()
        return {
            **config,
            **{part: keras.saving.serialize_keras_object(getattr(self, part)) for part in _PARTS},
            "num_samples": self.num_samples,
            "momentum_dtype": self.momentum_dtype,
            "momentum_storage": self.momentum_storage,
            "momentum_directory": self.momentum_directory,
            "seed": self.seed,
            "epsilon_warmup_steps": self.epsilon_warmup_steps,
            "regularizer_warmup_steps": self.regularizer_warmup_steps,
            "attack_in_training_mode": self.attack_in_training_mode,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> "AdversarialTrainer":
        config = dict(config)
        # Trainers saved by an earlier version have no augmentation.
        for part in _PARTS & config.keys():
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return cls(**config)


def _suitable_objective(
    objective: Objective | None, attack: Attack, reconstructor: keras.Model | None
) -> Objective:
    """The objective, or that of the method where none is given, checked against the other parts."""
    if objective is None:
        objective = AdversarialCrossEntropy() if reconstructor is None else JointReconstruction()
    if objective.needs_reconstructor != (reconstructor is not None):
        wanted = "needs" if objective.needs_reconstructor else "does not use"
        raise ValueError(
            f"The objective {type(objective).__name__} {wanted} a re-constructor. "
            f"Received: reconstructor={reconstructor!r}"
        )
    if objective.needs_start_logits and not attack.tells_start_logits:
        raise ValueError(
            f"The objective {type(objective).__name__} needs an attack that takes one gradient "
            f"at its start, such as `EFGSM` or `FGSM`. Received: attack={attack!r}"
        )
    return objective

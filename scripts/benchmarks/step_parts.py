"""Times the parts of an eFGSM step, each compiled by itself."""

from typing import Any

import numpy as np
from keras import ops

from benchmarks.step_times import median_seconds
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import compiled
from keras_efgsm.noise import Noise
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer


def step_parts(
    trainer: AdversarialTrainer, config: TrainingConfig, rounds: int
) -> dict[str, float]:
    """Seconds of the parts of an eFGSM step on one batch, each compiled by itself."""
    shape = tuple(trainer.classifier.input_shape[1:])
    rng = np.random.default_rng(1)
    x = ops.convert_to_tensor(rng.random((config.batch_size, *shape)), dtype="float32")
    labels = ops.convert_to_tensor(np.arange(config.batch_size) % trainer.num_classes, "int32")
    ids = ops.arange(config.batch_size, dtype="int32")
    momentum = ops.convert_to_tensor(rng.normal(size=(config.batch_size, *shape)), "float32")
    step = ops.convert_to_tensor(1, "int32")
    logits_fn = evaluation_logits(trainer.classifier)
    augmentation = config.augmentation() or Augmentation()
    table = trainer.momentum.table

    def views(x, ids, step):
        view = augmentation.draw(Noise(0, step, ids), shape)
        return ops.sum(view.of_images(x)) + ops.sum(view.put_back(x, view.of_momentum(x)))

    def start_gradient(x, labels, ids, step, momentum):
        made = trainer.attack.perturb(logits_fn, x, labels, Noise(0, step, ids), momentum)
        return ops.sum(made.images) + ops.sum(made.momentum)

    reads = [*trainer.classifier.variables, *_held(table)]
    parts = {
        "forward pass": (lambda x: ops.sum(logits_fn(x)), (x,)),
        "start, its gradient and the boundary step": (
            start_gradient,
            (x, labels, ids, step, momentum),
        ),
        "noise of the start": (
            lambda ids, step: ops.sum(Noise(0, step, ids).normal(shape)),
            (ids, step),
        ),
        "crop, flip and their inverse": (views, (x, ids, step)),
        "reading Gamma": (
            lambda ids: ops.sum(ops.cast(table.gather(ids), "float32")),
            (ids,),
        ),
    }
    seconds = {}
    for name, (function, arguments) in parts.items():
        run = compiled(function, reads)
        seconds[name] = median_seconds(lambda run=run, a=arguments: run(*a), rounds)
    return seconds


def _held(table: Any) -> list:
    # A stateless backend is handed what a compiled function reads; a table on disk holds nothing.
    return [table.variable] if hasattr(table, "variable") else []

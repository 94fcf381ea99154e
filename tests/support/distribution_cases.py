"""Trainings under two replicas and as one of two workers, for `test_distribution.py`.

    python distribution_cases.py replicas [CASE ...]
    python distribution_cases.py train OUT SAVED [kill=STEP]

Each is a process of its own, as devices and workers are set up before TensorFlow is used.
"""

import contextlib
import dataclasses
import json
import os
import signal
import sys
from typing import Any

from keras_efgsm.distribution.strategies import make_strategy

IMAGES = 157  # two full batches and one of 29


def differences(one, two) -> dict[str, float]:
    import numpy as np

    (trainer, history), (other, other_history) = one, two
    pairs = zip(trainer.get_weights(), other.get_weights(), strict=True)
    rows = (trainer.momentum, other.momentum)
    return {
        "weights": float(max(np.abs(a - b).max() for a, b in pairs)),
        "momentum": float((rows[0].numpy() != rows[1].numpy()).mean()) if rows[0] else 0.0,
        "metrics": max(
            float(np.abs(np.subtract(history[name], other_history[name])).max())
            for name in history.keys() | other_history.keys()
        ),
    }


def replicas(*names: str) -> None:
    """Prints the differences of trainings with two replicas to those with one, as JSON."""
    strategy = make_strategy(2)

    import keras
    import numpy as np
    import tensorflow as tf

    from keras_efgsm import (
        EFGSM,
        FGSM,
        YOPO,
        AdversarialTrainer,
        FreeReplay,
        PriorFGSM,
        WeightAveraging,
    )
    from keras_efgsm.backend import enable_determinism
    from keras_efgsm.data import load_digits, steps_per_epoch, training_dataset
    from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
    from keras_efgsm.objectives import LogitConsistency

    enable_determinism()
    digits = load_digits("train")

    def refused(attack) -> str | None:
        """What `fit` says to it under the strategy."""
        try:
            train(strategy, attack, IMAGES, digits_classifier)
        except ValueError as error:
            return str(error)
        return None

    def with_batch_norm():
        return keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(8, 3, use_bias=False),
                keras.layers.BatchNormalization(synchronized=True),
                keras.layers.ReLU(),
                keras.layers.Flatten(),
                keras.layers.Dense(10),
            ]
        )

    def train(strategy, attack, images, classifier, regularizer=None, epochs=3, **options):
        data = digits.take(images)
        keras.utils.set_random_seed(0)
        needs_reconstructor = isinstance(attack, EFGSM)
        with contextlib.nullcontext() if strategy is None else strategy.scope():
            network = classifier()
            if regularizer:
                network.layers[-1].kernel_regularizer = keras.regularizers.L2(regularizer)
            trainer = AdversarialTrainer(
                network,
                attack,
                RECONSTRUCTORS["digits"]((8, 8, 1), 10) if needs_reconstructor else None,
                num_samples=images,
                **options,
            )
            trainer.compile(keras.optimizers.SGD(0.1, momentum=0.9))
            # The momentum must be one table also where it is made within the scope.
            trainer.make_momentum(verbose=False)
        history = trainer.fit(
            training_dataset(data, 64, seed=0),
            epochs=epochs,
            steps_per_epoch=steps_per_epoch(data, 64),
            callbacks=[WeightAveraging(0.9)],
            shuffle=False,
            verbose=0,
        ).history
        evaluated = trainer.evaluate(
            data.take(9).pixels(), data.take(9).labels, batch_size=4, verbose=0, return_dict=True
        )
        return trainer, {**history, **{f"test {k}": [v] for k, v in evaluated.items()}}

    def digits_classifier():
        return CLASSIFIERS["digits"]((8, 8, 1), 10)

    def refused_batch() -> dict[str, Any]:
        """What `fit` says to a bad pixel of the second replica, and what it leaves."""
        from keras_efgsm.data import with_sample_ids

        data, trainers, said = digits.take(96), [], ""
        images = data.pixels()
        images[40 + 8] = np.nan
        for steps in (None, 1):
            keras.utils.set_random_seed(0)
            with strategy.scope():
                trainer = AdversarialTrainer(digits_classifier(), EFGSM(epsilon=0.2))
                trainer.compile(keras.optimizers.SGD(0.1))
            batches = tf.data.Dataset.from_tensor_slices((images, data.labels))
            try:
                trainer.fit(with_sample_ids(batches).batch(32), steps_per_epoch=steps, verbose=0)
            except ValueError as error:
                said = str(error)
            trainers.append(trainer)
        weights = [trainer.get_weights() for trainer in trainers]
        return {
            "said": said,
            "updates": [int(trainer.optimizer.iterations.numpy()) for trainer in trainers],
            "weights": float(max(np.abs(a - b).max() for a, b in zip(*weights, strict=True))),
            "momentum": float((trainers[0].momentum.numpy() != trainers[1].momentum.numpy()).sum()),
        }

    cases = {
        "combined": ((EFGSM(epsilon=0.2), IMAGES, digits_classifier), {"regularizer": 0.01}),
        "empty replica": ((EFGSM(epsilon=0.2), 129, digits_classifier), {"epochs": 2}),
        "batch norm": ((EFGSM(epsilon=0.2), IMAGES, with_batch_norm), {"epochs": 2}),
        "free": ((FreeReplay(epsilon=0.2, replays=2), IMAGES, digits_classifier), {"epochs": 2}),
        "yopo": (
            (YOPO(epsilon=0.2, outer_steps=2, inner_steps=2), 93, digits_classifier),
            {"epochs": 1},
        ),
        "warm-up": (
            (FGSM(epsilon=0.2), 93, digits_classifier),
            {"epochs": 1, "epsilon_warmup_steps": 8},
        ),
        "consistency": (
            (FGSM(epsilon=0.2), IMAGES, with_batch_norm),
            {"epochs": 2, "objective": LogitConsistency(5.0), "regularizer_warmup_steps": 4},
        ),
    }
    print(
        json.dumps(
            {
                name: differences(
                    train(None, *arguments, **options), train(strategy, *arguments, **options)
                )
                for name, (arguments, options) in cases.items()
                if not names or name in names
            }
            | {"refused": refused(EFGSM(epsilon=0.2, memory="universal"))}
            | {"coupled": refused(PriorFGSM(epsilon=0.2))}
            | {"bad batch": refused_batch()}
        )
    )


def train(out: str, saved: str, kill: str = "kill=0") -> None:
    """One training of two shards; worker 1 kills itself after as many steps as `kill` says."""
    strategy = make_strategy()

    import keras
    import numpy as np

    from keras_efgsm.data import load_digits
    from keras_efgsm.recipes.presets import PRESETS
    from keras_efgsm.runs.training import train

    last = int(kill.removeprefix("kill="))
    worker = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]
    resume = "--resume" in sys.argv

    class Kill(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == last and worker == 1 and not resume:
                os.kill(os.getpid(), signal.SIGKILL)

    config = dataclasses.replace(PRESETS["digits"], epochs=4, probe_images=15)
    result = train(
        config,
        out,
        train_data=load_digits("train").take(IMAGES + 15),
        test_data=load_digits("test").take(51),
        strategy=strategy,
        shards=2,
        deterministic=True,
        resume=resume,
        callbacks=[Kill()],
        verbose=0,
    )
    metrics = [result.metrics["natural_accuracy"], result.metrics["stop"]["fired"]]
    np.savez(
        f"{saved}-{worker}.npz",
        *result.trainer.get_weights(),
        momentum=result.trainer.momentum.numpy(),
        metrics=metrics,
    )


if __name__ == "__main__":
    words = [word for word in sys.argv[2:] if word != "--resume"]
    {"replicas": replicas, "train": train}[sys.argv[1]](*words)

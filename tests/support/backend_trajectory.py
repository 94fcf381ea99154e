"""The same trainings on whichever backend Keras runs, written down step by step.

`test_backends_agree.py` runs it once for each backend: `python backend_trajectory.py OUT [OTHER]`.
OTHER is what the other backend wrote; each of its steps is then made again from the state that it
began with, beside the training that goes on by itself.
"""

import sys
import time
from pathlib import Path

import keras
import numpy as np

from keras_efgsm.callbacks import WeightAveraging
from keras_efgsm.data import load_digits
from keras_efgsm.evaluation import evaluate_robustness, make_attacks
from keras_efgsm.networks import digits_classifier, digits_reconstructor
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

EPSILON, BATCH, BATCHES, STEPS = 0.2, 32, 3, 6
TEST_IMAGES = 200


def convolutions():
    """Strided and padded convolutions, pooling and batch norm: where frameworks could differ."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(16, 2, activation="silu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10),
        ]
    )


def trainer_of(method, optimizer, classifier=digits_classifier, given=None, **options):
    """A compiled trainer whose first weights are NumPy's, so the same on every backend."""
    method = METHODS[method]
    taken = method.complete(given or {})
    trainer = AdversarialTrainer(
        classifier(),
        method.attack(EPSILON, taken),
        digits_reconstructor() if method.has_reconstructor else None,
        method.objective(method.label_smoothing, taken),
        num_samples=BATCH * BATCHES,
        **{"momentum_dtype": "float32", **options},
    )
    trainer.compile(optimizer)
    random = np.random.default_rng(0)
    for weight in weights(trainer):
        if weight.path.endswith("kernel"):
            scale = np.sqrt(2.0 / np.prod(weight.shape[:-1]))
            weight.assign(scale * random.normal(size=weight.shape).astype("float32"))
    trainer.make_momentum(verbose=False)
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def sgd():
    """SGD with Nesterov momentum."""
    return keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)


def trades():
    """TRADES from a start so far off that rounding decides no sign of its first gradient.

    A thousandth away from the clean image, where its authors start, the divergence is at its
    minimum, and one sign that differs leads to another image after ten steps.
    """
    trainer = trainer_of("trades", sgd(), convolutions)
    trainer.attack.start_deviation = 0.05
    return trainer


VIEWS = Augmentation(padding=1, flip=True, cutout=2)
CASES = {
    "combined": lambda: trainer_of("combined", "adam"),
    "combined, int8": lambda: trainer_of("combined", "adam", momentum_dtype="int8"),
    "efgsm, batch norm, views": lambda: trainer_of(
        "efgsm", sgd(), convolutions, augmentation=VIEWS
    ),
    "efgsm, consistency, batch norm": lambda: trainer_of(
        "efgsm", sgd(), convolutions, {"consistency_weight": 5.0}, regularizer_warmup_steps=4
    ),
    "nuat, batch norm": lambda: trainer_of("nuat", sgd(), convolutions),
    "efgsm, universal memory, batch norm": lambda: trainer_of(
        "efgsm",
        sgd(),
        convolutions,
        {"memory": "universal", "first_visit": "corner", "step_size": EPSILON},
    ),
    "combined, consistency": lambda: trainer_of(
        "combined", "adam", given={"consistency_weight": 10.0}
    ),
    "efgsm-trades, batch norm": lambda: trainer_of("efgsm-trades", sgd(), convolutions),
    "trades, batch norm": trades,
    "pgd": lambda: trainer_of("pgd", "adam"),
    "free": lambda: trainer_of("free", sgd()),
    "yopo": lambda: trainer_of("yopo", sgd()),
    "fgsm-pgi": lambda: trainer_of("fgsm-pgi", "adam"),
    # Without batch norm: its second derivative in training mode is another one on TensorFlow, whose
    # `tf.nn.moments` takes the mean in the variance for a constant.
    "gradient-regularisation": lambda: trainer_of("gradient-regularisation", sgd()),
    "alp": lambda: trainer_of("alp", "adam"),
}


def weights(trainer):
    """Weights and moving statistics of both networks."""
    parts = [trainer.classifier, trainer.reconstructor]
    return [weight for part in parts if part is not None for weight in part.weights]


def state(trainer):
    """All that a step changes, as arrays by name."""
    arrays = {f"weight_{i}": np.asarray(w) for i, w in enumerate(weights(trainer))}
    arrays |= {f"optimizer_{i}": np.asarray(v) for i, v in enumerate(trainer.optimizer.variables)}
    if trainer.momentum is not None:
        arrays["gamma"] = trainer.momentum.numpy()
    return arrays


def put(trainer, arrays):
    """Makes `state` of the trainer these arrays."""
    for i, weight in enumerate(weights(trainer)):
        weight.assign(arrays[f"weight_{i}"])
    for i, variable in enumerate(trainer.optimizer.variables):
        variable.assign(arrays[f"optimizer_{i}"])
    if trainer.momentum is not None:
        trainer.momentum.assign(arrays["gamma"])


def one_step(trainer, data, step):
    """The state after a step on one batch, with the step's losses and metrics."""
    chosen = np.arange(BATCH) + BATCH * (step % BATCHES)
    x = {"image": data.pixels(chosen), "id": chosen}
    history = trainer.fit(x, data.labels[chosen], batch_size=BATCH, shuffle=False, verbose=0)
    logs = {f"log_{name}": np.float32(values[0]) for name, values in history.history.items()}
    return state(trainer) | logs


def trajectories(found, other):
    """Writes every case's states, from its own and from the other backend's."""
    data = load_digits("train")
    for name, make in CASES.items():
        began, trainer = time.perf_counter(), make()
        found |= {f"{name}/free/0/{k}": v for k, v in state(trainer).items()}
        for step in range(STEPS):
            after = one_step(trainer, data, step)
            found |= {f"{name}/free/{step + 1}/{k}": v for k, v in after.items()}
        for step in range(STEPS if other else 0):
            before = f"{name}/free/{step}/"
            put(trainer, {k[len(before) :]: other[k] for k in other if k.startswith(before)})
            after = one_step(trainer, data, step)
            found |= {f"{name}/forced/{step + 1}/{k}": v for k, v in after.items()}
        print(f"{name}: {time.perf_counter() - began:.1f} s", flush=True)


def whole_training(found, out, other):
    """Trains with averaging, and attacks the result and what the other backend trained."""
    train, test = load_digits("train").take(640), load_digits("test").take(TEST_IMAGES)
    trainer = trainer_of("combined", keras.optimizers.Adam(0.003))
    trainer.reset_momentum()
    trainer.num_samples = len(train)
    trainer.fit(
        train.pixels(),
        train.labels,
        batch_size=64,
        epochs=6,
        shuffle=False,
        verbose=0,
        callbacks=[WeightAveraging(0.9)],
    )
    found |= {f"trained/{i}": np.asarray(w) for i, w in enumerate(weights(trainer))}
    path = out.with_suffix(".keras")
    trainer.classifier.save(path)
    models = {"own": path} | ({"other": other.with_suffix(".keras")} if other else {})
    for name, model in models.items():
        report = evaluate_robustness(
            str(model), test, make_attacks("adp", EPSILON), cascade=True, progress=False
        )
        robust = np.logical_and.reduce([attack.robust for attack in report.attacks])
        found |= {f"attacked/{name}": robust, f"correct/{name}": report.correct}


def main():
    """Writes OUT, a `.npz`, and OUT's classifier beside it."""
    out = Path(sys.argv[1])
    other = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    found = {}
    trajectories(found, dict(np.load(other)) if other else {})
    whole_training(found, out, other)
    np.savez(out, **found)


if __name__ == "__main__":
    main()

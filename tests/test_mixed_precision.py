import dataclasses
import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_efgsm import equations, export_classifier, training
from keras_efgsm.attacks import PGD, TradesAttack
from keras_efgsm.attacks.attack import evaluation_logits
from keras_efgsm.config import PRESETS
from keras_efgsm.data import load_digits
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.networks import CLASSIFIERS, digits_classifier
from keras_efgsm.noise import Noise
from keras_efgsm.precision import dtype_policy_scope, float32_twin
from keras_efgsm.run_parts import build_trainer
from keras_efgsm.runs import RunFolder

HALF = ("mixed_bfloat16", "mixed_float16")


# What is built.


@pytest.mark.parametrize("name", HALF)
def test_a_run_builds_its_networks_in_its_policy_and_leaves_the_global_one(name):
    config = dataclasses.replace(PRESETS["digits"], dtype_policy=name)
    trainer = build_trainer(config, load_digits("train").take(100))
    assert keras.config.dtype_policy().name == "float32"
    half = name.removeprefix("mixed_")
    classifier, reconstructor = trainer.classifier, trainer.reconstructor
    assert {layer.compute_dtype for layer in classifier.layers[1:-1]} == {half}
    assert {layer.compute_dtype for layer in reconstructor.layers[1:]} == {half}
    assert {weight.dtype for weight in trainer.weights} <= {"float32", "int64"}
    is_scaled = isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (name == "mixed_float16")


def test_the_logits_of_every_classifier_are_float32_whatever_the_policy():
    for name, make in CLASSIFIERS.items():
        if name == "cifar10-resnet":  # built as mnist-resnet, in 7 times the layers
            continue
        with dtype_policy_scope("mixed_bfloat16"):
            classifier = make(10)
        assert classifier.outputs[0].dtype == "float32", name
        assert classifier.layers[-2].compute_dtype == "bfloat16", name


def test_the_scope_puts_the_policy_back_after_an_error_too():
    with pytest.raises(RuntimeError), dtype_policy_scope("mixed_float16"):
        assert keras.config.dtype_policy().name == "mixed_float16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("value", ["float16", "bfloat16", "half", None])
def test_a_policy_that_does_not_train_is_refused(value):
    with pytest.raises(ValueError, match="`dtype_policy` must be one of"):
        dataclasses.replace(PRESETS["digits"], dtype_policy=value)


def test_the_loss_of_a_float16_network_is_scaled_whatever_the_global_policy(
    tmp_path, new_trainer, new_reconstructor
):
    with dtype_policy_scope("mixed_float16"):
        digits_classifier().save(tmp_path / "half.keras")
        reconstructor = new_reconstructor()
    classifier = keras.saving.load_model(tmp_path / "half.keras")
    scaled = keras.optimizers.LossScaleOptimizer
    assert isinstance(new_trainer(classifier=classifier).optimizer, scaled)
    assert isinstance(new_trainer(reconstructor=reconstructor).optimizer, scaled)
    assert not isinstance(new_trainer().optimizer, scaled)


# Old runs.


def test_a_run_of_before_is_read_as_float32_and_can_be_resumed(tmp_path):
    folder, config = RunFolder(tmp_path / "run"), PRESETS["digits"]
    folder.prepare(config, resume=False)
    values = json.loads(folder.config.read_text())
    assert values.pop("dtype_policy") == "float32"
    folder.config.write_text(json.dumps(values))
    assert folder.read_config() == config
    folder.prepare(config, resume=True)
    with pytest.raises(ValueError, match="dtype_policy: 'float32' there, 'mixed_float16' now"):
        folder.prepare(dataclasses.replace(config, dtype_policy="mixed_float16"), resume=True)


# What it reaches.


def robust_accuracy(classifier):
    test = load_digits("test")
    attack = PGD(epsilon=0.1, steps=20, step_size=0.02, loss="cw")
    report = evaluate_robustness(classifier, (test.pixels(), test.labels), attack, progress=False)
    return report.natural_accuracy, report.attacks[0].robust_accuracy


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A function that gives the folder of a digits run, and its accuracies."""
    made = {}

    def run(policy, method="combined"):
        if (policy, method) not in made:
            config = dataclasses.replace(
                PRESETS["digits"].with_method(method),
                epsilon=0.1,
                epochs=10,
                dtype_policy=policy,
                overfitting_stop=False,
            )
            out = tmp_path_factory.mktemp("runs") / policy
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(training, "draw_curves", lambda *_: None)  # takes seconds
                training.train(config, out, verbose=0)
            made[policy, method] = out, robust_accuracy(out)
        return made[policy, method]

    return run


@pytest.mark.parametrize("policy", HALF)
def test_half_precision_trains_to_the_accuracy_of_float32(runs, policy):
    natural, robust = runs(policy)[1]
    full_natural, full_robust = runs("float32")[1]
    # What is reached where the attack of the training does not work.
    unattacked = runs("float32", "standard")[1][1]
    assert full_robust > unattacked + 0.2
    assert abs(natural - full_natural) < 0.03
    assert abs(robust - full_robust) < 0.06
    assert robust > unattacked + 0.2


def test_a_saved_half_precision_run_loads_and_leaves_in_float32(runs, tmp_path):
    folder = RunFolder(runs("mixed_float16")[0])
    classifier = keras.saving.load_model(folder.classifier)
    assert classifier.layers[1].compute_dtype == "float16"
    assert keras.saving.load_model(folder.reconstructor).input_shape == (None, 10)
    x = load_digits("test").pixels(slice(20))
    twin = float32_twin(classifier)
    np.testing.assert_allclose(twin(x), classifier(x), atol=0.02)
    export_classifier(classifier, tmp_path / "m", class_names=[str(i) for i in range(10)])
    served = tf.saved_model.load(str(next((tmp_path / "m").glob("[0-9]*/"))))
    logits = served.signatures["serving_default"](image=ops.convert_to_tensor(x))["logits"]
    np.testing.assert_allclose(logits, twin(x), atol=1e-4)


# TRADES starts from noise of a thousandth, near the rounding of half precision.


@pytest.mark.parametrize("policy", HALF)
def test_trades_climbs_as_far_in_half_precision_as_in_float32(runs, policy):
    trained = keras.saving.load_model(RunFolder(runs("float32")[0]).classifier)
    with dtype_policy_scope(policy):
        half = digits_classifier()
    half.set_weights(trained.get_weights())
    # Bright images, whose neighbouring values in bfloat16 are 4 thousandths apart.
    x = ops.convert_to_tensor(0.55 + 0.4 * load_digits("test").pixels(slice(64)))
    noise = Noise(0, 0, ops.arange(64))
    twin = evaluation_logits(trained)

    def reached(classifier, scale):
        attack = TradesAttack(epsilon=0.1, steps=10)
        logits_fn = evaluation_logits(classifier)
        x_adv = attack.perturb(logits_fn, x, None, noise, None, scale).images
        moved = np.abs(x_adv - x).max(axis=(1, 2, 3))
        return equations.kl_divergence(twin(x), twin(x_adv)).numpy().mean(), moved

    exact, _ = reached(trained, 1.0)
    divergence, moved = reached(half, 1024.0 if policy == "mixed_float16" else 1.0)
    # Not the start alone, which is 0.004 at most.
    assert (moved > 0.05).all()
    assert divergence > 0.9 * exact


# The exact continuation; determinism is switched on for a whole process.


def test_a_float16_run_that_is_resumed_gives_the_same_bits(tmp_path):
    script = f"""
        import hashlib, pathlib
        import keras, numpy as np
        from keras_efgsm import training
        from keras_efgsm.config import TrainingConfig
        from keras_efgsm.data import ImageData, load_digits
        training.draw_curves = lambda *arguments: None  # takes longer than the training
        # Raises the loss scale within the run, so that its state matters.
        scaled = keras.optimizers.LossScaleOptimizer
        start = scaled.__init__
        def short(self, inner, **options):
            start(self, inner, initial_scale=2.0**18, dynamic_growth_steps=3)
        scaled.__init__ = short
        digits = load_digits("train")
        data = ImageData(digits.images[:150], digits.labels[:150], digits.class_names)
        config = TrainingConfig("digits", "digits", "digits", 0.2, epochs=3, batch_size=32,
                                dtype_policy="mixed_float16")
        class Break(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == 1:
                    raise KeyboardInterrupt
        def run(out, **options):
            result = training.train(config, out, train_data=data, test_data=data, verbose=0,
                                    deterministic=True, **options)
            trainer = result.trainer
            assert type(trainer.optimizer) is scaled
            arrays = [*trainer.get_weights(), trainer.momentum.numpy()]
            arrays += [np.asarray(v) for v in trainer.optimizer.variables]
            digest = hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()
            return digest, float(trainer.optimizer.dynamic_scale)
        out = pathlib.Path({str(tmp_path)!r})
        whole = run(out / "whole")
        try:
            run(out / "cut", callbacks=[Break()])
        except KeyboardInterrupt:
            pass
        assert whole[1] != 2.0**18, whole
        assert run(out / "cut", resume=True) == whole
        print("same")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "same"

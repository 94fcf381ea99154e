import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_efgsm import equations, export_classifier
from keras_efgsm.attacks import PGD, TradesAttack
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.data import load_digits
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.networks import CLASSIFIERS, digits_classifier, precision
from keras_efgsm.networks.precision import choose_dtype_policy, dtype_policy_scope, float32_twin
from keras_efgsm.noise import Noise
from keras_efgsm.recipes.building import build_trainer
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs import saving, training
from keras_efgsm.runs.folder import RunFolder

HALF = ("mixed_bfloat16", "mixed_float16")
# A processor has no convolution in float16, and most have none in bfloat16.
SLOW = pytest.mark.slow(reason="trains ten epochs in half precision")


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
    seen = set()
    for name, make in CLASSIFIERS.items():
        # One of each function is enough, and of wide residual networks more than that.
        if make.function in seen:
            continue
        seen.add(make.function)
        with dtype_policy_scope("mixed_bfloat16"):
            classifier = make((16, 16, 1), 10)
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


# The policy that is measured.


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Gives the machine flags, GPUs, and a number of seconds for a step in each precision."""

    def make(flags, *gpus, **seconds):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: fpu sse2 {flags}\n")
        monkeypatch.setattr(precision, "_CPU_FLAGS", tmp_path / "cpuinfo")
        monkeypatch.setattr(precision, "accelerators", lambda: list(gpus))
        measured = []

        def time_step(network, batch_size):
            kind = network.layers[-2].compute_dtype
            assert kind in seconds, "nothing may be measured here"
            measured.append((kind, batch_size))
            return seconds[kind]

        monkeypatch.setattr(precision, "_seconds_of_step", time_step)
        return measured

    return make


def choose(**options):
    return choose_dtype_policy(digits_classifier, **options)


@pytest.mark.parametrize("flags", ["avx2 avx512f avx512_vnni", "amx_tile", "avx512_bf16x"])
def test_without_bfloat16_in_the_processor_it_is_float32_and_nothing_is_measured(machine, flags):
    assert not machine(flags)
    choice = choose()
    assert choice.policy == "float32"
    assert "does not multiply in bfloat16" in choice.reason


def test_where_the_flags_cannot_be_read_it_is_float32(machine, monkeypatch, tmp_path):
    machine("amx_bf16")
    monkeypatch.setattr(precision, "_CPU_FLAGS", tmp_path / "missing")
    assert choose().policy == "float32"


@pytest.mark.parametrize(
    ("half", "policy", "gain"),
    [
        (0.5, "mixed_bfloat16", "2.00"),
        (0.9, "mixed_bfloat16", "1.11"),
        (0.95, "float32", "1.05"),  # too little for the precision that is lost
        (1.0, "float32", "1.00"),
        (4.0, "float32", "0.25"),
    ],
)
def test_it_is_the_faster_of_the_two_policies(machine, half, policy, gain):
    measured = machine("avx512_bf16", float32=1.0, bfloat16=half)
    choice = choose()
    assert choice.policy == policy
    assert f"{gain} times the speed" in choice.reason
    assert "(avx512_bf16)" in choice.reason
    assert measured == [("float32", 64), ("bfloat16", 64)]
    assert keras.config.dtype_policy().name == "float32"
    choose(batch_size=16)
    assert measured[-1] == ("bfloat16", 16)


def test_the_reason_names_what_would_multiply(machine):
    machine("avx512_bf16 amx_bf16", float32=2.0, bfloat16=1.0)
    assert "(amx_bf16)" in choose().reason
    machine("avx2", "a card", float32=2.0, bfloat16=1.0)
    choice = choose()
    assert choice.policy == "mixed_bfloat16"
    assert "(a card)" in choice.reason


def test_a_step_is_really_timed(monkeypatch):
    monkeypatch.setattr(precision, "_SECONDS_EACH", 0.01)
    seconds = precision._seconds_of_step(digits_classifier(), 8)
    assert 0.0 < seconds < 5.0


CHOSEN = dataclasses.replace(
    PRESETS["digits"], epochs=2, batch_size=64, overfitting_stop=False, dtype_policy="auto"
)


def run_chosen(out, **options):
    data = load_digits("train").take(128), load_digits("test").take(50)
    return training.train(CHOSEN, out, train_data=data[0], test_data=data[1], verbose=0, **options)


class Cut(Exception):
    """Ends a run where a kill would."""


def cut_in_the_second_epoch(epoch, logs=None):
    if epoch == 1:
        raise Cut


@pytest.mark.parametrize(
    ("seconds", "policy", "kind"),
    [(0.5, "mixed_bfloat16", "bfloat16"), (2.0, "float32", "float32")],
)
def test_a_run_writes_down_the_policy_it_chose_and_is_resumed_with_it(
    machine, tmp_path, capsys, seconds, policy, kind
):
    measured = machine("amx_bf16", float32=1.0, bfloat16=seconds)
    cut = keras.callbacks.LambdaCallback(on_epoch_begin=cut_in_the_second_epoch)
    with pytest.raises(Cut):
        run_chosen(tmp_path / "run", callbacks=[cut])
    assert len(measured) == 2
    assert f"dtype policy {policy}: a training step in bfloat16" in capsys.readouterr().out
    folder = RunFolder(tmp_path / "run")
    assert json.loads(folder.config.read_text())["dtype_policy"] == policy
    # From here on nothing may be measured: here it would come out the other way.
    assert not machine("avx2")
    resumed = run_chosen(tmp_path / "run", resume=True)
    assert folder.read_config() == dataclasses.replace(CHOSEN, dtype_policy=policy)
    assert resumed.trainer.classifier.layers[-2].compute_dtype == kind
    assert "dtype policy" not in capsys.readouterr().out
    assert len(folder.read_history()) == 2
    # A policy that was named has to be the run's own, as ever.
    other = {"mixed_bfloat16": "float32", "float32": "mixed_bfloat16"}[policy]
    with pytest.raises(ValueError, match=f"dtype_policy: '{policy}' there, '{other}' now"):
        folder.prepare(dataclasses.replace(CHOSEN, dtype_policy=other), resume=True)


def test_a_trainer_of_its_own_is_built_in_the_policy_that_was_chosen(machine):
    machine("amx_bf16", float32=1.0, bfloat16=0.5)
    trainer = build_trainer(CHOSEN, load_digits("train").take(100))
    assert trainer.classifier.layers[-2].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


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
            preset = PRESETS["digits"].with_method(method)
            sigma = {"sigma": 0.1} if method == "combined" else {}
            config = dataclasses.replace(
                preset,
                method_options={**preset.method_options, **sigma},
                epsilon=0.1,
                epochs=10,
                dtype_policy=policy,
                overfitting_stop=False,
            )
            out = tmp_path_factory.mktemp("runs") / policy
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(saving, "draw_curves", lambda *_, **__: None)  # takes seconds
                training.train(config, out, verbose=0)
            made[policy, method] = out, robust_accuracy(out)
        return made[policy, method]

    return run


@SLOW
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


@SLOW
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


@pytest.fixture(scope="module")
def trained():
    """A classifier of digits, trained on clean images."""
    digits, classifier = load_digits("train"), digits_classifier()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(3e-3), loss)
    classifier.fit(digits.pixels(), digits.labels, batch_size=64, epochs=3, verbose=0)
    return classifier


@pytest.mark.parametrize("policy", HALF)
def test_trades_climbs_as_far_in_half_precision_as_in_float32(trained, policy):
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
    # Nor as far to the last step: rounding to 4 thousandths is a good part of a step of 10.
    assert divergence > 0.8 * exact


# The exact continuation; determinism is switched on for a whole process.


@SLOW
def test_a_float16_run_that_is_resumed_gives_the_same_bits(tmp_path, fresh):
    script = f"""
        import hashlib, pathlib
        import keras, numpy as np
        from keras_efgsm.runs import saving, training
        from keras_efgsm.recipes.config import TrainingConfig
        from keras_efgsm.data import ImageData, load_digits
        saving.draw_curves = lambda *arguments, **options: None  # takes longer than the training
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
    done = fresh.run(code=script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "same"


def test_a_layer_that_cannot_be_made_again_is_refused_in_one_line():
    class Fixed(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="mixed_bfloat16")

        def call(self, x):
            return x + 1.0

    layers = [keras.Input((4,)), Fixed(), keras.layers.Dense(2)]
    with pytest.raises(
        ValueError, match=r"made again in float32 \(TypeError.*Received: "
    ) as caught:
        float32_twin(keras.Sequential(layers))
    assert "\n" not in str(caught.value)


def test_a_lambda_computes_in_float32_without_being_read_from_its_code():
    policy = "mixed_bfloat16"
    function = keras.layers.Lambda(lambda x, by: by * x, arguments={"by": 3.0}, dtype=policy)
    classifier = keras.Sequential([keras.Input((4,)), function, keras.layers.Dense(2)])
    twin = float32_twin(classifier)
    assert twin.layers[0].compute_dtype == "float32" and twin.layers[0].arguments == {"by": 3.0}

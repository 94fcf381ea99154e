import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import (
    EFGSM,
    FGSM,
    NFGSM,
    PGD,
    YOPO,
    FreeReplay,
    Identity,
    PriorFGSM,
    TradesAttack,
)
from keras_efgsm.networks.splitting import split_after_first_layer
from keras_efgsm.noise import Noise
from keras_efgsm.objectives import (
    AdversarialCrossEntropy,
    GradientRegularisation,
    JointReconstruction,
    LogitConsistency,
    LogitPairing,
    NuclearNorm,
    Trades,
)
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS, find_method
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.trainer.step import TrainingStep
from support.formulas import (
    cross_entropy,
    divergence,
    project,
    smooth,
    softmax,
    weight_gradients,
)
from support.networks import EPSILON, NUM_CLASSES, SHAPE, Net

RATE, SEED = 0.5, 7

# Whole training steps, once more in numpy with float64: images from the analytic Jacobian of the
# small network, gradients of its weights by central differences of the objective.


@pytest.fixture
def net():
    return Net()


def slope(net, x, labels, smoothing=0.0):
    """Gradient of the cross-entropy of each image."""
    error = softmax(net.logits(x)) - smooth(labels, smoothing)
    return np.einsum("bk,bkhwc->bhwc", error, net.jacobian(x))


def descend(net, gradients):
    for w, gradient in zip(net.weights, gradients, strict=True):
        w -= RATE * gradient


def trainer_of(net, attack, objective=None, **options):
    trainer = AdversarialTrainer(
        net.model, attack, objective=objective, momentum_dtype="float32", seed=SEED
    )
    trainer.compile(keras.optimizers.SGD(RATE), **options)
    return trainer


def assert_weights(net):
    """The Keras weights are those of the re-computation, which have moved."""
    start = Net().weights
    for made, expected, old in zip(net.model.get_weights(), net.weights, start, strict=True):
        np.testing.assert_allclose(made, expected, atol=2e-6)
        assert np.abs(expected - old).max() > 1e-3


def uniform(count, step=0):
    noise = Noise(SEED, step, np.arange(count, dtype="int32"))
    return np.asarray(noise.uniform(SHAPE, -1.0, 1.0), "float64")


def fgsm(net, x, labels):
    return project(x + EPSILON * np.sign(slope(net, x, labels)), x)


def n_fgsm(net, x, labels):
    start = np.clip(x + 2 * EPSILON * uniform(len(x)), 0, 1)
    return np.clip(start + EPSILON * np.sign(slope(net, start, labels)), 0, 1)


def pgd(net, x, labels):
    images = project(x + EPSILON * uniform(len(x)), x)
    for _ in range(4):
        images = project(images + 0.04 * np.sign(slope(net, images, labels)), x)
    return images


def trades(net, x, labels):
    noise = np.asarray(Noise(SEED, 0, np.arange(len(x), dtype="int32")).normal(SHAPE))
    images, natural = project(x + 0.04 * noise, x), softmax(net.logits(x))
    for _ in range(3):
        error = softmax(net.logits(images)) - natural
        gradient = np.einsum("bk,bkhwc->bhwc", error, net.jacobian(images))
        images = project(images + 0.07 * np.sign(gradient), x)
    return images


def clean(net, x, labels):
    return x


PGD_4 = PGD(epsilon=EPSILON, steps=4, step_size=0.04)
TRADES_3 = TradesAttack(epsilon=EPSILON, steps=3, step_size=0.07, start_deviation=0.04)


def adversarial_loss(net, x, x_adv, labels):
    return cross_entropy(net.logits(x_adv), labels, 0.1)


def trades_loss(net, x, x_adv, labels):
    natural = net.logits(x)
    return cross_entropy(natural, labels) + 6.0 * divergence(natural, net.logits(x_adv))


def pairing_loss(net, x, x_adv, labels):
    natural, logits = net.logits(x), net.logits(x_adv)
    both = cross_entropy(natural, labels) + cross_entropy(logits, labels)
    return both / 2 + 2.0 * ((natural - logits) ** 2).mean(axis=1).mean()


def gradient_loss(net, x, x_adv, labels):
    norms = (slope(net, x, labels) ** 2).sum(axis=(1, 2, 3))
    return cross_entropy(net.logits(x), labels, 0.2) + 3.0 * norms.mean()


STEPS = {
    "standard": (Identity(epsilon=EPSILON), None, clean, adversarial_loss),
    "fgsm": (FGSM(epsilon=EPSILON), None, fgsm, adversarial_loss),
    "n-fgsm": (NFGSM(epsilon=EPSILON), None, n_fgsm, adversarial_loss),
    "pgd": (PGD_4, None, pgd, adversarial_loss),
    "trades": (TRADES_3, Trades(6.0), trades, trades_loss),
    "alp": (PGD_4, LogitPairing(2.0), pgd, pairing_loss),
    "gradient-regularisation": (
        Identity(epsilon=EPSILON),
        GradientRegularisation(3.0, label_smoothing=0.2),
        clean,
        gradient_loss,
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step_is_what_its_paper_says(net, name):
    attack, objective, images_of, loss_of = STEPS[name]
    x = net.x.astype("float64")
    x_adv = images_of(net, x, net.labels)
    loss = loss_of(net, x, x_adv, net.labels)
    history = trainer_of(net, attack, objective).fit(net.x, net.labels, verbose=0).history
    assert history["loss"][0] == pytest.approx(loss, rel=1e-5)
    accuracy = np.mean(net.logits(x_adv).argmax(axis=1) == net.labels)
    assert history["accuracy"][0] == pytest.approx(accuracy)
    descend(net, weight_gradients(net, lambda: loss_of(net, x, x_adv, net.labels)))
    assert_weights(net)


def test_logit_consistency_draws_the_logits_of_start_and_end_together(net):
    """Two epochs of FGSM-PGI; the second starts from the prior of the first."""
    x, eta, g = net.x.astype("float64"), EPSILON * np.sign(uniform(12)), 0.0
    attack, objective = PriorFGSM(epsilon=EPSILON, step_size=0.07), LogitConsistency(4.0)
    trainer_of(net, attack, objective).fit(net.x, net.labels, epochs=2, verbose=0)
    for _ in range(2):
        start = project(x + eta, x)
        gradient = slope(net, start, net.labels)
        x_adv = project(start + 0.07 * np.sign(gradient), x)
        g = 0.3 * g + gradient / np.abs(gradient).mean()
        eta = np.clip(eta + 0.07 * np.sign(g), -EPSILON, EPSILON)

        def loss(x_adv=x_adv, start=start):
            z = net.logits(x_adv)
            distance = ((z - net.logits(start)) ** 2).mean(axis=1).mean()
            return cross_entropy(z, net.labels, 0.1) + 4.0 * distance

        descend(net, weight_gradients(net, loss))
    assert_weights(net)


def test_free_replays_each_batch_and_carries_the_perturbation_on_by_position(net, monkeypatch):
    """Batches of 5, 5 and 2 images, each replayed three times, with an update each time."""
    trainer = trainer_of(net, FreeReplay(epsilon=EPSILON, replays=3, step_size=0.06))
    made, apply = [], TrainingStep.apply_gradients

    def recorded(step, gradients):
        apply(step, gradients)
        made.append(trainer.get_weights())

    monkeypatch.setattr(TrainingStep, "apply_gradients", recorded)
    trainer.compile(trainer.optimizer, run_eagerly=True)
    trainer.fit(net.x, net.labels, batch_size=5, shuffle=False, verbose=0)
    assert len(made) == int(trainer.optimizer.iterations) == 9

    shift, expected = np.zeros((5, *SHAPE)), []
    for rows in (slice(0, 5), slice(5, 10), slice(10, 12)):
        x, labels = net.x[rows].astype("float64"), net.labels[rows]
        for _ in range(3):
            delta = shift[: len(x)]
            images = np.clip(x + delta, 0, 1)

            def loss(images=images, labels=labels):
                return cross_entropy(net.logits(images), labels, 0.1)

            gradient, gradients = slope(net, images, labels, 0.1), weight_gradients(net, loss)
            shift[: len(x)] = np.clip(delta + 0.06 * np.sign(gradient), -EPSILON, EPSILON)
            descend(net, gradients)
            expected.append([w.copy() for w in net.weights])
    for step, (ours, theirs) in enumerate(zip(made, expected, strict=True)):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, atol=5e-6, err_msg=f"update {step}")
    kept = trainer.momentum.numpy()
    np.testing.assert_allclose(kept[:5] * EPSILON, shift, atol=1e-6)
    assert not np.any(kept[5:])


def test_free_trains_the_same_compiled_as_eagerly_and_goes_on_in_the_next_epoch():
    weights = []
    for eager in (False, True):
        net = Net()
        attack = FreeReplay(epsilon=EPSILON, replays=2, step_size=0.06)
        trainer = trainer_of(net, attack, run_eagerly=eager)
        trainer.fit(net.x, net.labels, batch_size=6, epochs=2, shuffle=False, verbose=0)
        weights.append(net.model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def numpy_yopo(net, x, labels, loss_of, error_of):
    """YOPO-2-3: the two gradients of the weights and the images of the last pass."""
    w1, b1, w2, _ = net.weights
    images, totals = project(x + EPSILON * uniform(len(x)), x), None
    for _ in range(2):
        seen = images
        gradients = weight_gradients(net, lambda seen=seen: loss_of(seen))
        totals = gradients if totals is None else [a + b for a, b in zip(totals, gradients)]  # noqa: B905
        p = error_of(images) @ w2.T
        for _ in range(3):
            hidden = np.tanh(images.reshape(len(x), -1) @ w1 + b1)
            gradient = ((p * (1 - hidden**2)) @ w1.T).reshape(x.shape)
            images = project(images + 0.03 * np.sign(gradient), x)
    return [total / 2 for total in totals], seen


YOPO_2_3 = YOPO(epsilon=EPSILON, outer_steps=2, inner_steps=3, step_size=0.03)


def test_yopo_averages_the_gradients_of_its_passes_and_steps_on_the_first_layer_alone(net):
    x = net.x.astype("float64")

    def loss_of(images):
        return cross_entropy(net.logits(images), net.labels, 0.1)

    def error_of(images):
        return softmax(net.logits(images)) - smooth(net.labels, 0.1)

    gradients, seen = numpy_yopo(net, x, net.labels, loss_of, error_of)
    trainer = trainer_of(net, YOPO_2_3)
    history = trainer.fit(net.x, net.labels, verbose=0).history
    assert history["loss"][0] == pytest.approx(loss_of(seen), rel=1e-5)
    assert int(trainer.optimizer.iterations) == 1
    descend(net, gradients)
    assert_weights(net)


def test_yopo_follows_the_slope_at_the_adversarial_images_of_an_objective_of_two_passes(net):
    x = net.x.astype("float64")

    def loss_of(images):
        return trades_loss(net, x, images, net.labels)

    def error_of(images):
        return 6.0 * (softmax(net.logits(images)) - softmax(net.logits(x)))

    gradients, _ = numpy_yopo(net, x, net.labels, loss_of, error_of)
    trainer_of(net, YOPO_2_3, Trades(6.0)).fit(net.x, net.labels, verbose=0)
    descend(net, gradients)
    assert_weights(net)


def test_samples_of_weight_zero_do_not_count_where_attack_and_update_share_passes():
    weight = np.repeat([2.0, 0.0], 6)
    for attack in (FreeReplay(epsilon=EPSILON, replays=2), YOPO_2_3):
        weighted, half = Net(), Net()
        trainer_of(weighted, attack, run_eagerly=True).fit(
            weighted.x, weighted.labels, sample_weight=weight, verbose=0
        )
        trainer_of(half, attack, run_eagerly=True).fit(half.x[:6], half.labels[:6], verbose=0)
        for a, b in zip(weighted.model.get_weights(), half.model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    "attack",
    [FreeReplay(epsilon=1e-6, replays=3), YOPO(epsilon=1e-6, outer_steps=2)],
    ids=["free", "yopo"],
)
def test_regularisers_of_the_network_count_once_in_each_pass(net, attack):
    regularised = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(9, activity_regularizer=keras.regularizers.L2(0.3)),
            keras.layers.Dense(NUM_CLASSES, kernel_regularizer=keras.regularizers.L2(0.1)),
        ]
    )
    hidden = np.asarray(regularised.layers[1](net.x.reshape(12, -1)))
    expected = 0.1 * np.sum(np.asarray(regularised.layers[2].kernel) ** 2)
    expected += 0.3 * np.sum(hidden**2) / 12
    trainer = AdversarialTrainer(regularised, attack)
    trainer.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    history = trainer.fit(net.x, net.labels, verbose=0).history
    assert history["loss"][0] - history["classification_loss"][0] == pytest.approx(
        expected, rel=1e-3
    )


# Cutting a classifier in two.


def chain(*layers):
    return keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Dense(NUM_CLASSES)])


def added_one_by_one():
    model = keras.Sequential()
    for layer in (keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(7)):
        model.add(layer)
    model.add(keras.layers.Dense(NUM_CLASSES))
    return model


def residual(*, around_the_first):
    images = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(images)
    first = keras.layers.Dense(12, activation="relu")(flat)
    other = flat if around_the_first else keras.layers.Dense(12)(first)
    joined = keras.layers.Add()([other, first])
    return keras.Model(images, keras.layers.Dense(NUM_CLASSES)(joined))


def two_ways_to_the_logits():
    images = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(images)
    ways = [keras.layers.Dense(NUM_CLASSES)(keras.layers.Dense(12)(flat)) for _ in range(2)]
    return keras.Model(images, keras.layers.Add()(ways))


def restored():
    model = chain(keras.layers.Flatten(), keras.layers.Dense(7))
    return keras.Sequential.from_config(model.get_config())


CUTTABLE = {
    "dense": lambda: chain(keras.layers.Flatten(), keras.layers.Dense(7, "tanh")),
    "convolution": lambda: chain(keras.layers.Conv2D(3, 2), keras.layers.Flatten()),
    "norm first": lambda: chain(
        keras.layers.BatchNormalization(), keras.layers.Conv2D(3, 2), keras.layers.Flatten()
    ),
    "later residual": lambda: residual(around_the_first=False),
    "residual around the first": lambda: residual(around_the_first=True),
    "added one by one": added_one_by_one,
    "restored": restored,
}


@pytest.mark.parametrize("make", CUTTABLE.values(), ids=CUTTABLE)
def test_the_parts_of_a_classifier_share_its_weights_and_compose_to_it(net, make):
    classifier = make()
    for _ in range(2):  # a second cut finds the same layer
        split = split_after_first_layer(classifier)
        hidden = split.first(net.x)
        logits = split.rest(hidden)
        assert ops.is_tensor(logits)
        np.testing.assert_allclose(logits, classifier(net.x), atol=1e-6)
        parts = [id(w) for part in split for w in part.weights]
        assert sorted(parts) == sorted(id(w) for w in classifier.weights)
        kernels = [layer for layer in split.first.layers if hasattr(layer, "kernel")]
        assert len(kernels) == 1
    kernels[0].kernel.assign(np.zeros(kernels[0].kernel.shape))
    assert np.any(np.asarray(split.first(net.x)) != hidden)


@pytest.mark.filterwarnings("error:The structure of `inputs`")
def test_the_parts_take_a_tensor_without_a_warning(net):
    split = split_after_first_layer(CUTTABLE["dense"]())
    split.rest(split.first(net.x))


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (two_ways_to_the_logits, "`classifier` must have a layer behind its first one"),
        (
            lambda: keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()]),
            "`classifier` must have a layer with weights",
        ),
    ],
    ids=["two ways to the logits", "no weights"],
)
def test_yopo_refuses_a_classifier_that_cannot_be_cut(classifier, message):
    model = classifier()
    with pytest.raises(ValueError, match=message) as error:
        AdversarialTrainer(model, YOPO(epsilon=EPSILON))
    assert str(error.value).endswith(f"Received: classifier={model.name!r}")
    AdversarialTrainer(model, FGSM(epsilon=EPSILON))


def test_a_classifier_that_was_cut_is_saved_and_counted_as_any_other(net, tmp_path):
    trainer = trainer_of(net, YOPO_2_3, run_eagerly=True)
    trainer.fit(net.x, net.labels, verbose=0)
    assert len(trainer.trainable_weights) == len(trainer.weights) == 4
    trainer.save(tmp_path / "trainer.keras")
    net.model.save(tmp_path / "classifier.keras")
    for name in ("classifier", "trainer"):
        loaded = keras.models.load_model(tmp_path / f"{name}.keras")
        loaded = loaded.classifier if name == "trainer" else loaded
        np.testing.assert_allclose(loaded(net.x), net.model(net.x), atol=1e-6)


# The registry.

NAMES = {
    "combined",
    "efgsm",
    "rec",
    "efgsm-trades",
    "standard",
    "fgsm",
    "fgsm-rs",
    "n-fgsm",
    "fgsm-pgi",
    "nuat",
    "pgd",
    "trades",
    "alp",
    "free",
    "yopo",
    "gradient-regularisation",
}
FEW_STEPS = {
    "pgd": {"steps": 2},
    "alp": {"steps": 2},
    "trades": {"steps": 2},
    "free": {"replays": 2},
    "yopo": {"outer_steps": 2, "inner_steps": 2},
}


def test_all_methods_are_there():
    assert set(METHODS) == NAMES
    assert len({method.title for method in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains(name, small, new_classifier, new_reconstructor):
    x, y = small[0][:40], small[1][:40]
    method = METHODS[name]
    options = method.complete(FEW_STEPS.get(name, {}))
    trainer = AdversarialTrainer(
        new_classifier(hidden=8),
        method.attack(0.2, options),
        new_reconstructor() if method.has_reconstructor else None,
        method.objective(method.label_smoothing, options),
    )
    # Eager for speed; the steps above are compiled.
    trainer.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    before = trainer.get_weights()
    history = trainer.fit(x, y, batch_size=20, epochs=1, verbose=0).history
    parts = set(trainer.objective.part_names)
    assert {"loss", "accuracy", "margin_robust_accuracy", *parts} <= set(history)
    assert all(np.isfinite(values).all() for values in history.values())
    for old, new in zip(before, trainer.get_weights(), strict=True):
        assert np.any(old != new)
    assert int(trainer.optimizer.iterations) == 2 * trainer.attack.replays
    assert (trainer.momentum is not None) == trainer.attack.uses_momentum
    if trainer.momentum is not None:
        assert np.any(trainer.momentum.numpy())
    again = AdversarialTrainer.from_config(json.loads(json.dumps(trainer.get_config())))
    assert again.attack.get_config() == trainer.attack.get_config()
    assert again.objective.get_config() == trainer.objective.get_config()


@pytest.mark.parametrize(
    ("name", "options", "passes"),
    [
        ("standard", {}, 1),
        ("rec", {}, 1),
        ("efgsm", {}, 5 / 3),
        ("combined", {"rivals": 3}, 7 / 3),
        ("efgsm", {"rivals": "all"}, 10 / 3 + 1),
        ("efgsm-trades", {}, 8 / 3),
        ("fgsm", {}, 5 / 3),
        ("fgsm-rs", {}, 5 / 3),
        ("n-fgsm", {}, 5 / 3),
        ("fgsm-pgi", {}, 7 / 3),
        ("nuat", {}, 3),
        ("efgsm", {"consistency_weight": 10.0}, 7 / 3),
        ("combined", {"consistency_weight": 10.0, "rivals": 2}, 8 / 3),
        ("efgsm", {"nuclear_weight": 4.0}, 8 / 3),
        ("pgd", {"steps": 30}, 21),
        ("alp", {"steps": 30}, 22),
        ("trades", {"steps": 30}, 21 + 4 / 3),
        ("free", {}, 8),
        ("yopo", {}, 5),
        ("gradient-regularisation", {}, 2),
    ],
)
def test_the_passes_of_a_method_follow_from_its_steps(name, options, passes):
    """In thirds: forward, backward to the images, backward to the weights."""
    method = METHODS[name]
    assert method.passes(method.complete(options), 10) == pytest.approx(passes)


@pytest.mark.parametrize("name", METHODS)
def test_options_are_completed_passed_on_and_unknown_ones_refused(name):
    method = METHODS[name]
    assert method.complete({}) == method.options
    with pytest.raises(ValueError) as error:
        method.complete({"strength": 3})
    assert method.title in str(error.value)
    assert str(error.value).endswith("Received: method_options={'strength': 3}")
    assert all(option in str(error.value) for option in method.options)
    # Each option that is no weight of the objective is one of the attack, and reaches it.
    attack = method.attack(0.2, method.complete({}))
    config = attack.get_config()
    for option, default in method.options.items():
        if option not in ("lambda", "beta") and not option.endswith("_weight"):
            assert config[option] == default or default is None
    given = {"step_size": 0.015} if "step_size" in method.options else {}
    assert method.attack(0.2, method.complete(given)).get_config() == {**config, **given}
    assert config["epsilon"] == 0.2


@pytest.mark.parametrize(
    ("name", "option", "attribute"),
    [
        ("combined", "lambda", "classification_weight"),
        ("rec", "lambda", "classification_weight"),
        ("efgsm-trades", "beta", "beta"),
        ("trades", "beta", "beta"),
        ("alp", "pairing_weight", "pairing_weight"),
        ("fgsm-pgi", "consistency_weight", "consistency_weight"),
        ("nuat", "nuclear_weight", "nuclear_weight"),
        ("efgsm", "consistency_weight", "consistency_weight"),
        ("efgsm", "nuclear_weight", "nuclear_weight"),
        ("combined", "consistency_weight", "consistency_weight"),
        ("gradient-regularisation", "gradient_weight", "gradient_weight"),
    ],
)
def test_the_weights_of_an_objective_reach_it(name, option, attribute):
    objective = METHODS[name].objective(0.25, METHODS[name].complete({option: 3.5}))
    assert getattr(objective, attribute) == 3.5
    assert objective.label_smoothing == 0.25


def test_efgsm_alone_takes_one_regulariser_or_none():
    efgsm = METHODS["efgsm"]
    assert type(efgsm.objective(0.1, efgsm.complete({}))) is AdversarialCrossEntropy
    with pytest.raises(ValueError, match="consistency_weight=1.0, nuclear_weight=2.0$"):
        PRESETS["mnist"].with_method("efgsm", consistency_weight=1.0, nuclear_weight=2.0)


def test_fgsm_pgi_is_that_of_its_paper():
    method = METHODS["fgsm-pgi"]
    assert method.label_smoothing == pytest.approx(4 / 9)
    options = method.complete({})
    assert method.objective(0.0, options).consistency_weight == 10.0
    attack = method.attack(EPSILON, options)
    assert (attack.decay, attack.step_size, attack.loss) == (0.3, EPSILON, "ce")


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'combined'.*'yopo'.*Received: method='madry'$"):
        find_method("madry")
    with pytest.raises(ValueError, match="Received: method='madry'$"):
        PRESETS["digits"].with_method("madry")


def test_a_configuration_takes_another_method_at_its_own_options():
    ours = PRESETS["digits"]
    other = ours.with_method("trades", beta=3.0)
    assert other.method_options == {"beta": 3.0, "steps": 40, "step_size": None}
    assert (ours.label_smoothing, other.label_smoothing) == (0.1, 0.0)
    assert isinstance(other.make_attack(), TradesAttack)
    assert other.make_objective().get_config() == {"beta": 3.0, "label_smoothing": 0.0}
    assert TrainingConfig.from_dict(json.loads(json.dumps(other.to_dict()))) == other
    for options in ({"steps": 0}, {"beta": -1}, {"gamma": 1}):
        with pytest.raises(ValueError, match="Received: "):
            ours.with_method("trades", **options)


def test_a_reset_and_a_warm_up_stay_where_the_other_method_has_what_they_are_of():
    config = dataclasses.replace(
        PRESETS["digits"].with_method("efgsm", consistency_weight=5.0),
        momentum_reset_epochs=3,
        regularizer_warmup_epochs=2.0,
    )

    def kept(method, **options):
        other = config.with_method(method, **options)
        return other.momentum_reset_epochs, other.regularizer_warmup_epochs

    assert kept("efgsm", consistency_weight=1.0) == kept("fgsm-pgi") == (3, 2.0)
    assert kept("efgsm") == (3, 0.0)
    assert kept("trades") == (0, 2.0)
    assert kept("pgd") == (0, 0.0)


def test_logit_consistency_refuses_an_attack_that_does_not_tell_where_it_started(new_classifier):
    for attack in (PGD(epsilon=0.2), FreeReplay(epsilon=0.2)):
        with pytest.raises(ValueError, match="LogitConsistency needs an attack .* Received: attac"):
            AdversarialTrainer(new_classifier(), attack, objective=LogitConsistency())
    for attack in (FGSM(epsilon=0.2), EFGSM(epsilon=0.2), NFGSM(epsilon=0.2)):
        AdversarialTrainer(new_classifier(), attack, objective=LogitConsistency())


# The warm-up of epsilon.


WARMED = {
    "fgsm": FGSM(epsilon=EPSILON),
    "fgsm-rs": FGSM(epsilon=EPSILON, random_start=True),
    "pgd": PGD(epsilon=EPSILON, steps=3),
    "trades": TradesAttack(epsilon=EPSILON, steps=3, start_deviation=0.01),
    "prior-fgsm": PriorFGSM(epsilon=EPSILON),
    "efgsm": EFGSM(epsilon=EPSILON, sigma=1.0),
    "free": FreeReplay(epsilon=EPSILON, replays=2),
    "yopo": YOPO_2_3,
}


def warming_trainer(attack, steps):
    net = Net()
    trainer = AdversarialTrainer(net.model, attack, seed=SEED, epsilon_warmup_steps=steps)
    # Weights that stay: only epsilon changes.
    trainer.compile(keras.optimizers.SGD(0.0))
    trainer.make_momentum(12, verbose=False)
    grey = (0.4 + 0.2 * net.x).astype("float32")  # the box does not cut the ball
    return trainer, grey, ({"image": grey, "id": np.arange(12)}, net.labels)


def images_at(trainer, data, iteration):
    """The images that the weights are trained on at a step."""
    seen, gradients_on = [], TrainingStep.gradients_on

    def recorded(step, batch, perturbed, **options):
        seen.append(np.asarray(perturbed.images))
        return gradients_on(step, batch, perturbed, **options)

    trainer.optimizer.iterations.assign(iteration)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingStep, "gradients_on", recorded)
        trainer.training_step(data)
    return seen[-1]


@pytest.mark.parametrize("attack", WARMED.values(), ids=WARMED)
def test_a_warm_up_lets_the_ball_grow_linearly_to_epsilon(attack):
    trainer, x, data = warming_trainer(attack, steps=4)
    plain, _, _ = warming_trainer(attack, steps=0)
    for step, share in enumerate((0.25, 0.5, 0.75, 1.0, 1.0)):
        images = images_at(trainer, data, iteration=step)
        assert np.abs(images - x).max() == pytest.approx(share * EPSILON, abs=1e-6)
        full = images_at(plain, data, iteration=step)
        if not attack.uses_momentum:  # which tells of the steps before
            assert np.allclose(images, full, atol=1e-6) == (share == 1.0)
    if attack.uses_momentum:
        for other in (trainer, plain):
            other.momentum.assign(np.zeros_like(other.momentum.numpy()))
        images, full = (images_at(t, data, iteration=9) for t in (trainer, plain))
        np.testing.assert_allclose(images, full, atol=1e-6)


def test_a_warm_up_goes_on_in_a_compiled_step_and_counts_updates(new_classifier, small):
    """FGSM on a network that stays as it is loses the more the larger the ball."""
    losses = []
    for steps in (0, 4):
        trainer = AdversarialTrainer(
            new_classifier(), FGSM(epsilon=0.2), epsilon_warmup_steps=steps
        )
        trainer.compile(keras.optimizers.SGD(0.0))
        history = trainer.fit(*small, batch_size=100, epochs=6, verbose=0).history
        losses.append(history["loss"])
    plain, warmed = losses
    assert warmed[0] < warmed[1] < warmed[2] < warmed[3]
    np.testing.assert_allclose(warmed[3:], plain[3:], rtol=1e-5)


# That of the regulariser.

RISING = {
    "consistency": LogitConsistency(2.0),
    "nuclear norm": NuclearNorm(3.0),
    "trades": Trades(6.0),
    "pairing": LogitPairing(2.0),
    "gradient": GradientRegularisation(5.0),
    "joint": JointReconstruction(0.3, 0.1, consistency_weight=10.0),
}


@pytest.mark.parametrize("objective", RISING.values(), ids=RISING)
def test_the_weight_of_a_regulariser_rises_linearly_over_its_warm_up(objective, new_trainer, small):
    """Step k has (k + 1) / n of it; weights and images stay, so only the weight changes."""
    trainer = new_trainer(
        FGSM(epsilon=0.2),
        reconstructor=objective.needs_reconstructor,
        objective=objective,
        optimizer=keras.optimizers.SGD(0.0),
        regularizer_warmup_steps=4,
    )
    logs = trainer.fit(*small, batch_size=100, epochs=6, shuffle=False, verbose=0).history
    weight = objective.get_config()[objective.regularizer_weight]
    if objective.needs_reconstructor:
        inner = (np.array(logs["loss"]) - logs["reconstruction_loss"]) / 0.3
        regulariser = inner - logs["classification_loss"]
    else:
        regulariser = np.array(logs["loss"]) - logs["classification_loss"]
    share = regulariser / (weight * np.array(logs[objective.part_names[-1]]))
    np.testing.assert_allclose(share, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0], rtol=1e-3)


def test_the_warm_up_of_a_regulariser_is_in_the_gradients_too(new_trainer, small):
    def moved(objective, steps):
        options = {"objective": objective, "regularizer_warmup_steps": steps}
        trainer = new_trainer(FGSM(epsilon=0.2), **options)
        before = trainer.get_weights()
        trainer.fit(*small, batch_size=100, shuffle=False, verbose=0)
        return [new - old for old, new in zip(before, trainer.get_weights(), strict=True)]

    first_of_five, a_fifth = moved(LogitConsistency(10.0), 5), moved(LogitConsistency(2.0), 0)
    for a, b in zip(first_of_five, a_fifth, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    whole = moved(LogitConsistency(10.0), 0)
    assert max(np.abs(a - c).max() for a, c in zip(first_of_five, whole, strict=True)) > 1e-3


def test_a_trainer_without_a_regulariser_trains_as_ever_through_its_warm_up(new_trainer, small):
    weights = []
    for steps in (0, 4):
        trainer = new_trainer(FGSM(epsilon=0.2), regularizer_warmup_steps=steps)
        trainer.fit(*small, batch_size=50, shuffle=False, verbose=0)
        weights.append(trainer.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [-1, 1.5, None])
def test_a_warm_up_of_no_whole_number_of_updates_is_refused(new_trainer, steps):
    with pytest.raises(ValueError, match=f"Received: regularizer_warmup_steps={steps}"):
        new_trainer(regularizer_warmup_steps=steps)


# Mixed precision.


@pytest.fixture
def policy():
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


MIXED = {
    "free": (FreeReplay(epsilon=0.2, replays=2, step_size=0.1), None),
    "yopo": (YOPO(epsilon=0.2, outer_steps=2, inner_steps=2), None),
    "efgsm": (EFGSM(epsilon=0.2, sigma=0.0), None),
    "gradient-regularisation": (Identity(epsilon=0.2), GradientRegularisation(1.0)),
    "consistency": (EFGSM(epsilon=0.2, sigma=0.0), LogitConsistency(5.0)),
    "nuclear-norm": (EFGSM(epsilon=0.2, sigma=0.0), NuclearNorm(4.0)),
}


@pytest.mark.parametrize("name", MIXED)
def test_a_step_in_half_precision_moves_the_weights_about_as_float32_does(
    new_trainer, small, policy, name
):
    attack, objective = MIXED[name]

    def change():
        trainer = new_trainer(attack, objective=objective)
        before = trainer.get_weights()
        trainer.fit(small[0][:50], small[1][:50], batch_size=50, verbose=0)
        after = trainer.get_weights()
        return trainer, np.concatenate([np.ravel(a - b) for a, b in zip(after, before)])  # noqa: B905

    _, full = change()
    policy("mixed_float16")
    trainer, half = change()
    assert trainer.classifier.layers[-1].compute_dtype == "float16"
    assert isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.linalg.norm(full) > 0
    assert np.linalg.norm(half - full) < 0.2 * np.linalg.norm(full)


@pytest.mark.parametrize("name", ["free", "yopo"])
def test_a_loss_scale_that_overflows_is_lowered_and_leaves_no_trace(
    small, policy, name, new_trainer
):
    """It overflows now and then by design; the update is left out and the scale is halved."""
    policy("mixed_float16")
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**26)
    trainer = new_trainer(MIXED[name][0], optimizer=scaled, momentum_dtype="float16")
    history = trainer.fit(*small, batch_size=10, epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert trainer.momentum is None or np.isfinite(trainer.momentum.numpy()).all()
    assert 0 < int(trainer.optimizer.iterations) < 30 * trainer.attack.replays


# The exact continuation of methods with a state. Determinism is switched on for a whole process.

SCRIPT = """
    import pathlib, sys
    import keras, numpy as np
    from keras_efgsm.runs import saving, training
    from keras_efgsm.backend import enable_determinism
    enable_determinism()
    from keras_efgsm.recipes.config import TrainingConfig
    from keras_efgsm.data import ImageData, load_digits
    from keras_efgsm.networks import CLASSIFIERS

    def tiny(image_shape, num_classes, activation="relu"):
        layers = [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
        return keras.Sequential(layers)

    CLASSIFIERS["tiny"] = tiny
    digits = load_digits("train")
    data = ImageData(digits.images[:70], digits.labels[:70], digits.class_names)
    options = {"train_data": data, "test_data": data, "verbose": 0}
    saving.draw_curves = lambda *arguments, **options: None  # takes longer than the training
    recorder = training.RunRecorder

    class Interrupted(recorder):
        def on_train_batch_end(self, batch, logs=None):
            if len(self.rows) == 1:
                raise KeyboardInterrupt

    for method, given in (("free", {"replays": 2, "step_size": 0.07}), ("fgsm-pgi", {})):
        config = TrainingConfig(
            dataset="digits", classifier="tiny", reconstructor=None, epsilon=0.2, epochs=2,
            batch_size=20, method=method, method_options=given, epsilon_warmup_epochs=1.5,
            overfitting_stop=False, weight_averaging=0.0,
        )
        folder = pathlib.Path(sys.argv[1]) / method
        whole = training.train(config, folder / "whole", **options).trainer
        training.RunRecorder = Interrupted
        try:
            training.train(config, folder / "parts", **options)
        except KeyboardInterrupt:
            training.RunRecorder = recorder
        parts = training.train(config, folder / "parts", resume=True, **options).trainer
        assert np.any(whole.momentum.numpy())
        np.testing.assert_array_equal(whole.momentum.numpy(), parts.momentum.numpy())
        for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        print(method, "is the same")
"""


def test_a_resumed_run_of_a_method_with_a_state_equals_the_uninterrupted_one(tmp_path, fresh):
    done = fresh.run(tmp_path, code=SCRIPT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("resuming after epoch 1 of 2") == 2
    assert "free is the same" in done.stdout
    assert "fgsm-pgi is the same" in done.stdout

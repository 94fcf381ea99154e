import inspect

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.attacks import EFGSM, YOPO
from keras_efgsm.networks import (
    CIFAR10_PIXELS,
    CLASSIFIERS,
    PixelStatistics,
    cifar10_wrn10_1,
    cifar10_wrn22_3_reconstructor,
    cifar10_wrn22_5,
    digits_classifier,
    image_shape_of,
    mnist_classifier,
    multiply_adds,
    preact_resnet18,
    resnet,
    resnet18,
    synchronize_batch_norm,
    wide_resnet,
    wide_resnet_reconstructor,
)
from keras_efgsm.networks.dtype_policies import DTYPE_POLICIES
from keras_efgsm.networks.precision import dtype_policy_scope
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

IMAGES = np.random.default_rng(0).random((4, 32, 32, 3), dtype="float32")
SMALL = {"depth": 10, "width": 1}


def forward(model, inputs=IMAGES):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def trained_weights(model):
    """Numbers of trained weights: all, and those of kernels alone."""
    sizes = [(int(np.prod(w.shape)), len(w.shape)) for w in model.trainable_weights]
    return sum(n for n, _ in sizes), sum(n for n, rank in sizes if rank > 1)


# Their size.


@pytest.mark.parametrize(
    ("name", "trained", "kernels"),
    [
        ("cifar10-wrn22-5", 6_711_194, 6_704_432),
        ("cifar10-wrn34-10", 46_160_474, 46_138_032),
        ("cifar10-resnet18", 11_173_962, 11_164_352),
        ("cifar10-preact-resnet18", 11_172_170, 11_164_352),
        ("cifar10-wrn10-1", 77_850, 77_360),
        ("cifar10-wrn10-2", 303_706, 302_768),
    ],
)
def test_the_classifiers_have_as_many_weights_as_the_published_ones(name, trained, kernels):
    model = CLASSIFIERS[name]((32, 32, 3), 10)
    found = trained_weights(model)
    print(
        f"{name}: {found[0]:,} trained weights, {found[1]:,} of them in kernels, "
        f"{model.count_params():,} with running statistics, {multiply_adds(model) / 1e9:.3f} GMAC"
    )
    assert found == (trained, kernels)


def test_the_papers_networks_have_the_size_that_the_paper_tells():
    assert round(trained_weights(cifar10_wrn22_5())[1] / 1e6, 2) == 6.70
    assert round(multiply_adds(cifar10_wrn22_5()) / 1e9, 2) == 0.96
    reconstructor = cifar10_wrn22_3_reconstructor()
    trained, kernels = trained_weights(reconstructor)
    print(
        f"re-constructor: {trained:,} trained weights, {kernels:,} of them in kernels, "
        f"{reconstructor.count_params():,} with running statistics, "
        f"{multiply_adds(reconstructor) / 1e9:.3f} GMAC"
    )
    for count in (trained, kernels, reconstructor.count_params()):
        assert 5.0e6 <= count <= 5.2e6


@pytest.mark.parametrize("depth", [10, 16, 22])
def test_a_wide_residual_network_has_the_layers_its_depth_says(depth):
    kernels = [
        layer.kernel
        for layer in wide_resnet((16, 16, 3), depth=depth, width=2).layers
        if isinstance(layer, (layers.Conv2D, layers.Dense))
    ]
    shortcuts = [kernel for kernel in kernels if kernel.shape[:2] == (1, 1)]
    # The publication counts the three shortcuts and not the dense layer.
    assert len(shortcuts) == 3
    assert len(kernels) - 1 == depth
    assert max(kernel.shape[-1] for kernel in kernels) == 64 * 2


@pytest.mark.parametrize("build", [wide_resnet, wide_resnet_reconstructor])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 9}, r"`depth` must be 6 n \+ 4 with n >= 1\. Received: depth=9"),
        ({"depth": 4}, r"`depth` must be 6 n \+ 4 with n >= 1\. Received: depth=4"),
        ({"width": 0}, r"`width` must be at least 1\. Received: width=0"),
    ],
)
def test_a_wide_residual_network_of_another_size_is_refused(build, options, message):
    with pytest.raises(ValueError, match=message):
        build((16, 16, 3), **options)


def test_a_reconstructor_of_images_that_four_does_not_divide_cuts_larger_ones():
    odd, even = (wide_resnet_reconstructor((rows, 12, 3), **SMALL) for rows in (9, 12))
    even.set_weights(odd.get_weights())
    one_hot = np.eye(10, dtype="float32")
    np.testing.assert_allclose(forward(odd, one_hot), forward(even, one_hot)[:, :9], atol=1e-6)


# The normalization of their input.


@pytest.mark.parametrize(
    "build",
    [
        lambda pixels: wide_resnet((32, 32, 3), pixels=pixels, **SMALL),
        lambda pixels: resnet((32, 32, 3), depth=8, pixels=pixels),
        lambda pixels: resnet18((32, 32, 3), pixels=pixels),
        lambda pixels: preact_resnet18((32, 32, 3), pixels=pixels),
    ],
    ids=["wide_resnet", "resnet", "resnet18", "preact_resnet18"],
)
def test_a_network_normalizes_its_input_as_done_by_hand(build):
    inside, outside = build(CIFAR10_PIXELS), build(None)
    outside.set_weights(inside.get_weights())
    by_hand = (IMAGES - np.float32(CIFAR10_PIXELS.mean)) / np.float32(CIFAR10_PIXELS.std)
    np.testing.assert_allclose(forward(inside), forward(outside, by_hand), rtol=1e-3, atol=1e-4)
    assert np.abs(forward(inside) - forward(outside)).max() > 1e-2


def activations(model):
    """Names of the activations of a model, linear ones left out."""
    found = {"relu" for layer in model.layers if isinstance(layer, layers.ReLU)}
    found |= {
        layer.activation.__name__
        for layer in model.layers
        # That of the pixels stays what it is.
        if getattr(layer, "activation", None) and layer.name != "threshold"
    }
    return found - {"linear"}


def test_every_cifar10_classifier_normalizes_its_input_and_takes_an_activation():
    for name, build in CLASSIFIERS.items():
        # wrn34-10 is as wrn22-5, but large; a threshold takes the pixels as they are.
        if name.startswith("cifar10") and name not in ("cifar10-wrn34-10", "cifar10-threshold"):
            model = build((32, 32, 3), 10, activation="gelu")
            assert isinstance(model.layers[1], layers.Normalization), name
            assert activations(model) == {"gelu"}, name


@pytest.mark.parametrize("policy", DTYPE_POLICIES)
def test_pixels_are_normalized_and_images_made_in_float32_whatever_the_policy(policy):
    with dtype_policy_scope(policy):
        classifier = cifar10_wrn10_1()
        reconstructor = wide_resnet_reconstructor((32, 32, 3), **SMALL)
    half = policy.removeprefix("mixed_")
    assert classifier.layers[2].compute_dtype == half
    assert reconstructor.layers[-2].compute_dtype == half
    # One part in 4096, which no half precision keeps around 0.75.
    pixels = np.full((1, 32, 32, 3), 0.75 + 1 / 4096, "float32")
    first = keras.Model(classifier.inputs[0], classifier.get_layer("normalization").output)
    by_hand = (pixels - np.float32(CIFAR10_PIXELS.mean)) / np.float32(CIFAR10_PIXELS.std)
    np.testing.assert_allclose(forward(first, pixels), by_hand, rtol=1e-6)
    for model, inputs in ((classifier, IMAGES), (reconstructor, np.eye(10, dtype="float32"))):
        outputs = forward(model, inputs)
        assert outputs.dtype == "float32"
        assert np.isfinite(outputs).all()


# Their activation.


@pytest.mark.parametrize(
    "name",
    [n for n in CLASSIFIERS if "mnist" in n] + ["digits", "cifar10-conv4", "cifar10-wrn10-1"],
)
def test_every_classifier_takes_a_smooth_activation_and_starts_from_the_same_weights(name):
    def made(**options):
        keras.utils.set_random_seed(0)
        return CLASSIFIERS[name](image_shape_of(name), 10, **options)

    default, relu, smooth = made(), made(activation="relu"), made(activation="silu")
    for a, b, c in zip(
        default.get_weights(), relu.get_weights(), smooth.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert activations(relu) == {"relu"} and activations(smooth) == {"silu"}
    images = np.random.default_rng(0).random((2, *smooth.input_shape[1:]), dtype="float32")
    np.testing.assert_array_equal(forward(default, images), forward(relu, images))
    assert np.abs(forward(smooth, images) - forward(relu, images)).max() > 1e-3


def test_an_activation_that_there_is_not_is_refused():
    for build in (cifar10_wrn10_1, mnist_classifier, digits_classifier):
        with pytest.raises(ValueError, match="nosuch"):
            build(activation="nosuch")


def test_every_classifier_of_the_registry_has_the_same_options():
    for name, build in CLASSIFIERS.items():
        parameters = inspect.signature(build).parameters
        assert list(parameters) == ["image_shape", "num_classes", "activation", "name"], name
        assert parameters["activation"].default == "relu", name


# Training.


def digits_networks(**options):
    keras.utils.set_random_seed(0)
    pixels = PixelStatistics((0.3,), (0.4,))
    return (
        wide_resnet((8, 8, 1), pixels=pixels, **SMALL, **options),
        wide_resnet_reconstructor((8, 8, 1), **SMALL),
    )


@pytest.fixture(scope="module")
def fitted(digits):
    """A trainer of two small wide networks after some epochs, and the losses of these."""
    (x, y), _ = digits
    trainer = AdversarialTrainer(digits_networks()[0], EFGSM(epsilon=0.05), digits_networks()[1])
    trainer.compile(keras.optimizers.Adam(5e-3))
    history = trainer.fit(x[:256], y[:256], batch_size=32, epochs=3, verbose=0)
    return trainer, history.history


def test_a_wide_classifier_and_its_reconstructor_learn_together(fitted, digits):
    trainer, history = fitted
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    (x, y), _ = digits
    found = forward(trainer.classifier, x[:256]).argmax(axis=1)
    assert np.mean(found == y[:256]) > 0.5


def test_running_statistics_move_once_a_step_and_not_while_examples_are_made(small):
    x, y = small
    classifier, _ = digits_networks()
    # So small a radius that the statistics of the examples are those of the images.
    trainer = AdversarialTrainer(classifier, EFGSM(epsilon=1e-6, sigma=0.0))
    trainer.compile(keras.optimizers.SGD(0.0))
    norm = next(n for n in classifier.layers if isinstance(n, layers.BatchNormalization))
    seen = forward(keras.Model(classifier.inputs[0], norm.input), x)
    trainer.fit(x, y, batch_size=len(x), verbose=0)
    mean, variance = (keras.ops.convert_to_numpy(v) for v in norm.non_trainable_weights)
    np.testing.assert_allclose(mean, 0.1 * seen.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * seen.var(axis=(0, 1, 2)), rtol=1e-4)


def test_yopo_cuts_a_wide_network_behind_its_first_convolution(small):
    x, y = small
    classifier, _ = digits_networks()
    before = classifier.get_weights()
    trainer = AdversarialTrainer(classifier, YOPO(epsilon=0.1, outer_steps=2, inner_steps=2))
    trainer.compile(keras.optimizers.SGD(0.1))
    kernels = [layer for layer in trainer.split().first.layers if hasattr(layer, "kernel")]
    assert [kernel.output.shape for kernel in kernels] == [(None, 8, 8, 16)]
    trainer.fit(x, y, batch_size=50, verbose=0)
    after = classifier.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))


# Saving and exporting.


def test_the_wide_networks_answer_alike_after_saving_and_loading(fitted, tmp_path):
    trainer, _ = fitted
    images = np.random.default_rng(0).random((4, 8, 8, 1), dtype="float32")
    for model, inputs in (
        (trainer.classifier, images),
        (trainer.reconstructor, np.eye(10, dtype="float32")),
    ):
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        # A trainer's batch norm is computed by another operation, the same up to rounding.
        np.testing.assert_allclose(
            forward(loaded, inputs), forward(model, inputs), rtol=1e-5, atol=1e-5
        )


@pytest.mark.tensorflow("SavedModel and LiteRT")
def test_exports_of_a_wide_network_carry_its_normalization_and_activation(tmp_path):
    import tensorflow as tf

    from keras_efgsm.export.litert_runner import open_interpreter

    model = cifar10_wrn10_1(activation="silu")
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    served = loaded.serve(tf.constant(IMAGES))
    np.testing.assert_allclose(served, forward(model), rtol=1e-4, atol=1e-5)
    model.export(tmp_path / "model.tflite", format="litert", verbose=False)
    interpreter = open_interpreter(tmp_path / "model.tflite")
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], IMAGES[:1])
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, forward(model)[:1], rtol=1e-3, atol=1e-4)


# Synchronized batch normalization.


@pytest.mark.tensorflow("synchronized batch normalization")
def test_on_one_replica_synchronized_batch_norm_changes_rounding_only():
    import tensorflow as tf

    found = []
    for synchronized in (False, True):
        classifier, _ = digits_networks()
        nested = keras.Sequential([keras.Input((8, 8, 1)), classifier])
        assert synchronize_batch_norm(nested, synchronized) == 7
        assert {
            layer.synchronized
            for layer in classifier.layers
            if isinstance(layer, layers.BatchNormalization)
        } == {synchronized}
        images = tf.constant(np.random.default_rng(0).random((4, 8, 8, 1), dtype="float32"))
        outputs = tf.function(lambda x, net=nested: net(x, training=True))(images)
        found.append([np.asarray(outputs), *classifier.get_weights()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.tensorflow("synchronized batch normalization")
def test_on_two_replicas_synchronized_batch_norm_takes_the_statistics_over_both(fresh):
    script = """
        import keras, numpy as np, tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
        from keras_efgsm.networks import synchronize_batch_norm

        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        for synchronized in (False, True):
            with strategy.scope():
                norm = keras.layers.BatchNormalization(momentum=0.0)
                model = keras.Sequential([keras.Input((1,)), norm])
                assert synchronize_batch_norm(model, synchronized) == 1

            @tf.function
            def step():
                def each():
                    number = tf.distribute.get_replica_context().replica_id_in_sync_group
                    model(tf.fill((4, 1), 2.0 * tf.cast(number, "float32")), training=True)

                strategy.run(each)

            step()
            print(synchronized, float(norm.moving_variance.numpy()[0]))
    """
    done = fresh.run(code=script)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["False", "0.0", "True", "1.0"]

"""The benchmark of dtype policies, and the same training in PyTorch beside it."""

import dataclasses
import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import benchmark
from benchmarks import policies
from benchmarks.alternation import Contender, alternate, ratio
from benchmarks.policies import efgsm_config
from benchmarks.short_training import ShortTraining, difference
from keras_efgsm.attacks import FGSM
from keras_efgsm.attacks.logits import batch_statistics_logits, evaluation_logits
from keras_efgsm.data import ImageData
from keras_efgsm.networks import (
    CIFAR10_PIXELS,
    CLASSIFIERS,
    preact_resnet18,
    precision,
    resnet18,
    strided_resnet,
    wide_resnet,
)
from keras_efgsm.networks.by_data_set import IMAGE_SHAPES
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.optimizers import L2SGD
from keras_efgsm.recipes.presets import PRESETS

SHAPE = (8, 8, 3)


def tiny(image_shape=SHAPE, num_classes=10, activation="relu"):
    return strided_resnet(
        image_shape,
        num_classes,
        (4, 8),
        1,
        activation=activation,
        pixels=CIFAR10_PIXELS,
        name="tiny",
    )


@pytest.fixture
def tiny_words(monkeypatch):
    """A command line about a tiny network."""
    monkeypatch.setitem(CLASSIFIERS, "tiny", tiny)
    monkeypatch.setitem(IMAGE_SHAPES, "cifar10", SHAPE)
    words = "--preset cifar10-cpu --classifier tiny --images 40 --batch-size 16 --rounds 2"
    return words.split()


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Gives the processor flags, and seconds for a step in each precision."""

    def make(flags, **seconds):
        (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {flags}\n")
        monkeypatch.setattr(precision, "_CPU_FLAGS", tmp_path / "cpuinfo")
        monkeypatch.setattr(precision, "accelerators", lambda: [])
        time_step = lambda network, _: seconds[network.layers[-2].compute_dtype]  # noqa: E731
        monkeypatch.setattr(precision, "_seconds_of_step", time_step)

    return make


def run(words, tmp_path):
    out = tmp_path / "figures" / "out.json"
    assert benchmark.main([*words, "--json", str(out)]) == 0
    return json.loads(out.read_text())


# Turns and ratios.


def test_contenders_train_in_turn_and_are_compared_turn_by_turn():
    order = []

    def contender(name, rates):
        rates = iter(rates)
        return Contender(name, lambda: order.append(name) or next(rates))

    contenders = [contender("a", [1.0, 10.0, 40.0, 30.0]), contender("b", [1.0, 5.0, 10.0, 10.0])]
    rates = alternate(contenders, range(3))
    # The first turn warms them up.
    assert order == ["a", "b"] * 4
    assert rates == {"a": [10.0, 40.0, 30.0], "b": [5.0, 10.0, 10.0]}
    assert ratio(rates, "a", "b") == ("a", "b", 3.0, 2.0, 4.0)
    assert ratio(rates, "b", "b") == ("b", "b", 1.0, 1.0, 1.0)


# The command.


@pytest.mark.parametrize(
    ("words", "about_policies"),
    [
        ("", False),
        ("--preset mnist-joint --methods all", False),
        ("--preset cifar10-cpu", True),
        ("--preset digits --rounds 2", True),
        ("--policies float32,auto", True),
        ("--preset mnist --torch", True),
        ("--accuracy", True),
        ("--preset nosuch", False),
    ],
)
def test_a_preset_of_mnist_is_compared_with_ordinary_training_unless_policies_are_named(
    words, about_policies
):
    assert benchmark.compares_policies(words.split()) == about_policies


def test_without_bfloat16_in_the_processor_auto_says_so_and_is_float32(
    tiny_words, processor, tmp_path, capsys, monkeypatch
):
    processor("avx2")
    trained, fitted = [], policies.Fitted
    monkeypatch.setattr(policies, "Fitted", lambda *a: trained.append(a) or fitted(*a))
    found = run([*tiny_words, "--policies", "float32,auto"], tmp_path)
    assert "does not multiply in bfloat16" in capsys.readouterr().out
    assert "does not multiply in bfloat16" in found["automatic"]
    assert found["dtype_policies"] == {"float32": "float32", "auto": "float32"}
    rates = found["images_per_second"]
    # One training stands for both.
    assert len(trained) == 1
    assert rates["eFGSM, auto (float32)"] == rates["eFGSM, float32"]
    (row,) = found["ratios"]
    assert (row["of"], row["over"]) == ("eFGSM, auto (float32)", "eFGSM, float32")
    assert row["median"] == row["lowest"] == row["highest"] == 1.0


def test_where_bfloat16_is_faster_both_are_trained_and_compared(
    tiny_words, processor, tmp_path, capsys
):
    processor("amx_bf16", float32=3.0, bfloat16=1.0)
    found = run([*tiny_words, "--policies", "float32,auto"], tmp_path)
    printed = capsys.readouterr().out
    assert "3.00 times the speed here (amx_bf16)" in printed
    assert found["dtype_policies"]["auto"] == "mixed_bfloat16"
    rates = found["images_per_second"]
    assert set(rates) == {"eFGSM, float32", "eFGSM, auto (mixed_bfloat16)"}
    assert all(len(values) == 2 and min(values) > 0 for values in rates.values())
    (row,) = found["ratios"]
    pairs = zip(rates["eFGSM, auto (mixed_bfloat16)"], rates["eFGSM, float32"], strict=True)
    ratios = [a / b for a, b in pairs]
    assert row["lowest"] == pytest.approx(min(ratios))
    assert row["highest"] == pytest.approx(max(ratios))
    # 4x4 stem to 4x4 pixels, 3x3 convolutions at 4x4 and 2x2 pixels, one shortcut, logits.
    by_hand = 16 * (16 * 3 * 4 + 2 * 9 * 4 * 4) + 4 * (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8) + 80
    assert found["multiply_adds"] == by_hand
    assert found["passes"] == pytest.approx(5 / 3)
    # Whole batches of 40 images.
    assert (found["images"], found["batch_size"], found["rounds"]) == (32, 16, 2)
    assert found["config"]["seed"] == 0 and found["config"]["method"] == "efgsm"
    assert {"tensorflow", "keras"} < set(found["versions"]) and found["hardware"]


@pytest.mark.parametrize(
    "words",
    [
        "--policies float32,half",
        "--policies auto,auto",
        "--policies=",
        "--images 0",
        "--images 15",
        "--rounds -1",
        "--method trades",
        "--dtype-policy auto",
        "--epsilon 8",
        "--torch --optimizer adam",
        "--accuracy --accuracy-seeds 1",
        "--accuracy --dataset digits --accuracy-images 1400",
    ],
)
def test_bad_input_is_refused_in_one_line(tiny_words, capsys, words):
    assert benchmark.main([*tiny_words, *words.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("benchmark: ") and captured.err.count("\n") == 1
    name, value = captured.err.rsplit("Received: ", 1)[1].split("=", 1)
    assert name.replace("_", "").isalpha() and value.strip()
    assert not captured.out


@pytest.mark.parametrize("words", ["--images 0", "--rounds 0", "--methods nosuch"])
def test_so_is_that_of_the_comparison_with_ordinary_training(capsys, words):
    assert benchmark.main(words.split()) == 2
    captured = capsys.readouterr()
    assert "Received: " in captured.err and captured.err.count("\n") == 1


def test_a_missing_torch_is_told_of_in_one_line_that_names_the_extra(
    tiny_words, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert benchmark.main([*tiny_words, "--torch"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'keras-efgsm[benchmark]'" in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["cifar10-cpu", "cifar10", "digits"])
def test_what_is_timed_is_efgsm_alone_at_the_sigma_of_the_preset(name):
    base = dataclasses.replace(PRESETS[name], cutout=2)
    options = {**base.method_options, "consistency_weight": 10.0}
    config = efgsm_config(dataclasses.replace(base, method_options=options))
    assert config.method == "efgsm" and config.cutout == 0
    assert METHODS["efgsm"].passes(config.method_options) == pytest.approx(5 / 3)
    assert config.method_options["sigma"] == base.method_options["sigma"]
    assert not config.overfitting_stop


# Accuracies.


def test_the_images_that_are_measured_are_not_trained_on():
    short = ShortTraining(images=200, epochs=1, held_out=50, seeds=2)
    train, held_out = short.read(PRESETS["digits"])
    assert len(train) == pytest.approx(200, abs=5) and len(held_out) == pytest.approx(50, abs=5)
    rows = [{image.tobytes() for image in part.images} for part in (train, held_out)]
    assert not rows[0] & rows[1]
    everything = ShortTraining(images=1387, epochs=1, held_out=50, seeds=2)
    assert sum(map(len, everything.read(PRESETS["digits"]))) == 1437


def figures(*pairs):
    return [{"natural_accuracy": n, "robust_accuracy": r} for n, r in pairs]


def test_a_policy_is_as_accurate_if_it_is_no_farther_than_the_seeds_among_themselves():
    base, other = figures((0.5, 0.30), (0.6, 0.32)), figures((0.48, 0.20), (0.49, 0.21))
    found = difference(base, other)
    assert found["natural_accuracy"]["of_means"] == pytest.approx(-0.065)
    assert found["natural_accuracy"]["of_seeds"] == pytest.approx(0.1)
    assert found["natural_accuracy"]["within"]
    assert found["robust_accuracy"]["of_means"] == pytest.approx(-0.105)
    assert found["robust_accuracy"]["of_seeds"] == pytest.approx(0.02)
    assert not found["robust_accuracy"]["within"]


def test_a_short_training_with_each_policy_tells_its_accuracies_by_seed(
    processor, tmp_path, capsys
):
    processor("amx_bf16", float32=3.0, bfloat16=1.0)
    words = ["--preset", "digits", "--images", "64", "--rounds", "1", "--accuracy"]
    words += ["--accuracy-images", "300", "--accuracy-held-out", "50", "--batch-size", "16"]
    found = run(words, tmp_path)
    accuracy = found["accuracy"]
    assert set(accuracy["runs"]) == {"float32", "mixed_bfloat16"}
    for runs in accuracy["runs"].values():
        assert [run["seed"] for run in runs] == [0, 1]
        assert all(0 <= run["robust_accuracy"] <= run["natural_accuracy"] <= 1 for run in runs)
        assert all(run["natural_accuracy"] > 0.5 for run in runs)
        assert runs[0] != {**runs[1], "seed": 0}
    expected = difference(*accuracy["runs"].values())
    assert accuracy["differences"] == {"mixed_bfloat16": expected}
    printed = capsys.readouterr().out
    assert "mixed_bfloat16, seed 1: natural" in printed and "within" in printed


# PyTorch.


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="an extra of the benchmark alone")


@pytest.fixture
def torch_training(torch):
    from benchmarks import torch_training

    return torch_training


def with_weights(network, seed=0):
    """The network with weights and running statistics that are no fresh ones."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shapes = [w.shape for w in layer.get_weights()]
            gamma, beta, mean, variance = (rng.uniform(0.5, 1.5, shape) for shape in shapes)
            layer.set_weights([gamma, beta - 1.0, mean - 1.0, variance])
    return network


NETWORKS = {
    "strided": tiny,
    "smooth": lambda: tiny(activation="silu"),
    "of odd size": lambda: strided_resnet((9, 7, 3), 4, (4, 8), 2),
    "wide": lambda: wide_resnet((8, 8, 3), 10, depth=10, width=1),
    "18 layers": lambda: preact_resnet18((8, 8, 1), 10),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_in_torch_has_the_logits_of_keras(torch_training, name):
    network = with_weights(NETWORKS[name]())
    images = np.random.default_rng(1).random((8, *network.input_shape[1:]), dtype="float32")
    assert np.abs(network(images)).max() > 0.1
    assert torch_training.check_same_logits(network, images) < torch_training.TOLERANCE


def test_a_network_that_torch_has_not_or_has_otherwise_is_refused(torch_training, monkeypatch):
    images = np.random.default_rng(1).random((8, *SHAPE), dtype="float32")
    with pytest.raises(ValueError, match="pre-activation residual networks alone.*Received"):
        torch_training.check_same_logits(resnet18(SHAPE), images)
    from benchmarks import torch_network

    edges = torch_network._edges
    # As PyTorch's users pad.
    monkeypatch.setattr(
        torch_network,
        "_edges",
        lambda layer, axis: (1, 1) if layer.kernel_size == (3, 3) else edges(layer, axis),
    )
    with pytest.raises(ValueError, match="must be those in Keras.*Received: .* differs by"):
        torch_training.check_same_logits(with_weights(tiny()), images)


@pytest.fixture
def new_training(torch_training):
    """Makes FGSM-RS in PyTorch of a copy of a network: `(training, data)`."""

    def make(network, bfloat16=False, **options):
        preset = PRESETS["cifar10-cpu"].with_method("fgsm-rs")
        options = {"batch_size": 8, "crop_padding": 0, "flip": False, **options}
        config = dataclasses.replace(preset, **options)
        pixels = np.random.default_rng(2).integers(0, 256, (16, *SHAPE), dtype="uint8")
        data = ImageData(pixels, np.arange(16) % 10, tuple("0123456789"))
        return torch_training.TorchTraining(network, config, data, bfloat16), data

    return make


@pytest.mark.parametrize("in_training_mode", [True, False])
def test_its_examples_and_updates_are_those_of_fgsm_rs_here(torch, new_training, in_training_mode):
    network = with_weights(tiny())
    options = {"learning_rate": 0.05, "weight_decay": 0.01, "epsilon": 0.1}
    training, data = new_training(network, attack_in_training_mode=in_training_mode, **options)
    attack = FGSM(epsilon=0.1, random_start=True)
    optimizer = L2SGD(0.05, momentum=0.9, l2=0.01)
    labels = data.labels[:8]
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for step in range(2):  # the second one has a momentum
        # Far from 0 and 1, where clips would hide a step.
        x = 0.25 + 0.5 * data.pixels(slice(8))
        start = x + np.random.default_rng(step).uniform(-0.1, 0.1, x.shape).astype("float32")
        logits_of = (batch_statistics_logits if in_training_mode else evaluation_logits)(network)
        expected = np.asarray(
            attack.ascend(logits_of, *map(ops.convert_to_tensor, (start, x, labels)), 1.0).images
        )
        start, x, y = (torch.from_numpy(np.array(a)) for a in (start, x, labels.astype("int64")))
        start, x = start.permute(0, 3, 1, 2), x.permute(0, 3, 1, 2)
        found = training.perturb(start, x, y)
        same = np.isclose(found.permute(0, 2, 3, 1).numpy(), expected, atol=1e-6)
        # The sign of a slope near 0 is a matter of rounding.
        assert same.mean() > 0.995
        training.update(torch.from_numpy(expected.copy()).permute(0, 3, 1, 2), y)
        with tf.GradientTape() as tape:
            loss = loss_of(labels, network(expected, training=True))
        weights = network.trainable_weights
        optimizer.apply(tape.gradient(loss, [w.value for w in weights]), weights)
        if not in_training_mode:
            # Torch keeps the unbiased variance, so that the next examples would differ.
            break
    ours = training.network
    kernels = [layer.kernel for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    pairs = [
        (ours.stem.weight.permute(2, 3, 1, 0), kernels[0]),
        (ours.blocks[-1].shortcut.weight.permute(2, 3, 1, 0), kernels[-1]),
        (ours.logits.weight.T, network.layers[-1].kernel),
        (ours.logits.bias, network.layers[-1].bias),
        (ours.norm.weight, network.layers[-4].gamma),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found.detach().numpy(), expected.numpy(), atol=1e-4)


def test_a_step_in_torch_is_as_many_passes_as_one_of_efgsm(torch, new_training):
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counted(TorchDispatchMode):
        operations = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            outputs = function(*args, **(kwargs or {}))
            count = flop_registry.get(function._overloadpacket, lambda *_, **__: 0)
            self.operations += count(*args, **(kwargs or {}), out_val=outputs)
            return outputs

    wide = strided_resnet(SHAPE, 10, (32, 32), 2)
    training, data = new_training(wide, bfloat16=True)
    x = training.views(torch.arange(8))
    with Counted() as forward:
        training.network(x)
    with Counted() as step:
        training.step(x, torch.from_numpy(data.labels[:8].astype("int64")))
    # An update leaves out the gradient of the images.
    assert step.operations / 3 / forward.operations == pytest.approx(5 / 3, abs=0.02)


@pytest.mark.parametrize("bfloat16", [True, False])
def test_its_passes_are_in_its_precision_with_channels_last(torch, new_training, bfloat16):
    training, _ = new_training(tiny(), bfloat16)
    seen = []
    training.network.blocks[0].register_forward_hook(lambda *call: seen.append(call[-1]))
    before = [p.detach().clone() for p in training.network.parameters()]
    assert training.round(2) > 0
    assert len(seen) == 4
    assert all(y.dtype == (torch.bfloat16 if bfloat16 else torch.float32) for y in seen)
    for tensor in (*seen, training.network.blocks[0].first.weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    after = list(training.network.parameters())
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in after)
    assert all((a != b).any() for a, b in zip(before, after, strict=True))


def test_its_start_lies_in_the_ball_and_its_examples_too(torch, new_training, monkeypatch):
    training, data = new_training(tiny(), epsilon=0.1, epsilon_factor=1.5)
    seen = {}
    perturb = training.perturb

    def watched(start, x, labels):
        seen["start"], seen["end"] = start.detach().clone(), perturb(start, x, labels)
        return seen["end"]

    monkeypatch.setattr(training, "perturb", watched)
    x = training.views(torch.arange(8))
    training.step(x, torch.from_numpy(data.labels[:8].astype("int64")))
    for images in seen.values():
        assert images.min() >= 0 and images.max() <= 1
        assert 0.12 < (images - x).abs().max() <= 0.15 + 1e-6
    assert (seen["end"] != seen["start"]).float().mean() > 0.5


def test_its_views_are_windows_of_padded_images_and_their_mirror_images(torch, new_training):
    plain, data = new_training(tiny())
    ids = torch.tensor([3, 1, 2, 5, 7, 0, 11, 4])
    found = plain.views(ids).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, data.pixels(ids.numpy()), atol=1e-7)
    random, _ = new_training(tiny(), crop_padding=2, flip=True)
    padded = np.pad(data.pixels(ids.numpy()), ((0, 0), (2, 2), (2, 2), (0, 0)))
    drawn = set()
    for _ in range(6):
        for view, image in zip(random.views(ids).permute(0, 2, 3, 1).numpy(), padded, strict=True):
            windows = {
                (row, column, way): image[row : row + 8, column : column + 8][:, ::way]
                for row in range(5)
                for column in range(5)
                for way in (1, -1)
            }
            drawn |= {key for key, window in windows.items() if np.allclose(view, window)}
    assert len(drawn) > 20
    assert {key[2] for key in drawn} == {1, -1}


def test_torch_takes_part_in_the_turns(torch, tiny_words, processor, tmp_path, capsys):
    processor("amx_bf16", float32=3.0, bfloat16=1.0)
    found = run([*tiny_words, "--torch"], tmp_path)
    assert found["logits_differ_by"] < 1e-4
    assert "logits in PyTorch differ by" in capsys.readouterr().out
    assert list(found["images_per_second"]) == [
        "eFGSM, float32",
        "eFGSM, auto (mixed_bfloat16)",
        "FGSM-RS, auto (mixed_bfloat16)",
        "PyTorch FGSM-RS, bfloat16 autocast",
        "PyTorch FGSM-RS, float32",
    ]
    assert [(row["of"], row["over"]) for row in found["ratios"]] == [
        ("eFGSM, auto (mixed_bfloat16)", "eFGSM, float32"),
        ("eFGSM, auto (mixed_bfloat16)", "PyTorch FGSM-RS, bfloat16 autocast"),
        ("FGSM-RS, auto (mixed_bfloat16)", "PyTorch FGSM-RS, bfloat16 autocast"),
    ]
    assert found["versions"]["torch"].startswith("2.")

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import PGD
from keras_efgsm.cli import main
from keras_efgsm.data import load_digits
from keras_efgsm.evaluation import Transfer, evaluate_robustness, load_classifier, make_attacks
from keras_efgsm.export import write_saved_model, write_tflite

EPSILON = 0.1


def classifier(classes=10, activation=None, shape=(8, 8, 1), seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation=activation),
        ]
    )


def fitted(seed):
    model, train = classifier(seed=seed), load_digits("train")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(train.pixels(), train.labels, batch_size=128, epochs=3, verbose=0)
    return model


def quantised(model, images, path, kind=tf.int8):
    """Full integer quantisation, input and output included."""

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 1), tf.float32)])
    def logits(image):
        return model(image, training=False)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([logits.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = kind
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a classifier of digits as `twin.keras`, `twin.tflite` and SavedModel `1`."""
    folder = tmp_path_factory.mktemp("models")
    model = fitted(seed=0)
    model.save(folder / "twin.keras")
    write_tflite(model, folder / "twin.tflite")
    write_saved_model(model, folder / "1", [str(i) for i in range(10)])
    fitted(seed=1).save(folder / "stranger.keras")
    return folder


@pytest.fixture(scope="module")
def data():
    test = load_digits("test")
    return test.pixels()[:60], test.labels[:60]


def evaluate(model, data, attacks, **options):
    return evaluate_robustness(model, data, attacks, **{"progress": False, **options})


def test_a_tflite_file_answers_batches_of_any_size_like_its_twin(place, data):
    x, _ = data
    twin, lite = load_classifier(place / "twin.keras"), load_classifier(place / "twin.tflite")
    assert (lite.image_shape, lite.num_classes) == ((8, 8, 1), 10)
    assert twin.differentiable and not lite.differentiable
    assert lite.description == "twin.tflite"
    in_graph = tf.function(lite.logits_fn)
    for images in (x, x[:1], x[:7], x):
        expected = twin.logits_fn(tf.constant(images))
        np.testing.assert_allclose(lite.logits_fn(tf.constant(images)), expected, atol=1e-4)
        traced = in_graph(tf.constant(images))
        np.testing.assert_allclose(traced, expected, atol=1e-4)
    concrete = in_graph.get_concrete_function(tf.TensorSpec((5, 8, 8, 1)))
    assert concrete.structured_outputs.shape == (5, 10)


def test_black_box_attacks_find_on_a_tflite_file_what_they_find_on_its_twin(place, data):
    attacks = make_attacks("square,random-sampling", EPSILON, queries=150)
    twin, lite = (evaluate(place / f"twin.{kind}", data, attacks) for kind in ("keras", "tflite"))
    assert lite.correct.tolist() == twin.correct.tolist()
    assert lite.attacks[0].num_turned > 10
    for one, other in zip(lite.attacks, twin.attacks, strict=True):
        # Logits differ in the last digits, so a draw may go the other way once in a while.
        assert (one.robust != other.robust).sum() <= 2


def test_a_transfer_from_the_twin_finds_what_the_attack_on_the_twin_finds(place, data):
    attack = PGD(epsilon=EPSILON, steps=5, loss="cw")
    on_twin = evaluate(place / "twin.keras", data, attack)
    assert 0.0 < on_twin.worst_case_accuracy < 0.7
    for source in ("twin.keras", "1"):
        transfer = Transfer(attack, place / source)
        on_lite = evaluate(place / "twin.tflite", data, transfer)
        assert (on_lite.robust != on_twin.robust).sum() <= 1
    (result,) = on_lite.attacks
    assert result.name == f"transfer pgd-cw from {place.name}/1"
    assert (result.steps, result.step_size, result.random_start) == (5, attack.step_size, True)


def test_images_of_a_stranger_are_made_on_its_gradients_and_turn_fewer(place, data):
    attack = PGD(epsilon=EPSILON, steps=5, random_start=False)
    target = load_classifier(place / "twin.keras")
    transfer = Transfer(attack, place / "stranger.keras")
    x, y = data
    made = transfer(target.logits_fn, x, y)
    stranger = load_classifier(place / "stranger.keras")
    np.testing.assert_array_equal(made, attack(stranger.logits_fn, x, y))
    own, transferred = evaluate(target, data, [attack, transfer]).attacks
    assert own.num_turned > transferred.num_turned > 0


def test_of_several_rounds_the_evaluated_model_decides_which_images_go_on(place, data):
    (attack,) = make_attacks("apgd-t", EPSILON, steps=3, targets=3)
    transfer = Transfer(attack, place / "twin.keras")
    assert transfer.rounds == 3 and transfer.name == "transfer apgd-t from twin.keras"
    one = evaluate(place / "twin.keras", data, attack, seed=5)
    other = evaluate(place / "twin.tflite", data, transfer, seed=5)
    assert (one.robust != other.robust).sum() <= 1
    assert other.attacks[0].budget == "3 steps x 3 targets"


@pytest.mark.parametrize("kind", [tf.int8, tf.uint8], ids=["int8", "uint8"])
def test_a_file_of_integers_is_evaluated_in_the_scale_of_its_tensors(place, data, tmp_path, kind):
    x, _ = data
    model = keras.models.load_model(place / "twin.keras")
    lite = load_classifier(quantised(model, x, tmp_path / "small.tflite", kind))
    logits, expected = lite.logits_fn(tf.constant(x)).numpy(), model(x).numpy()
    # 8 bits for the range of the logits, and some of the error of the layers before.
    assert 0.0 < np.abs(logits - expected).max() < 0.05 * np.ptp(expected)
    report = evaluate(lite, data, make_attacks("square", EPSILON, queries=20))
    assert report.natural_accuracy > 0.8 and report.attacks[0].num_turned > 0


def test_a_file_of_a_fixed_batch_is_run_batch_after_batch(place, data, tmp_path):
    x, _ = data
    model = keras.models.load_model(place / "twin.keras")
    spec = tf.TensorSpec((4, 8, 8, 1), tf.float32)
    logits = tf.function(lambda image: model(image), input_signature=[spec])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([logits.get_concrete_function()])
    (tmp_path / "fixed.tflite").write_bytes(converter.convert())
    lite = load_classifier(tmp_path / "fixed.tflite")
    np.testing.assert_allclose(lite.logits_fn(tf.constant(x[:10])), model(x[:10]), atol=1e-4)


def test_the_state_knows_a_tflite_file_by_its_content(place, data, tmp_path):
    state, attacks = tmp_path / "state.npz", make_attacks("square", EPSILON, queries=5)
    moved = tmp_path / "moved.tflite"
    moved.write_bytes((place / "twin.tflite").read_bytes())
    first = evaluate(place / "twin.tflite", data, attacks, state=state)
    assert evaluate(moved, data, attacks, state=state).robust.tolist() == first.robust.tolist()
    with pytest.raises(ValueError, match="differ in: model"):
        evaluate(place / "1", data, attacks, state=state)


# What is refused.


def test_gradient_attacks_on_a_tflite_file_are_refused_with_what_works(place, data):
    with pytest.raises(
        ValueError, match=r"no gradients.*apgd-ce, apgd-t.*black-box.*--transfer-from.*Received: "
    ):
        evaluate(place / "twin.tflite", data, make_attacks("adp", EPSILON))


def test_a_source_that_does_not_fit_is_refused(place, data, tmp_path):
    attack = PGD(epsilon=EPSILON)
    with pytest.raises(ValueError, match=r"`source` must be.*Received: source='twin.tflite'"):
        Transfer(attack, place / "twin.tflite")
    with pytest.raises(ValueError, match=r"`attack` must be.*Received: attack='pgd'"):
        Transfer("pgd", place / "twin.keras")
    for other in (classifier(classes=9), classifier(shape=(9, 8, 1))):
        with pytest.raises(ValueError, match=r"The source of a transfer must take.*Received: "):
            evaluate(place / "twin.keras", data, Transfer(attack, other))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"nothing"), "cannot be loaded"),
        (lambda path: write_tflite(classifier(activation="softmax"), path), "must return logits"),
        (
            lambda path: path.write_bytes(
                tf.lite.TFLiteConverter.from_keras_model(
                    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
                ).convert()
            ),
            "one batch of images",
        ),
    ],
    ids=["damaged", "softmax", "vectors"],
)
def test_what_is_no_classifier_of_images_is_refused(tmp_path, make, message):
    make(tmp_path / "model.tflite")
    with pytest.raises(ValueError, match=f"{message}.*Received: path="):
        load_classifier(tmp_path / "model.tflite")


def test_a_file_of_variables_that_nothing_fills_is_refused(tmp_path):
    """The converter makes one where a model of Keras 3 is handed over as what has the state."""
    model = classifier()
    call = tf.function(lambda image: model(image)).get_concrete_function(
        tf.TensorSpec((None, 8, 8, 1), tf.float32)
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([call], model)
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    with pytest.raises(ValueError, match="must hold its weights as constants.*Received: path="):
        load_classifier(tmp_path / "model.tflite")


# The command line.

SHORT = ["--dataset", "digits", "--epsilon", "0.1", "--num-images", "40"]


def command(path, *words):
    return main([str(word) for word in ("evaluate", path, *SHORT, *words)])


def figures_of(path):
    return json.loads(path.read_text())


def test_the_default_is_the_cascade_of_adp(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    target = tmp_path / "report.json"
    quick = ["--steps", "3", "--targets", "2"]
    assert command(place / "twin.keras", "--json", target, *quick) == 0
    figures = figures_of(target)
    assert figures["cascade"] is True
    ce, targeted = figures["attacks"]
    assert (ce["name"], ce["steps"]) == ("apgd-ce", 3)
    assert (targeted["name"], targeted["steps"], targeted["rounds"]) == ("apgd-t", 3, 2)
    assert targeted["num_attacked"] == ce["num_attacked"] - ce["num_turned"]
    assert figures["worst_case_accuracy"] == targeted["robust_accuracy"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    printed = " ".join(capsys.readouterr().out.split())
    assert "3 steps x 2 targets" in printed and "withstood those above" in printed


def test_listed_attacks_each_see_all_images_unless_a_cascade_is_asked_for(place, tmp_path):
    target, words = tmp_path / "report.json", ["--attacks", "pgd-ce,pgd-cw", "--steps", "2"]
    assert command(place / "twin.keras", "--json", target, *words) == 0
    figures = figures_of(target)
    assert figures["cascade"] is False
    assert len({attack["num_attacked"] for attack in figures["attacks"]}) == 1
    assert [a["step_size"] for a in figures["attacks"]] == [0.1 / 30] * 2
    assert command(place / "twin.keras", "--json", target, "--losses", "ce,cw", "--steps", "2") == 0
    same = figures_of(target)
    for entry in (figures, same, *figures["attacks"], *same["attacks"]):
        entry.pop("seconds")
    assert same == figures
    assert command(place / "twin.keras", "--json", target, *words, "--cascade") == 0
    assert figures_of(target)["cascade"] is True


def test_a_twin_takes_over_the_gradient_attacks_of_a_tflite_file(place, tmp_path):
    target = tmp_path / "report.json"
    words = ["--attacks", "pgd-cw,square", "--steps", "2", "--queries", "5", "--json", target]
    assert command(place / "twin.tflite", "--transfer-from", place / "twin.keras", *words) == 0
    names = [attack["name"] for attack in figures_of(target)["attacks"]]
    assert names == ["square", "transfer pgd-cw from twin.keras"]
    assert command(place / "twin.keras", "--transfer-from", place / "stranger.keras", *words) == 0
    names = [attack["name"] for attack in figures_of(target)["attacks"]]
    assert names == ["pgd-cw", "square", "transfer pgd-cw from stranger.keras"]


def test_an_interrupted_command_goes_on_when_called_again(place, tmp_path, monkeypatch, capsys):
    from keras_efgsm.evaluation import attacking

    words = ["--losses", "ce", "--steps", "2", "--batch-size", "10"]
    assert command(place / "twin.keras", "--json", tmp_path / "whole.json", *words) == 0
    whole, target, made = figures_of(tmp_path / "whole.json"), tmp_path / "report.json", []
    native = attacking.ENGINES["native"]

    def interrupting(attack, logits_fn, seed, reads):
        run = native(attack, logits_fn, seed, reads)

        def counted(*arguments):
            made.append(1)
            if len(made) == 3:
                raise KeyboardInterrupt
            return run(*arguments)

        return counted

    monkeypatch.setitem(attacking.ENGINES, "native", interrupting)
    capsys.readouterr()
    assert command(place / "twin.keras", "--json", target, *words) == 130
    state = tmp_path / "report.partial.npz"
    assert state.exists() and not target.exists()
    assert f"continues from {state}" in capsys.readouterr().err
    # Under other options it is refused, and stays.
    before = state.read_bytes()
    assert command(place / "twin.keras", "--json", target, *words, "--seed", "1") == 2
    assert "differ in: seed" in capsys.readouterr().err
    assert state.read_bytes() == before and not target.exists()
    assert command(place / "twin.keras", "--json", target, *words) == 0
    assert not state.exists() and len(made) == 5
    continued = figures_of(target)
    for entry in (whole, continued, *whole["attacks"], *continued["attacks"]):
        entry.pop("seconds")
    assert continued == whole


def softmax_model(folder):
    classifier(activation="softmax").save(folder / "model.keras")
    return [folder / "model.keras", *SHORT]


def another_shape(folder):
    classifier(shape=(28, 28, 1)).save(folder / "model.keras")
    return [folder / "model.keras", *SHORT]


def nothing_right(folder):
    # Class 11 wins on every image; the data know classes 0 to 9.
    model = classifier(classes=12)
    model.layers[-1].bias.assign(np.eye(12, dtype="float32")[11] * 1e6)
    model.save(folder / "model.keras")
    return [folder / "model.keras", *SHORT]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (softmax_model, "must return logits"),
        (another_shape, "takes images of shape (28, 28, 1)"),
        (nothing_right, "there is nothing to attack"),
        (["twin.keras", *SHORT, "--attacks", "pdg-ce"], "apgd-t, fab-t, pgd-ce"),
        (["twin.keras", *SHORT, "--attacks", "adp", "--losses", "ce"], "not both"),
        (["twin.keras", *SHORT, "--losses", "l2"], "`loss` must be one of"),
        (["twin.keras", *SHORT, "--step-size", "0.1"], "`step_size` is an option of pgd-ce"),
        (["twin.keras", *SHORT, "--epsilon", "0"], "`epsilon` must be"),
        (["twin.keras", *SHORT, "--steps", "0"], "`steps` must be"),
        (["twin.keras", *SHORT, "--engine", "cleverhans", "--attacks", "adp"], "runs `PGD` only"),
        (["twin.keras", *SHORT, "--transfer-from", "nothing"], "There is no model here"),
        (["twin.tflite", *SHORT], "has no gradients"),
        (["twin.tflite", *SHORT, "--transfer-from", "twin.tflite"], "`source` must be"),
    ],
)
def test_bad_input_is_one_line_with_status_2_and_overwrites_nothing(
    place, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(place)
    target = tmp_path / "report.json"
    target.write_text("earlier figures")
    words = words(tmp_path) if callable(words) else words
    capsys.readouterr()
    assert main([str(word) for word in ("evaluate", *words, "--json", target)]) == 2
    error = capsys.readouterr().err
    assert message in error and "Received: " in error and error.count("\n") == 1
    assert target.read_text() == "earlier figures"
    assert not list(tmp_path.glob("*.npz"))


def test_figures_that_could_not_be_written_are_refused_before_the_work(place, tmp_path, capsys):
    target = tmp_path / "missing" / "report.json"
    assert command(place / "twin.keras", "--json", target) == 2
    assert "must be a file in a folder that exists" in capsys.readouterr().err

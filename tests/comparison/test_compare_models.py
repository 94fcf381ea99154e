import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops
from rich.console import Console

from keras_efgsm.comparison import compare_models
from keras_efgsm.evaluation import EvaluatedModel, StraightThrough, load_classifier
from keras_efgsm.evaluation import verdict as verdict_module
from keras_efgsm.records import ComparisonRecord, RecordError
from support.channels import EPSILON, LABELS, PIXELS, Raise, channel_classifier


class BlindRaise(Raise):
    """The same without gradients."""

    kind = "blind-raise"
    needs_gradient = False

    @property
    def name(self):
        return f"blind-{super().name}"


ATTACKS = [Raise(epsilon=EPSILON, channel=1), BlindRaise(epsilon=EPSILON, channel=2)]
DATA = (PIXELS, LABELS)
NAMES = ("channels", "biased", "file", "quantised")


@pytest.fixture(scope="module", autouse=True)
def without_graphs():
    """What evaluations find is the same, and a trace takes far longer."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("native_engine", "verdict"):
            name = f"keras_efgsm.evaluation.{module}.compiled_once"
            patch.setattr(name, lambda function, reads=(): function)
        yield


def biased_classifier():
    """The first channel counts as if it were brighter by a half."""
    model = keras.Sequential(
        [keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(3)], name="biased"
    )
    model.set_weights([np.tile(np.eye(3, dtype="float32"), (4, 1)), np.array([2.0, 0.0, 0.0])])
    return model


def file_of(model, description="a file"):
    """The classifier as a file without gradients answers."""
    model = load_classifier(model)
    return EvaluatedModel(
        lambda x: ops.stop_gradient(model.logits_fn(x)),
        model.image_shape,
        model.num_classes,
        description,
        differentiable=False,
    )


def compare(models, data=DATA, attacks=ATTACKS, **options):
    return compare_models(models, data, attacks, **{"progress": False, **options})


def text_of(table):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table)
    return " ".join(captured.get().split())


@pytest.fixture(scope="module")
def models():
    channels = channel_classifier()
    quantised = StraightThrough(file_of(channels), channels)
    return [channels, biased_classifier(), file_of(channels), quantised]


@pytest.fixture(scope="module")
def comparison(models):
    return compare(models, names=NAMES)


def by_name(comparison):
    return {model.name: model for model in comparison.record.models}


def test_models_are_ranked_by_their_worst_case_among_those_attacked_alike(comparison):
    found = [(m.access, m.rank, m.name, m.worst_case_accuracy) for m in comparison.record.models]
    # By hand, see `support.channels`: of the channels' images 1 and 3 withstand both attacks; of
    # the biased one's the first three are right, and no channel catches up with the bias.
    assert found == [
        ("white-box", 1, "biased", 3 / 6),
        ("white-box", 2, "channels", 2 / 6),
        ("twin", 1, "quantised", 2 / 6),
        ("black-box", 1, "file", 4 / 6),
    ]
    assert [m.natural_accuracy for m in comparison.record.models] == [3 / 6, *[5 / 6] * 3]
    # Without a seed's draw: Wilson's interval of 3 of 6.
    low, high = comparison.record.models[0].worst_case_interval
    assert (low, high) == pytest.approx((0.1876, 0.8124), abs=1e-4)


def test_each_model_says_what_each_attack_left_and_which_ones_it_did_not_see(comparison):
    found = {name: model.accuracies for name, model in by_name(comparison).items()}
    assert found == {
        "biased": (3 / 6, 3 / 6),
        "channels": (3 / 6, 4 / 6),
        "quantised": (3 / 6, 4 / 6),
        "file": (None, 4 / 6),
    }
    ways = [attack.name for attack in by_name(comparison)["quantised"].evaluation.attacks]
    assert len(ways) == 4 and "straight-through" in ways[0] and ways[1].startswith("transfer")
    assert by_name(comparison)["channels"].parameters == 36
    assert by_name(comparison)["file"].parameters is None
    said = text_of(comparison.table())
    assert "not run" in said
    assert "file: no gradients and no twin, so only blind-raise-2 was run" in said
    assert "under raise-1 the accuracy can only be lower" in said
    assert "Ranks are among models attacked alike" in said


def test_an_attack_in_two_ways_counts_by_what_withstood_both(models):
    """The twin answers as the biased model, which an image that it makes cannot turn."""

    class Misled(Raise):
        """Goes by the logits it is given: of the twin it raises a channel that does nothing."""

        kind = "misled"

        def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
            is_biased = float(ops.max(logits_fn(ops.zeros_like(x)))) > 1.0
            channel = 1 if is_biased else 2
            attack = Raise(epsilon=self.epsilon, channel=channel)
            return attack.perturb(logits_fn, x, labels, noise)

    model = StraightThrough(file_of(models[0]), models[1])
    attacks = [Misled(epsilon=EPSILON, channel=0)]
    # 2 is turned straight-through, 0 and 4 by what is transferred; 5 is wrong.
    (first, _) = compare([model, models[1]], attacks=attacks, names="ab").record.models[::-1]
    assert first.access == "twin" and first.accuracies == (2 / 6,)
    each = [attack.robust_accuracy for attack in first.evaluation.attacks]
    assert each == [4 / 6, 3 / 6] and first.worst_case_accuracy == 2 / 6


def test_attacks_that_need_no_gradients_make_all_models_alike(models):
    found = compare(models, attacks=ATTACKS[1:], names=NAMES)
    assert found.record.accesses == ("black-box",)
    assert [(m.rank, m.name) for m in found.record.models] == [
        (1, "channels"),
        (1, "file"),
        (1, "quantised"),
        (4, "biased"),
    ]
    assert all(model.saw_all for model in found.record.models)
    assert "saw all attacks, none of which needs gradients" in text_of(found.table())


def test_in_a_cascade_an_accuracy_is_that_of_all_so_far(models):
    found = by_name(compare(models[:2], cascade=True, names=NAMES[:2]))
    assert found["channels"].accuracies == (3 / 6, 2 / 6)


def test_a_model_in_doubt_has_no_rank(models):
    why = "Its test images have changed."
    found = compare(models[:2], names=NAMES[:2], doubts=["", why])
    assert [(m.rank, m.name) for m in found.record.models] == [(1, "channels"), (None, "biased")]
    assert f"WARNING: biased has no rank. {why}" in text_of(found.table())


def test_a_model_that_draws_at_random_has_no_rank_without_eot(models):
    logits_fn = load_classifier(models[0]).logits_fn
    drawn = EvaluatedModel(
        lambda x: logits_fn(x) + keras.random.normal((3,), stddev=1e-3),
        (2, 2, 3),
        3,
        "random",
    )
    first, second = compare([drawn, models[1]]).record.models
    assert (first.rank, second.rank, second.name) == (1, None, "random")
    found = compare([drawn, models[1]], eot=3).record
    assert found.eot == 3 and [model.rank for model in found.models] == [1, 2]


# What is refused.


def wrong_classifier(shape=(2, 2, 3), classes=3):
    return keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes)], name="other"
    )


def blind_classifier():
    model = wrong_classifier()
    model.set_weights([np.zeros((12, 3)), np.array([0.0, 0.0, -9.0])])
    return model


@pytest.mark.parametrize(
    ("more", "options", "message"),
    [
        ([], {}, "two models or more"),
        ([wrong_classifier((4, 4, 3))], {}, "same shape .* 'other': \\(4, 4, 3\\)"),
        ([wrong_classifier(classes=4)], {}, "same number of classes"),
        ([biased_classifier()], {"names": ["a"]}, "`names` must be 2 different names"),
        ([biased_classifier()], {"names": ["a", "a"]}, "`names` must be 2 different names"),
        ([biased_classifier()], {"data": PIXELS}, "an `ImageData` or a pair"),
        ([biased_classifier()], {"data": (PIXELS[:, :1], LABELS)}, "`--image-size 2 2"),
        ([biased_classifier()], {"attacks": []}, "one or more attacks"),
        ([biased_classifier()], {"attacks": [*ATTACKS, *ATTACKS]}, "different names"),
        ([biased_classifier()], {"eot": 0}, "Received: eot=0"),
        ([biased_classifier()], {"seed": -1}, "Received: seed=-1"),
        (["no/such/model.keras"], {}, "There is no model here"),
        ([file_of(biased_classifier())], {"attacks": ATTACKS[:1]}, "a file has no gradients"),
        # Every image is of the class that it never answers.
        ([blind_classifier()], {"data": (PIXELS[4:], LABELS[4:])}, "correct images=0 of 2"),
    ],
)
def test_bad_input_is_refused_before_the_first_attack(models, more, options, message, monkeypatch):
    def attacked(*args, **options):
        raise AssertionError("a model was attacked")

    monkeypatch.setattr("keras_efgsm.comparison.comparing.evaluate_robustness", attacked)
    data = options.pop("data", DATA)
    # The first model is right on the data of each case.
    channels = keras.models.clone_model(models[0])
    channels.set_weights(models[0].get_weights())
    error = FileNotFoundError if "no/such" in str(more) else ValueError
    with pytest.raises(error, match=message):
        compare([channels, *more], data, **options)


def test_a_model_may_be_given_once(models):
    with pytest.raises(ValueError, match="Each model may be given once"):
        compare([models[0], models[1], models[0]])


# Interrupted, and called again.


class Stopping:
    """Stops the judge of a model at its n-th batch, and counts the batches."""

    def __init__(self, monkeypatch, at):
        self.at, self.count = at, 0
        compile_judge = verdict_module.compile_judge

        def compiled(model, *args):
            judge = compile_judge(model, *args)

            def counted(*images):
                self.count += 1
                if self.count == self.at:
                    raise KeyboardInterrupt
                return judge(*images)

            return counted

        # Wherever an evaluation looks for it.
        for module in ("robustness", "attacking"):
            name = f"keras_efgsm.evaluation.{module}"
            if hasattr(__import__(name, fromlist=["compile_judge"]), "compile_judge"):
                monkeypatch.setattr(f"{name}.compile_judge", compiled)
                return


def without_times(record):
    models = []
    for model in record.models:
        attacks = tuple(replace(attack, seconds=0.0) for attack in model.evaluation.attacks)
        models.append(
            replace(model, evaluation=replace(model.evaluation, attacks=attacks, seconds=0.0))
        )
    return replace(record, models=tuple(models))


def test_what_was_interrupted_goes_on_and_finished_models_are_not_attacked_again(
    models, comparison, monkeypatch, tmp_path
):
    state = tmp_path / "c.partial.json"
    # Clean, then a batch for each attack: the second model ends at its second attack.
    stopping = Stopping(monkeypatch, at=6)
    with pytest.raises(KeyboardInterrupt):
        compare(models, names=NAMES, state=state)
    assert stopping.count == 6
    kept = json.loads(state.read_text())
    assert [model["name"] for model in kept["models"]] == ["channels"]
    assert len(list(tmp_path.iterdir())) == 2  # and the evaluation that was at work

    rest = Stopping(monkeypatch, at=None)
    # Another name does not make it another model.
    found = compare(models, names=["renamed", *NAMES[1:]], state=state)
    # The second attack of the second model; clean and one of the file; clean and four of the twin.
    assert rest.count == 1 + 2 + 5
    names = [model.name for model in comparison.record.models]
    again = tuple(
        replace(model, name=name)
        for model, name in zip(without_times(found.record).models, names, strict=True)
    )
    assert again == without_times(comparison.record).models
    assert len(list(tmp_path.iterdir())) == 1
    found.write_json(tmp_path / "c.json")
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]
    assert ComparisonRecord.read(tmp_path / "c.json") == found.record


def test_results_of_another_comparison_and_damaged_ones_are_refused_and_stay(models, tmp_path):
    state = tmp_path / "c.partial.json"
    compare(models[:2], state=state)
    whole = state.read_bytes()
    with pytest.raises(ValueError, match="They differ in: seed. Received: state="):
        compare(models[:2], state=state, seed=1)
    with pytest.raises(ValueError, match="They differ in: data"):
        compare(models[:2], (PIXELS[:5], LABELS[:5]), state=state)
    assert state.read_bytes() == whole
    state.write_bytes(whole[:-9])
    with pytest.raises(ValueError, match="must be readable; remove them to start"):
        compare(models[:2], state=state)


# Its file.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["models"].reverse(), "in the order of their ranks"),
        (lambda c: c["models"][1].update(rank=1), "in the order of their ranks"),
        (lambda c: c["models"][1].update(name="biased"), "different names"),
        (lambda c: c["models"][1].update(access="whatever"), "an access out of"),
        (lambda c: c["models"][0].update(accuracies=[None, 0.5]), "accuracy of each attack"),
        (lambda c: c["models"][0].update(worst_case_interval=[0.4, 0.6]), "intervals of its acc"),
        (lambda c: c["models"][0]["evaluation"].update(images="x"), "measured on its images"),
        (lambda c: c["models"][0].update(access="twin"), "a twin where the access says so"),
        (lambda c: c.update(models=c["models"][:1]), "two models or more"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(comparison, change, message, tmp_path):
    content = json.loads(comparison.record.encode())
    change(content)
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(RecordError, match=message):
        ComparisonRecord.read(tmp_path / "c.json")

import json

import numpy as np
import pytest
from rich.console import Console

from keras_efgsm.attacks import APGD, FGSM, PGD, Square, TargetedAPGD, TargetedFAB
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import Towards, Transfer, evaluate_robustness, evaluate_targeted
from keras_efgsm.evaluation.towards import targeted
from keras_efgsm.records import TargetedRecord
from keras_efgsm.records.intervals import wilson_interval
from support.channels import LABELS, PIXELS, channel_classifier

pytestmark = pytest.mark.usefixtures("uncompiled")

NAMES = ("cat", "dog", "1")
# An image is taken for class t at epsilon if the channel t, raised, passes every other, lowered: if
# the brightest is less than 2 epsilon ahead. Towards 2, by how much: 0.2, 0.8, 0.1, 0.2 for the
# images of classes 0 and 1.
EPSILON = 0.11
REACHED = [True, False, True, True]


def evaluate(attacks, target, **options):
    options = {"progress": False, **options}
    return evaluate_targeted(channel_classifier(), (PIXELS, LABELS), attacks, target, **options)


@pytest.mark.parametrize(
    "attack",
    [
        FGSM(epsilon=EPSILON),
        PGD(epsilon=EPSILON, steps=5, step_size=0.05, random_start=False, loss="cw"),
        APGD(epsilon=EPSILON, steps=5),
        TargetedAPGD(epsilon=EPSILON, steps=5),
        TargetedFAB(epsilon=EPSILON, steps=5),
    ],
    ids=lambda attack: attack.name,
)
def test_every_attack_reaches_the_images_that_the_closed_form_gives(attack):
    report = evaluate(attack, 2)
    assert report.reached.tolist() == REACHED
    assert report.success_rate == 3 / 4 and report.interval == wilson_interval(3, 4)


def test_a_search_without_gradients_goes_for_the_target_as_well():
    attack = Square(epsilon=0.15, queries=15)
    report = evaluate(attack, 2)
    assert report.attacks[0].queries == 15
    assert report.reached.any() and not report.reached[1]


def test_it_does_not_stop_at_another_class():
    # The first step from here leads to the third channel, where an untargeted attack ends.
    data = (np.full((1, 2, 2, 3), (0.6, 0.3, 0.58), "float32"), np.array([0]))
    attack = APGD(epsilon=0.2, steps=20, loss="cw", random_start=False)
    options = {"progress": False}
    report = evaluate_robustness(channel_classifier(), data, attack, **options)
    assert report.classes.tolist() == [2]
    assert evaluate_targeted(channel_classifier(), data, attack, 1, **options).success_rate == 1.0


def test_images_of_the_target_class_are_left_out_and_those_taken_for_it_count(tmp_path):
    state = tmp_path / "targeted.partial.npz"
    options = {"keep_adversarial": True, "state": state}
    # Images 3, 4 and 5 are of other classes than 0; the last is taken for it clean.
    report = evaluate(FGSM(epsilon=0.06), 0, **options)
    assert report.withstood_clean.tolist() == [True, True, False]
    assert report.reached.tolist() == [True, False, True]
    assert report.attacks[0].num_attacked == 2
    assert report.adversarial.index.tolist() == [3]
    assert report.adversarial.label.tolist() == report.adversarial.predicted.tolist() == [0]
    with pytest.raises(ValueError, match="They differ in: data"):
        evaluate(FGSM(epsilon=0.06), 1, **options)
    report.write_json(tmp_path / "targeted.json")
    assert not state.exists()
    record = TargetedRecord.read(tmp_path / "targeted.json")
    assert record.to_dict() == json.loads((tmp_path / "targeted.json").read_text())
    assert (record.target, record.num_images, record.clean_rate) == ("0", 3, 1 - 2 / 3)
    console = Console(width=150)
    with console.capture() as captured:
        console.print(report.table())
    assert "Taken for 0: 66.67 % (95 %: 20.8\u201393.9 %)" in captured.get()


def test_the_least_likely_class_is_that_of_the_smallest_logit():
    report = evaluate(FGSM(epsilon=0.11), "least-likely")
    # Behind by 0.2, 0.8, 0.2, 0.2, 0.2 and 0.2.
    assert report.target == "least-likely"
    assert report.reached.tolist() == [True, False, True, True, True, True]


def test_a_class_is_named_by_its_name_before_its_number():
    data = ImageData(np.uint8(np.round(PIXELS * 255)), LABELS, NAMES)
    model = channel_classifier()
    for target, name, count in (("1", "1", 4), ("0", "cat", 3), (1, "dog", 5)):
        attack = FGSM(epsilon=0.01)
        report = evaluate_targeted(model, data, attack, target, progress=False)
        assert (report.target, len(report.reached)) == (name, count)
    for target in ("owl", "3", -1, 3, True, None):
        with pytest.raises(ValueError, match=r"`target` must be.*cat, dog, 1.*Received: target="):
            evaluate_targeted(model, data, FGSM(epsilon=0.01), target, progress=False)


def test_what_cannot_be_targeted_is_refused():
    with pytest.raises(ValueError, match="the loss dlr needs three.*Received: attack=apgd-dlr"):
        Towards(APGD(epsilon=0.1, loss="dlr"))
    with pytest.raises(ValueError, match="Received: attack=5"):
        Towards(5)
    with pytest.raises(ValueError, match="native engine"):
        evaluate(PGD(epsilon=0.1), 0, engine="cleverhans")
    with pytest.raises(ValueError, match="another class than the target"):
        evaluate_targeted(
            channel_classifier(), (PIXELS[:3], LABELS[:3]), FGSM(epsilon=0.1), 0, progress=False
        )
    with pytest.raises(ValueError, match="classified as another class"):
        evaluate_targeted(
            channel_classifier(), (PIXELS[5:], LABELS[5:]), FGSM(epsilon=0.1), 0, progress=False
        )


def test_a_transfer_makes_its_images_towards_the_target_on_its_source():
    attack = targeted(Transfer(FGSM(epsilon=EPSILON), channel_classifier()))
    assert isinstance(attack, Transfer) and isinstance(attack.attack, Towards)
    assert targeted(attack.attack) is attack.attack
    assert evaluate(attack, 2).reached.tolist() == REACHED

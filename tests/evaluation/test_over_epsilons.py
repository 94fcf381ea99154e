import json

import numpy as np
import pytest
from PIL import Image

from keras_efgsm.evaluation import (
    ENGINES,
    draw_robustness_curve,
    evaluate_over_epsilons,
    evaluate_robustness,
)
from keras_efgsm.records import RobustnessCurveRecord
from keras_efgsm.records.intervals import wilson_interval
from support.channels import LABELS, PIXELS, Raise, channel_classifier

pytestmark = pytest.mark.usefixtures("uncompiled")

RADII = (0.04, 0.06, 0.5)
# At the largest radius the images that are turned by one attack or the other, at the smaller ones
# those whose channel is 0.1 behind, from 0.05 on.
ROBUST = [5, 2, 0]


def attacks(*radii, channels=(1, 2)):
    return [Raise(epsilon=epsilon, channel=channel) for epsilon in radii for channel in channels]


def evaluate(tried, **options):
    options = {"progress": False, **options}
    return evaluate_over_epsilons(channel_classifier(), (PIXELS, LABELS), tried, **options)


@pytest.fixture
def calls(monkeypatch):
    """What the native engine was asked: (attack, epsilon, ids); `stop` at a call."""
    compile_native = ENGINES["native"]

    class Calls(list):
        stop = None

    made = Calls()

    def compile_counting(attack, logits_fn, seed, reads):
        run = compile_native(attack, logits_fn, seed, reads)

        def counted(x, labels, ids, step):
            made.append((attack.name, attack.epsilon, sorted(set(np.asarray(ids).tolist()))))
            if len(made) == made.stop:
                raise InterruptedError
            return run(x, labels, ids, step)

        return counted

    monkeypatch.setitem(ENGINES, "native", compile_counting)
    return made


@pytest.mark.parametrize("cascade", [False, True])
def test_what_was_turned_at_a_smaller_radius_is_not_attacked_again(calls, cascade):
    # Not in order, to be sorted.
    curve = evaluate(attacks(0.06, 0.04), cascade=cascade)
    assert [radius.epsilon for radius in curve.radii] == [0.04, 0.06]
    assert [int(radius.robust.sum()) for radius in curve.radii] == [5, 2]
    left = [0, 2, 3, 4, 1]
    assert [call[:2] for call in calls] == [
        ("raise-1", 0.04),
        ("raise-2", 0.04),
        ("raise-1", 0.06),
        ("raise-2", 0.06),
    ]
    asked = [set(ids) for *_, ids in calls]
    assert asked[0] == asked[1] == asked[2] == set(left)
    # Images 0 and 4 fall to the first attack at 0.06.
    assert asked[3] == ({1, 2, 3} if cascade else set(left))


def test_the_curve_never_rises_and_each_figure_is_a_worst_case_up_to_its_radius():
    # An attack that finds something at the small radius alone.
    tried = [*attacks(0.06, channels=(1,)), Raise(epsilon=0.1, channel=0)]
    curve = evaluate(tried)
    alone = evaluate_robustness(
        channel_classifier(), (PIXELS, LABELS), tried[1], progress=False
    ).worst_case_accuracy
    first, second = (radius.robust_accuracy for radius in curve.radii)
    assert first < curve.natural_accuracy and alone > second
    assert second <= first
    assert curve.radii[1].interval == wilson_interval(int(curve.radii[1].robust.sum()), 6)


def test_a_curve_goes_on_after_an_interruption_and_is_written_and_drawn(calls, tmp_path):
    state = tmp_path / "robustness_curve.partial.npz"
    tried = attacks(*RADII)
    calls.stop = 4
    with pytest.raises(InterruptedError):
        evaluate(tried, state=state, keep_adversarial=True)
    calls.stop = None
    curve = evaluate(tried, state=state, keep_adversarial=True)
    # The fourth call comes again and none before it.
    assert [call[:2] for call in calls[3:5]] == [("raise-2", 0.06)] * 2
    assert [int(radius.robust.sum()) for radius in curve.radii] == ROBUST
    # The adversarial image of the smallest radius.
    found = dict(zip(curve.adversarial.index.tolist(), curve.adversarial.epsilon, strict=True))
    assert found == {0: 0.06, 1: 0.5, 2: 0.06, 3: 0.5, 4: 0.06}
    curve.write_json(tmp_path / "robustness_curve.json")
    draw_robustness_curve(curve.record, tmp_path / "robustness_curve.png")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["robustness_curve.json", "robustness_curve.png"]
    assert Image.open(tmp_path / "robustness_curve.png").size[0] > 300
    record = RobustnessCurveRecord.read(tmp_path / "robustness_curve.json")
    assert record.to_dict() == json.loads((tmp_path / "robustness_curve.json").read_text())
    found = [(p.epsilon, p.robust_accuracy, p.robust_interval) for p in record.points]
    assert found == [
        (0.0, 5 / 6, wilson_interval(5, 6)),
        *((e, n / 6, wilson_interval(n, 6)) for e, n in zip(RADII, ROBUST, strict=True)),
    ]
    rows = list(zip(*(column._cells for column in curve.table().columns), strict=True))
    assert [row[1:4] for row in rows] == [
        ("", "", "83.33 %"),
        ("5", "0", "83.33 %"),
        ("5", "3", "33.33 %"),
        ("2", "2", "0.00 %"),
    ]

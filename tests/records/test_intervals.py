import pytest
from scipy.stats import binomtest

from keras_efgsm.records import AttackRecord, EvaluationRecord, MetricsRecord, RecordError, wording
from keras_efgsm.records.intervals import interval_of, wilson_interval


def test_the_interval_is_wilsons_by_hand():
    # z = 1.959964. Of 9 in 10: middle (0.9 + z^2/20) / (1 + z^2/10) = 0.78899,
    # half width z sqrt(0.9 x 0.1 / 10 + z^2 / 400) / (1 + z^2/10) = 0.19314.
    assert wilson_interval(9, 10) == pytest.approx((0.59585, 0.98213), abs=1e-5)
    # Nothing seen in 10: z^2 / (10 + z^2) may still be there.
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson_interval(10, 10)[1] == 1.0
    assert wilson_interval(1, 2, confidence=0.9)[0] > wilson_interval(1, 2)[0]


@pytest.mark.parametrize("count", [1, 7, 500, 10_000])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_scipy_has_the_same_interval(count, confidence):
    for successes in {0, 1, count // 3, count - 1, count}:
        expected = binomtest(successes, count).proportion_ci(confidence, method="wilson")
        found = wilson_interval(successes, count, confidence)
        assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(
    ("successes", "count", "confidence"), [(-1, 5, 0.9), (6, 5, 0.9), (0, 0, 0.9), (1, 2, 1.0)]
)
def test_what_is_no_share_has_no_interval(successes, count, confidence):
    with pytest.raises(ValueError, match="Received: successes="):
        wilson_interval(successes, count, confidence)


def test_a_share_and_its_count_are_enough_and_an_unknown_count_gives_none():
    assert interval_of(0.9, 10) == wilson_interval(9, 10)
    # 1/3 of 3 in floats is one image.
    assert interval_of(1 / 3, 3) == wilson_interval(1, 3)
    assert interval_of(None, 10) is interval_of(0.5, None) is interval_of(0.5, 0) is None


def test_500_images_are_not_read_as_10_000():
    assert wording.with_interval(0.5, interval_of(0.5, 500)) == "50.00 % (95 %: 45.6\u201354.4 %)"
    assert wording.interval(interval_of(0.5, 10_000)) == "49.0\u201351.0 %"
    assert wording.with_interval(0.5, None) == "50.00 %" and wording.interval(None) == ""


def test_files_without_intervals_have_them_all_the_same():
    attack = AttackRecord(name="pgd-ce", robust_accuracy=0.5, num_images=500)
    old = EvaluationRecord.from_dict(
        {
            "schema": 2,
            "num_images": 500,
            "natural_accuracy": 0.9,
            "attacks": [attack.to_dict()],
            "worst_case_accuracy": 0.5,
        }
    )
    assert old.interval == old.interval_of_robust == attack.interval == wilson_interval(250, 500)
    assert old.interval_of_natural == wilson_interval(450, 500)
    assert "worst_case_interval" not in old.to_dict()
    metrics = MetricsRecord(natural_accuracy=0.9, test_images=10)
    assert metrics.interval_of_natural == wilson_interval(9, 10)


@pytest.mark.parametrize("interval", [[0.1], [0.6, 0.7], [0.4, 0.45], [0.1, 0.5, 0.9]])
def test_an_interval_that_does_not_hold_its_share_is_refused(interval):
    with pytest.raises(RecordError, match="a robust_interval of two bounds around 0.5"):
        AttackRecord.from_dict(
            {"name": "pgd-ce", "robust_accuracy": 0.5, "robust_interval": interval}
        )

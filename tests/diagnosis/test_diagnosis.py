import io
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops
from rich.console import Console
from scipy import stats

from experiments.masking.cases import CASES, MASKED
from experiments.masking.workshop import Workshop
from keras_efgsm.cli import main
from keras_efgsm.diagnosis import Finding, diagnose, draw_diagnosis, thresholds
from keras_efgsm.diagnosis import attack_properties as attacks
from keras_efgsm.diagnosis import gradient_properties as gradients
from keras_efgsm.diagnosis.findings import Diagnosis
from keras_efgsm.diagnosis.loss_surface import POINTS, margin_surfaces
from keras_efgsm.diagnosis.probing import Probing
from keras_efgsm.evaluation import EvaluatedModel, load_classifier
from keras_efgsm.records.wording import percent

SHAPE, COUNT, EPSILON = (3, 3, 1), 40, 0.2
RNG = np.random.default_rng(0)
# Two classes and a margin of |w . (x - 0.5)|: everything about it is known in closed form.
SLOPE = RNG.choice([-1.0, 1.0], size=9).astype("float32")
X = RNG.uniform(0.3, 0.7, size=(COUNT, *SHAPE)).astype("float32")
HEIGHT = (X.reshape(COUNT, 9) - 0.5) @ SLOPE
LABELS = (HEIGHT < 0).astype("int32")
FAST = {"steps": 10, "queries": 60, "samples": 60, "restarts": 2}


def linear(x):
    height = ops.reshape(x - 0.5, (-1, 9)) @ SLOPE[:, None]
    return ops.concatenate([height, -height], axis=1)


@ops.custom_gradient
def reversed_gradient(x):
    return x, lambda upstream: -upstream


@ops.custom_gradient
def on_the_grid(x):
    """Gradients pass only where all pixels are whole hundredths, as those of clean images are."""
    clean = ops.all(ops.abs(x * 100.0 - ops.round(x * 100.0)) < 1e-3, axis=(1, 2, 3))
    return x, lambda up: up * ops.cast(clean, "float32")[:, None, None, None]


def before(function):
    return lambda x: linear(function(x))


def model_of(logits_fn, classes=2):
    return EvaluatedModel(logits_fn, SHAPE, classes, "a toy")


def probing_of(logits_fn, *, x=X, labels=LABELS, epsilon=EPSILON, **options):
    return Probing(model_of(logits_fn), x, labels, epsilon, **{**FAST, **options})


@pytest.fixture(scope="module")
def honest():
    return probing_of(linear, source=model_of(linear))


def scripted(**methods):
    return SimpleNamespace(count=100, epsilon=0.1, whole=1.0, steps=10, restarts=5, **methods)


def first(count):
    return np.arange(100) < count


# Counts and chance.


def test_the_chance_of_a_count_is_the_upper_tail_of_the_binomial_distribution():
    for count, total, share in [(7, 100, 0.02), (1, 200, 0.05), (0, 10, 0.1), (60, 60, 0.5)]:
        wanted = stats.binom.sf(count - 1, total, share)
        assert thresholds.chance_of(count, total, share) == pytest.approx(wanted, abs=1e-12)


def test_a_difference_of_a_few_images_is_no_sign():
    assert not thresholds.is_more(1, 20, thresholds.MISSED)
    assert not thresholds.is_more(6, 100, thresholds.MISSED)
    assert thresholds.is_more(7, 100, thresholds.MISSED)


def test_a_rise_needs_both_its_size_and_a_clear_majority_of_the_images_that_changed():
    assert thresholds.rises(lost=0, gained=11, total=100)
    assert not thresholds.rises(lost=0, gained=10, total=100)
    assert not thresholds.rises(lost=200, gained=230, total=290)


# Attacks on a model whose robust images are known.


def test_attacks_leave_exactly_the_images_that_the_closed_form_leaves(honest):
    robust = np.abs(HEIGHT) > EPSILON * 9
    robust_at_a_tenth = np.abs(HEIGHT) > 0.1 * EPSILON * 9
    assert 0 < robust_at_a_tenth.sum() < COUNT
    assert honest.white_box().tolist() == robust.tolist()
    assert honest.fgsm(0.1).tolist() == robust_at_a_tenth.tolist()
    small = honest.pgd("cw", epsilon=0.1 * EPSILON, steps=20)
    assert small.tolist() == robust_at_a_tenth.tolist()
    assert honest.lowest().tolist() == robust.tolist()


def test_one_graph_of_pgd_serves_every_radius_length_and_start(honest):
    for options in ({"epsilon": 0.1}, {"steps": 3}, {"restart": 4}, {"random_start": False}):
        honest.pgd("cw", **options)
    graphs = [key for key in honest._graphs if key == ("pgd", "cw")]
    assert len(graphs) == 1


def test_the_lowest_figure_leaves_out_larger_radii(honest):
    fresh = probing_of(linear, epsilon=0.01)
    fresh.pgd("cw", epsilon=1.0)
    assert fresh.lowest().all()


def test_in_l2_attacks_leave_what_the_closed_form_leaves_and_gradients_are_measured_in_l2():
    # The slope has nine components of the same size, so that its length is three.
    epsilon = 0.4 * EPSILON
    probing = probing_of(linear, epsilon=epsilon, norm="l2", source=model_of(linear))
    robust = np.abs(HEIGHT) > epsilon * 3
    assert 0 < robust.sum() < COUNT
    assert probing.white_box().tolist() == robust.tolist()
    assert probing.fgsm(0.1).tolist() == (np.abs(HEIGHT) > 0.3 * epsilon).tolist()
    points = probing.random_points()
    lengths = np.linalg.norm((points - X).reshape(COUNT, -1), axis=1)
    assert 0.5 * epsilon < lengths.mean() < epsilon and lengths.max() <= epsilon * 1.00001
    for held in (probing.square(), probing.random_sampling()):
        assert (held >= robust).all()
    zero = gradients.zero_margin_gradients(probing)
    wanted = np.median(np.abs(HEIGHT)) / 3
    assert zero.figures["median_linearised_distance"] == pytest.approx(wanted, rel=1e-4)
    kept = gradients.gradients_mislead(probing).figures["median_kept"]
    assert all(share == pytest.approx(1.0, abs=1e-2) for share in kept.values())
    grown = attacks.larger_epsilon_does_not_help(probing)
    assert not grown.flagged and list(grown.figures["accuracies"])[-1] == "3"
    assert "at epsilon 3," in attacks.unbounded_attack_fails(probing).evidence
    surface = margin_surfaces(probing, num_images=2)[1]
    middle = POINTS // 2
    wanted = 2 * abs(HEIGHT[1]) - 2 * 3 * surface.offsets
    np.testing.assert_allclose(surface.margins[middle], wanted, atol=1e-4)


# Each sign: a model that shows it, and one that does not.


def test_rounding_takes_the_gradient_of_the_margin(honest):
    finding = gradients.zero_margin_gradients(probing_of(before(ops.round)))
    assert finding.flagged and not finding.mild
    assert finding.figures["zero"] == finding.figures["zero_at_random_points"] == COUNT
    clear = gradients.zero_margin_gradients(honest)
    assert not clear.flagged
    assert clear.figures["zero"] == clear.figures["vanishing"] == 0
    # The margin is 2 |height|, its gradient 2 in each of the 9 pixels.
    wanted = np.median(np.abs(HEIGHT)) / 9
    assert clear.figures["median_linearised_distance"] == pytest.approx(wanted, rel=1e-4)


def test_a_gradient_that_is_a_millionth_of_the_slope_is_vanishing_which_is_a_mild_sign():
    def faint(x):
        logits = linear(x)
        return ops.stop_gradient(logits) + 1e-6 * (logits - ops.stop_gradient(logits))

    finding = gradients.zero_margin_gradients(probing_of(faint))
    assert finding.flagged and finding.mild
    assert finding.figures["zero"] == 0 and finding.figures["vanishing"] > COUNT / 2


def test_a_gradient_that_is_no_number_is_none_and_spoils_no_attack():
    @ops.custom_gradient
    def broken(x):
        return x, lambda upstream: upstream * np.float32("nan")

    probing = probing_of(before(broken))
    finding = gradients.zero_margin_gradients(probing)
    assert finding.flagged and finding.figures["zero"] == COUNT
    assert probing.white_box().shape == (COUNT,)


def test_huge_logits_hide_from_the_cross_entropy_and_confident_ones_do_not(honest):
    finding = gradients.cross_entropy_misleads(probing_of(lambda x: 1e5 * linear(x)))
    assert finding.flagged and not finding.mild
    assert finding.figures["missed"] > COUNT / 2
    # Margins of 40 on average: the softmax is sure to 17 digits.
    confident = gradients.cross_entropy_misleads(probing_of(lambda x: 20.0 * linear(x)))
    assert not confident.flagged and confident.figures["zero"] == 0
    assert not gradients.cross_entropy_misleads(honest).flagged


def test_a_weak_cross_entropy_with_a_gradient_is_a_hint_and_no_sign():
    held = np.ones(COUNT, bool)
    weak = probing_of(linear)
    weak.pgd = lambda loss: held if loss == "ce" else ~held
    finding = gradients.cross_entropy_misleads(weak)
    assert not finding.flagged
    assert finding.figures["gap"] == COUNT
    assert "weak here" in finding.evidence


def test_noise_and_company_change_random_outputs_and_no_others(honest):
    noisy = gradients.outputs_are_random(
        probing_of(before(lambda x: x + 0.01 * keras.random.normal(ops.shape(x))))
    )
    assert noisy.flagged and noisy.figures["random"] == COUNT
    company = gradients.outputs_are_random(probing_of(before(lambda x: x - ops.mean(x, axis=0))))
    assert company.flagged and company.figures["random"] == 0
    assert company.figures["depend_on_other_images"] > 0
    clear = gradients.outputs_are_random(honest)
    assert not clear.flagged and clear.figures["change_class"] == 0


def test_a_wrong_gradient_breaks_its_promise_and_that_of_a_linear_model_keeps_it(honest):
    wrong = gradients.gradients_mislead(probing_of(before(reversed_gradient)))
    assert wrong.flagged and wrong.figures["broken"] == COUNT
    assert all(k == pytest.approx(-1.0, abs=0.02) for k in wrong.figures["median_kept"].values())
    clear = gradients.gradients_mislead(honest)
    assert not clear.flagged and clear.figures["broken"] == 0
    assert all(k == pytest.approx(1.0, abs=0.02) for k in clear.figures["median_kept"].values())
    # Pixels from 0.1 to 0.9: many cannot move by epsilon, and their part is not promised.
    wide = gradients.gradients_mislead(probing_of(linear, x=2.0 * X - 0.5))
    assert all(k == pytest.approx(1.0, abs=0.02) for k in wide.figures["median_kept"].values())


def test_a_true_gradient_of_a_rugged_surface_is_no_use_beyond_its_ruggedness():
    # Period 0.2 / 320 of a pixel: an attack's step of 0.2 / 16 crosses twenty of them.
    rugged = gradients.gradients_mislead(
        probing_of(before(lambda x: x + 0.001 * ops.sin(2 * np.pi * 1600 * x)))
    )
    assert rugged.flagged


def test_a_straight_through_gradient_is_no_sign():
    @ops.custom_gradient
    def rounded(x):
        return ops.round(x * 64.0) / 64.0, lambda upstream: upstream

    assert not gradients.gradients_mislead(probing_of(before(rounded))).flagged


def test_without_any_gradient_no_promise_can_be_checked():
    finding = gradients.gradients_mislead(probing_of(before(ops.round)))
    assert not finding.flagged and finding.figures["images"] == 0


SEARCHES = {
    "random sampling": attacks.random_sampling_beats_gradients,
    "square": attacks.black_box_beats_white_box,
    "transfer": attacks.transfer_beats_white_box,
}


@pytest.fixture(scope="module")
def misled():
    return probing_of(before(reversed_gradient), source=model_of(linear))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_without_gradients_finds_more_where_they_lead_away_and_no_more_elsewhere(
    name, misled, honest
):
    finding = SEARCHES[name](misled)
    assert finding.flagged and finding.figures["chance"] < 0.01
    assert finding.figures["accuracy"] < finding.figures["accuracy_by_gradients"]
    clear = SEARCHES[name](honest)
    assert not clear.flagged and clear.figures["turned_without_gradients_alone"] == 0


def test_images_that_a_second_search_by_gradients_turns_are_not_held_against_the_model():
    hasty = probing_of(linear)
    hasty.white_box = lambda: np.ones(COUNT, bool)
    hasty.square = lambda: np.abs(HEIGHT) > EPSILON * 9
    assert (~hasty.square()).sum() > COUNT / 2
    finding = attacks.black_box_beats_white_box(hasty)
    assert not finding.flagged
    assert finding.figures["turned_without_gradients_alone"] == 0


def test_a_gap_of_cross_entropy_pgd_alone_is_told_as_a_weak_attack():
    probing = scripted(
        queries=9,
        square=lambda: first(40),
        white_box=lambda: first(40),
        pgd=lambda loss: first(90),
    )
    finding = attacks.black_box_beats_white_box(probing)
    assert not finding.flagged
    assert "weak attack" in finding.evidence


def test_a_gradient_at_clean_images_alone_lets_one_step_beat_many(honest):
    on_grid = np.round(X * 100) / 100
    labels = np.asarray(ops.argmax(linear(on_grid), axis=1), "int32")
    finding = attacks.one_step_beats_many(
        probing_of(before(on_the_grid), x=on_grid.astype("float32"), labels=labels)
    )
    assert finding.flagged
    assert finding.figures["accuracy_one_step"] < finding.figures["accuracy_many_steps"]
    assert not attacks.one_step_beats_many(honest).flagged


def test_a_model_that_only_withstands_one_step_is_overfitted_and_a_mere_gap_is_none(honest):
    probing = scripted(fgsm=lambda: first(90), many_steps=lambda: first(10))
    finding = attacks.one_step_shows_nothing(probing)
    assert finding.flagged and finding.figures["hidden_from_one_step"] == 80
    probing.many_steps = lambda: first(35)
    assert not attacks.one_step_shows_nothing(probing).flagged
    assert not attacks.one_step_shows_nothing(honest).flagged


def dip(t):
    """1 at the start and at 1, -1 half-way between."""
    return 1.0 - 8.0 * t * (1.0 - t)


def along_brightness(function):
    """Logits that depend on the mean brightness above 0.5, in parts of epsilon."""

    def logits_fn(x):
        value = function((ops.mean(x, axis=(1, 2, 3)) - 0.5) / EPSILON)
        return ops.stack([value, -value], axis=1)

    return logits_fn


GREY = np.full((COUNT, *SHAPE), 0.5, "float32")
ZEROS = np.zeros(COUNT, "int32")


def test_a_full_step_that_leaves_what_half_of_it_turns_is_the_mark_of_overfitting(honest):
    probing = probing_of(along_brightness(dip), x=GREY, labels=ZEROS)
    finding = attacks.longer_steps_do_worse(probing)
    assert finding.flagged and finding.figures["rise"] == COUNT
    # dip(1/8) = 1/8, dip(1/4) = -1/2, dip(1/2) = -1, dip(3/4) = -1/2
    wanted = {"0.125": 1.0, "0.25": 0.0, "0.5": 0.0, "0.75": 0.0, "1": 1.0}
    assert finding.figures["accuracies"] == wanted
    assert not attacks.longer_steps_do_worse(honest).flagged


def test_a_radius_at_which_pgd_finds_less_than_at_a_smaller_one_is_a_sign(honest):
    by_radius = {0.05: 90, 0.1: 60, 0.15: 75, 0.2: 40, 0.4: 10, 1.0: 0}
    probing = scripted(pgd=lambda loss, epsilon: first(by_radius[round(epsilon, 6)]))
    finding = attacks.larger_epsilon_does_not_help(probing)
    assert finding.flagged and finding.figures["largest_rise"] == 15
    by_radius[0.15] = 65  # 5 of 100 more
    assert not attacks.larger_epsilon_does_not_help(probing).flagged
    assert not attacks.larger_epsilon_does_not_help(honest).flagged


def test_an_accuracy_that_stays_where_it_is_as_epsilon_grows_is_a_sign():
    assert attacks.larger_epsilon_does_not_help(scripted(pgd=lambda *a, **k: first(80))).flagged
    # Nothing was left to fall.
    assert not attacks.larger_epsilon_does_not_help(scripted(pgd=lambda *a, **k: first(3))).flagged


def test_an_unbounded_attack_fails_only_where_gradients_lead_away(misled):
    finding = attacks.unbounded_attack_fails(misled)
    assert finding.flagged and finding.figures["left"] > COUNT / 2
    # Within so small an epsilon most images hold; the attack is not bounded by it.
    small = probing_of(linear, epsilon=0.01)
    assert small.pgd("cw").sum() > COUNT / 2
    clear = attacks.unbounded_attack_fails(small)
    assert not clear.flagged and clear.figures["left"] == 0


def test_restarts_that_keep_finding_images_are_a_mild_sign(honest):
    left = [90, 80, 70, 60, 50]
    probing = scripted(pgd=lambda loss, restart: first(left[restart]))
    finding = attacks.restarts_keep_helping(probing)
    assert finding.flagged and finding.mild and finding.figures["late"] == 20
    left[:] = [90, 80, 70, 65, 60]
    assert not attacks.restarts_keep_helping(probing).flagged
    assert not attacks.restarts_keep_helping(honest).flagged


def test_short_steps_caught_in_a_ripple_find_less_than_long_ones_a_mild_sign(honest):
    # Falls by 1.6 over the ball; the ripple's own slope of 3.1 stops steps of 0.025.
    rippled = along_brightness(lambda t: 1.0 - 1.6 * t - 0.1 * ops.sin(2 * np.pi * 5 * t))
    finding = attacks.more_iterations_do_worse(probing_of(rippled, x=GREY, labels=ZEROS))
    assert finding.flagged and finding.mild
    assert not attacks.more_iterations_do_worse(honest).flagged


# The planted models of the script, each with the sign that is made for it.


@pytest.fixture(scope="module")
def workshop():
    shop = Workshop("digits")
    shop.setting = shop.setting._replace(epochs=6)
    return shop


PLANTED = {
    "quantised input": gradients.zero_margin_gradients,
    "thresholded input": gradients.zero_margin_gradients,
    "median filter in NumPy": gradients.zero_margin_gradients,
    "saturated logits": gradients.zero_margin_gradients,
    "huge logits": gradients.cross_entropy_misleads,
    "noise at every call": gradients.outputs_are_random,
    "random shift": gradients.outputs_are_random,
    "dropout in evaluation": gradients.outputs_are_random,
    "wrong custom gradient": gradients.gradients_mislead,
    "rippled input": gradients.gradients_mislead,
    "catastrophic overfitting": attacks.longer_steps_do_worse,
}


def digits_probing(shop, name, digits):
    case = CASES[name]
    model = load_classifier(case.make(shop))
    x, y = (part[:60] for part in digits[1])
    right = np.asarray(model.logits_fn(ops.convert_to_tensor(x))).argmax(axis=1) == y
    setting = shop.setting
    epsilon = setting.overfitting_epsilon if case.after_overfitting else setting.epsilon
    return Probing(model, x[right], y[right], epsilon, **FAST)


@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_model_is_caught_by_the_sign_made_for_it(name, workshop, digits):
    finding = PLANTED[name](digits_probing(workshop, name, digits))
    assert finding.flagged and not finding.mild


@pytest.mark.parametrize(
    "name", ["ordinary training", "confident", "ordinary, at the larger epsilon"]
)
def test_no_sign_of_a_planted_model_is_seen_in_an_honest_one(name, workshop, digits):
    probing = digits_probing(workshop, name, digits)
    assert [sign.__name__ for sign in set(PLANTED.values()) if sign(probing).flagged] == []


def test_every_case_of_the_script_that_is_to_be_masked_is_tested_here():
    masked = {name for name, case in CASES.items() if case.expected == MASKED}
    assert masked == set(PLANTED)


# The whole diagnosis.


@pytest.fixture(scope="module")
def clear():
    return diagnose(model_of(linear), (X, LABELS), EPSILON, progress=False, **FAST)


def test_an_honest_model_has_no_sign_and_all_were_looked_for(clear):
    assert clear.verdict == "no sign of masking" and not clear.masked
    assert len(clear.findings) == 13  # all but transfer, for want of a source
    assert not any(finding.flagged for finding in clear.findings)
    assert clear.lowest_accuracy == (np.abs(HEIGHT) > EPSILON * 9).mean()


def test_a_masked_model_is_called_one_and_the_lowest_figure_is_named():
    found = diagnose(
        model_of(before(reversed_gradient)),
        (X, LABELS),
        EPSILON,
        transfer_from=model_of(linear),
        progress=False,
        **FAST,
    )
    assert found.masked and found.verdict == "gradients are masked"
    assert len(found.findings) == 14
    assert found.lowest_accuracy == (np.abs(HEIGHT) > EPSILON * 9).mean()
    assert f"Believe at most {percent(found.lowest_accuracy, 1)}" in found.advice


def test_mild_signs_alone_are_called_mild():
    about = {"model": "m", "dataset": "d", "epsilon": 0.1, "num_images": 9, "num_correct": 9}
    about |= {"lowest_accuracy": 0.5, "seed": 0, "versions": {}, "hardware": "h", "seconds": 1.0}
    mild = Finding("a_sign", True, "Seen.", {}, mild=True)
    diagnosis = Diagnosis(**about, findings=(mild, Finding("another", False, "No.", {})))
    assert diagnosis.verdict == "mild signs of masking" and not diagnosis.masked


def test_a_table_without_details_has_the_evidence_of_what_was_found_alone():
    about = {"model": "m", "dataset": "d", "epsilon": 0.1, "num_images": 9, "num_correct": 9}
    about |= {"lowest_accuracy": 0.5, "seed": 0, "versions": {}, "hardware": "h", "seconds": 1.0}
    findings = (Finding("a_sign", True, "Seen.", {}), Finding("another", False, "Unseen.", {}))
    diagnosis = Diagnosis(**about, findings=findings)
    for details in (True, False):
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(diagnosis.table(details=details))
        shown = console.export_text()
        assert "a sign" in shown and "Seen." in shown and "another" in shown
        assert ("Unseen." in shown) is details


def test_a_model_that_guesses_leaves_nothing_to_attack():
    labels = np.arange(COUNT) % 2
    guess = diagnose(
        model_of(lambda x: linear(x) * 0.0 + [[1.0, 0.0]]), (X, labels), EPSILON, progress=False
    )
    assert guess.verdict == "nothing to attack" and not guess.masked
    assert guess.num_correct == COUNT / 2 and guess.findings == ()
    with pytest.raises(ValueError, match="to be drawn"):
        draw_diagnosis(guess, "nowhere.png")


def test_the_figures_are_whole_json_and_the_picture_a_png(clear, tmp_path):
    clear.write_json(tmp_path / "diagnosis.json")
    read = json.loads((tmp_path / "diagnosis.json").read_text())
    assert read["schema"] == 1 and read["verdict"] == clear.verdict and read["masked"] is False
    wanted = {"epsilon", "num_images", "seed", "dataset", "model", "versions", "hardware"}
    assert wanted | {"seconds", "findings"} <= read.keys()
    for finding in read["findings"]:
        assert finding["flagged"] is False
        assert {"name", "evidence", "figures"} <= finding.keys()
    assert [row["iterations"] for row in read["curves"]["iterations"]] == list(attacks.ITERATIONS)
    draw_diagnosis(clear, tmp_path / "diagnosis.png")
    assert (tmp_path / "diagnosis.png").read_bytes().startswith(b"\x89PNG")
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(clear.table())
    assert "no sign of masking" in console.export_text()


def test_the_surface_of_a_linear_model_falls_along_the_gradient_as_computed_by_hand(honest):
    surface = margin_surfaces(honest, num_images=2)[1]
    middle = POINTS // 2
    margin = 2 * abs(HEIGHT[1])
    assert surface.margins.shape == (POINTS, POINTS)
    assert surface.margins[middle, middle] == pytest.approx(margin, abs=1e-4)
    # No pixel leaves [0, 1] here: the margin loses 2 * 9 for each unit of the offset.
    wanted = margin - 18 * surface.offsets
    np.testing.assert_allclose(surface.margins[middle], wanted, atol=1e-4)


# Bad input.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0}, "`epsilon`"),
        ({"epsilon": 25}, "divide one given on the 0..255 scale"),
        ({"epsilon": 25, "norm": "l2"}, "more than 3; divide one given on the 0..255 scale"),
        ({"norm": "l1"}, "`norm`"),
        ({"restarts": 1}, "`restarts`"),
        ({"seed": -1}, "`seed`"),
        ({"num_images": 0}, "`num_images`"),
        ({"num_images": 12}, "At least 20 images must be classified correctly"),
        ({"transfer_from": EvaluatedModel(linear, (4, 4, 1), 2, "other")}, "`transfer_from`"),
    ],
)
def test_bad_options_are_refused_before_any_attack(options, message):
    options = {"epsilon": EPSILON, "progress": False, **options}
    with pytest.raises(ValueError, match=message) as caught:
        diagnose(model_of(linear), (X, LABELS), options.pop("epsilon"), **options)
    assert "Received: " in str(caught.value)


def test_labels_that_are_all_wrong_and_logits_that_are_nan_are_refused():
    with pytest.raises(ValueError, match="correct images=0 of 40"):
        diagnose(model_of(linear), (X, 1 - LABELS), EPSILON, progress=False)
    with pytest.raises(ValueError, match="finite logits"):
        diagnose(model_of(lambda x: linear(x) * np.nan), (X, LABELS), EPSILON, progress=False)


def test_a_model_without_gradients_is_refused_with_its_keras_twin_named():
    model = EvaluatedModel(linear, SHAPE, 2, "m.tflite", differentiable=False)
    with pytest.raises(ValueError, match="Keras twin.*m.tflite"):
        diagnose(model, (X, LABELS), EPSILON, progress=False)


# The command line.


@pytest.fixture(scope="module")
def saved(tmp_path_factory, digits):
    (x, y), _ = digits
    keras.utils.set_random_seed(0)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, y, epochs=5, verbose=0)
    path = tmp_path_factory.mktemp("model") / "linear.keras"
    model.save(path)
    return path


def test_the_command_prints_the_verdict_and_writes_figures_and_picture(saved, tmp_path, capsys):
    words = ["diagnose", saved, "--dataset", "digits", "--epsilon", "0.1", "--num-images", "60"]
    words += ["--steps", "5", "--queries", "20", "--json", tmp_path / "d.json"]
    words += ["--picture", tmp_path / "d.png"]
    assert main([str(word) for word in words]) == 0
    shown = capsys.readouterr().out
    assert "no sign of masking" in shown and "longer steps do worse" in shown
    # A line for each sign, and what surrounds them.
    assert len(shown.splitlines()) < 30
    read = json.loads((tmp_path / "d.json").read_text())
    assert read["num_images"] == 60 and read["dataset"] == "digits:test"
    assert (tmp_path / "d.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dataset", "digits"], "`--epsilon` must be given"),
        (["--epsilon", "0.1"], "`--dataset` must be given"),
        (["--dataset", "digits", "--epsilon", "0.1", "--json", "no/such/d.json"], "`--json`"),
        (["--dataset", "digits", "--epsilon", "0.1", "--picture", "."], "`--picture`"),
    ],
)
def test_the_command_refuses_what_is_missing_or_cannot_be_written(saved, words, message, capsys):
    assert main(["diagnose", str(saved), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and "Received: " in error and error.count("\n") == 1

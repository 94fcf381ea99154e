import numpy as np
import pytest

from keras_efgsm.attacks import EFGSM, FGSM, PGD
from keras_efgsm.evaluation import ATTACK_SETS, make_attacks

NAMES = [
    "pgd-ce",
    "pgd-cw",
    "apgd-ce",
    "apgd-dlr",
    "apgd-cw",
    "apgd-t",
    "fab-t",
    "square",
    "random-sampling",
    "spsa",
]


def described(names, **options):
    """(name, steps, rounds, queries) of each attack."""
    return [
        (a.name, a.budget.steps, a.budget.rounds, a.budget.queries)
        for a in make_attacks(names, 0.3, **options)
    ]


def test_the_standard_set_is_autoattack_with_its_published_budgets():
    assert described("standard") == [
        ("apgd-ce", 100, 1, None),
        ("apgd-t", 100, 9, None),
        ("fab-t", 100, 9, None),
        ("square", None, 1, 5000),
    ]


def test_adp_is_its_two_gradient_attacks_and_quick_takes_a_tenth_of_its_budgets():
    assert described("adp") == described("standard")[:2]
    assert described("quick") == [("apgd-t", 50, 1, None), ("square", None, 1, 500)]


def test_the_black_box_set_needs_no_gradients():
    attacks = make_attacks("black-box", 0.1)
    assert [attack.name for attack in attacks] == ["square", "random-sampling"]
    assert not any(attack.needs_gradient for attack in attacks)


@pytest.mark.tensorflow("SPSA is cleverhans's")
def test_every_attack_is_reached_by_the_name_that_a_report_gives_it():
    attacks = make_attacks(",".join(NAMES), 0.2)
    assert [attack.name for attack in attacks] == NAMES
    assert all(attack.epsilon == 0.2 and attack.stays_in_ball for attack in attacks)


def test_the_options_reach_the_attacks_that_have_them_and_no_others():
    pgd, apgd, square = make_attacks(
        "pgd-cw, apgd-t ,square", 0.3, steps=7, step_size=0.02, targets=4, queries=50
    )
    assert (pgd.steps, pgd.step_size, pgd.loss) == (7, 0.02, "cw")
    assert (apgd.steps, apgd.targets) == (7, 4)
    assert square.queries == 50
    # A ball of 0.3 and the step of Madry et al.
    (pgd,) = make_attacks("pgd-ce", 0.3)
    assert (pgd.steps, round(pgd.step_size, 12)) == (100, 0.01)
    assert described("quick", steps=3, targets=2) == [
        ("apgd-t", 3, 2, None),
        ("square", None, 1, 500),
    ]


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ("pgd", {}, "one of the sets standard, adp, quick, black-box, or attacks .*apgd-t"),
        ("", {}, "one of the sets"),
        ("pgd-ce,", {}, "one of the sets"),
        ("adp,square", {}, "a set stands alone"),
        ("square,square", {}, "each attack once"),
        ("adp", {"step_size": 0.1}, "`step_size` is an option of pgd-ce, pgd-cw, zo-sign, none"),
        ("pgd-ce", {"queries": 9}, "`queries` is an option of square"),
        ("apgd-ce", {"targets": 3}, "`targets` is an option of apgd-t, fab-t"),
        ("adp", {"steps": 0}, "`steps` must be"),
        ("adp", {"targets": 0}, "`targets` must be"),
        ("square", {"queries": 0}, "`queries` must be"),
    ],
)
def test_unknown_names_and_options_without_an_attack_are_refused(names, options, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        make_attacks(names, 0.3, **options)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 1.5, np.nan])
@pytest.mark.parametrize("names", sorted(ATTACK_SETS))
def test_a_radius_outside_zero_to_one_is_refused(names, epsilon):
    with pytest.raises(ValueError, match="`epsilon`.*Received: epsilon="):
        make_attacks(names, epsilon)


def test_a_restart_is_made_where_it_is_another_attempt():
    (fab, square, apgd, random) = make_attacks("fab-t,square,apgd-t,random-sampling", 0.1)
    # FAB starts at the clean image, and at a random point when it starts again.
    assert not fab.starts_at_random and fab.gains_by_restarts
    for attack in (square, apgd, random, PGD(epsilon=0.1), EFGSM(epsilon=0.1)):
        assert attack.starts_at_random and attack.gains_by_restarts
    for attack in (
        FGSM(epsilon=0.1),
        PGD(epsilon=0.1, random_start=False),
        EFGSM(epsilon=0.1, sigma=0.0),
        type(apgd)(epsilon=0.1, random_start=False),
    ):
        assert not attack.starts_at_random and not attack.gains_by_restarts

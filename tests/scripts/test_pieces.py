"""What each piece is worth: differences to the base, and what they say of a claim."""

import json

import pytest

from reporting.result_table import difference, half_width, seeds_to_tell
from reporting.written import figures, piece_figures, pieces


def test_as_many_seeds_as_tell_a_mean_from_nothing():
    values = [0.01, 0.03, -0.01]
    number = seeds_to_tell(values)
    # Of so many that scatter alike the interval ends just above nothing.
    assert number == 18
    assert half_width([0.01, 0.012, 0.011]) < 0.011 and seeds_to_tell([0.01, 0.012, 0.011]) == 2
    assert seeds_to_tell([0.1, -0.1, 0.001], most=50) is None


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Figures of an ablation on MNIST alone, written by `write`."""
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    monkeypatch.setattr(piece_figures, "RESULTS", tmp_path)
    figures.load.cache_clear()

    def write(options=None, rise=0.0, folder="pieces", **accuracies):
        runs = {
            f"{name.replace('_', '-')}-seed{seed}": {"robust_accuracy": share}
            for name, shares in accuracies.items()
            for seed, share in enumerate(shares)
        }
        base = {"method_options": options or {}, "epsilon_warmup_epochs": rise}
        path = tmp_path / "mnist" / folder / "ablation.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"base": base, "runs": runs}), "utf-8")

    yield write
    figures.load.cache_clear()


def said(table, row, column=1):
    return next(cells[column] for cells in table.rows if row in cells[0])


def test_a_claim_holds_does_not_or_cannot_be_told(results):
    results(
        base=[0.80, 0.82, 0.81],
        no_memory=[0.70, 0.73, 0.71],
        step=[0.83, 0.852, 0.841],
        rivals=[0.79, 0.84, 0.815],
    )
    found = pieces.paper_claims()
    assert found.headings == ("claim", "MNIST")
    assert said(found, "the better start").startswith("**holds**: +9.7 (")
    assert said(found, "of epsilon (eq. 12)").startswith("**does not**: -3.1 (")
    # Differences of -1, +2 and +0.5 points.
    assert said(found, "nearest of all") == (
        "cannot be told: +0.5 (-3.2 to +4.2); about 38 seeds would tell"
    )
    assert said(found, "Label smoothing") == "not measured"


def test_lambda_is_compared_with_the_best_of_the_others(results):
    results(
        base=[0.5, 0.5, 0.5, 0.5],
        reconstructor=[0.80, 0.82, 0.81, 0.99],
        lambda_1=[0.70, 0.72, 0.71],
        lambda_0=[0.1, 0.1, 0.1],
    )
    path = figures.RESULTS / "mnist/pieces/ablation.json"
    path.write_text(path.read_text("utf-8").replace("lambda-0-", "lambda-0.5-"), "utf-8")
    assert said(pieces.paper_claims(), "lambda").startswith("**holds**: +10.0 (")


def test_a_difference_stands_out_where_its_interval_does_not_reach_nothing(results):
    results(base=[0.80, 0.82, 0.81], no_memory=[0.70, 0.73, 0.71], rivals=[0.79, 0.84, 0.815])
    found = pieces.pieces_overview()
    assert said(found, "base") == "81.0 % ±2.5"
    assert said(found, "no memory").startswith("**-9.7 (")
    assert said(found, "boundaries") == "+0.5 (-3.2 to +4.2)"


def test_where_the_recipe_has_the_full_step_the_variant_is_that_to_the_boundary(results):
    results({"step_size": 0.03}, base=[0.80, 0.82, 0.81], step=[0.76, 0.781, 0.769])
    assert said(pieces.pieces_overview(), "a step of epsilon").startswith("**+4.0 (")
    assert said(pieces.paper_claims(), "of epsilon (eq. 12)").startswith("**does not**: -4.0 (")


def test_where_the_first_visit_is_a_corner_the_noise_alone_is_a_variant_of_its_own(results):
    results(
        {"first_visit": "corner"},
        base=[0.80, 0.82, 0.81],
        no_memory=[0.70, 0.73, 0.71],
        random_noise=[0.60, 0.61, 0.62],
    )
    assert said(pieces.pieces_overview(), "random corner").startswith("**-9.7 (")
    assert said(pieces.pieces_overview(), "noise alone").startswith("**-20.0 (")
    found = pieces.paper_claims()
    assert said(found, "noise alone").startswith("**holds**: +20.0 (")
    assert said(found, "random corner").startswith("**holds**: +9.7 (")


def test_one_seed_tells_nothing(results):
    results(base=[0.80], no_memory=[0.10])
    assert said(pieces.paper_claims(), "noise alone") == "cannot be told: +70.0, one seed"
    assert said(pieces.pieces_overview(), "no memory") == "-70.0"


def test_an_interval_of_shares_ends_where_they_do():
    assert difference([1.0, 0.9, 0.2]) == "+70.0 (-38.3 to +100.0)"


def test_a_step_in_a_ball_that_rises_is_another_row_than_in_the_whole_ball(results):
    results(base=[0.80, 0.82, 0.81], step=[0.10, 0.11, 0.12])
    results(rise=3.0, folder="pieces_rising", base=[0.8, 0.8, 0.8], step=[0.84, 0.85, 0.86])
    found = pieces.pieces_overview()
    assert said(found, "in the whole ball").startswith("**-70.0 (")
    assert said(found, "rises at first").startswith("**+5.0 (")


def test_a_recipe_whose_ball_rises_tells_nothing_of_the_whole_ball(results):
    results(rise=2.0, base=[0.80, 0.82, 0.81], step=[0.79, 0.80, 0.79])
    found = pieces.paper_claims()
    assert said(found, "in the whole ball") == "not measured"
    assert said(found, "rises at first").startswith("**holds**")
    # A recipe of its own, without the rise, does.
    results(folder="pieces_whole_ball", base=[0.8, 0.8, 0.8], step=[0.7, 0.71, 0.72])
    found = pieces.paper_claims()
    assert said(found, "in the whole ball").startswith("**holds**: +9.0 (")
    assert said(found, "rises at first").startswith("**holds**: +1.7 (")

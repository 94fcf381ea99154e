"""What is claimed of a run, how sure it is, and what the other figures of its page are."""

from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.auto_pgd import AutoPGD
from keras_efgsm.evaluation import make_attacks
from keras_efgsm.pictures import PAGE, styled
from keras_efgsm.pictures.accuracies import AccuracyRow, accuracies_figure
from keras_efgsm.pictures.inline_svg import inline_svg
from keras_efgsm.records import EvaluationRecord
from keras_efgsm.records.wording import (
    count,
    interval,
    number,
    percent,
    radius,
    selected,
    short_radius,
    unbroken,
)
from keras_efgsm.report.run_files import ReportedRun

STANDARD, GRADIENTS, FIRST_LOOK = "standard", "gradients", "first"
"""How thorough the attacks of an evaluation were."""
_MOST_LETTERS = 40
# Where nothing tells how many there are.
_CLASSES = 10


class OtherFigure(NamedTuple):
    """A figure of the page that is not the claim.

    Attributes:
        name: what it is called.
        value: in per cent.
        meaning: what it is, and what it is not.
    """

    name: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Verdict:
    """The claim as the template shows it.

    Args:
        sentence: in plain words.
        beside: what the baseline comes to; empty without one.
        certainty: what chance leaves open.
        how: attacks, images and seed.
        level: how thorough the attacks were, one of `STANDARD`, `GRADIENTS`, `FIRST_LOOK`.
        level_name: the same in a few words.
        advice: what would make it surer.
        others: the other figures.
        picture: natural and robust accuracy with their intervals, of the baseline as well.
    """

    sentence: str
    beside: str
    certainty: str
    how: str
    level: str
    level_name: str
    advice: str
    others: list[OtherFigure]
    picture: Markup


def verdict(run: ReportedRun, target: str, baseline: ReportedRun | None = None) -> Verdict:
    """The claim of a run.

    Args:
        run: the run.
        target: id of its section.
        baseline: an ordinary model under the same attacks. Defaults to none.
    """
    level = thoroughness(run)
    level_name, advice = _LEVELS[level]
    return Verdict(
        sentence=_sentence(run),
        beside=_beside(baseline) if baseline else "",
        certainty=_certainty(run.evaluation),
        how=_how(run),
        level=level,
        level_name=level_name,
        advice=advice,
        others=_others(run),
        picture=_picture([run, *filter(None, [baseline])], target),
    )


_LEVELS = {
    STANDARD: (
        "AutoAttack's standard set",
        "The four attacks of AutoAttack ran with their published budgets.",
    ),
    GRADIENTS: (
        "attacks by gradients",
        "No attack without gradients had its full budget, so that masked gradients may have hidden "
        "more; `--attacks standard` of `keras-efgsm evaluate` adds one.",
    ),
    FIRST_LOOK: (
        "first look only",
        "Only quick attacks ran, which turn fewer images than there are to be turned. For a figure "
        "to be reported, run `keras-efgsm evaluate` with `--attacks standard`.",
    ),
}


def thoroughness(run: ReportedRun) -> str:
    """How thorough the attacks of the headline were.

    Args:
        run: the run.

    Returns:
        `STANDARD` if all of AutoAttack's set ran in full, `GRADIENTS` if its APGD attacks did, else
        `FIRST_LOOK`.
    """
    classes, names = run.evaluation.classes, run.metrics.class_names
    count = classes.num_classes if classes else len(names) if names else _CLASSES
    ran = {attack.name: attack for attack in reversed(run.evaluation.headline_attacks)}

    def in_full(attack: Attack) -> bool:
        spent, budget = ran.get(attack.name), attack.budget
        return (
            spent is not None
            and (spent.steps or 0) >= (budget.steps or 0)
            and (spent.rounds or 1) >= budget.rounds
            and (spent.queries or 0) >= (budget.queries or 0)
        )

    standard = [
        attack.for_classes(count) for attack in make_attacks("standard", run.epsilon, norm=run.norm)
    ]
    if not all(in_full(attack) for attack in standard if isinstance(attack, AutoPGD)):
        return FIRST_LOOK
    return STANDARD if all(map(in_full, standard)) else GRADIENTS


def change_in_words(epsilon: float, norm: str) -> str:
    """What an attack may do to an image, for a reader who knows no norms.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        norm: of the ball, see `checks.NORMS`.

    Example:

    ```python
    change_in_words(8 / 255, "linf")  # 'changing each pixel by at most 8/255 of its range'
    ```
    """
    if norm != "linf":
        return f"changing an image by at most {radius(epsilon, norm)} in length"
    return f"changing each pixel by at most {short_radius(epsilon)} of its range"


def _sentence(run: ReportedRun) -> str:
    figures = run.evaluation
    change = change_in_words(run.epsilon, run.norm)
    change = f"{change[0].upper()}{change[1:]}"
    if figures.worst_is_one_attack:
        of = figures.strongest.num_images or figures.num_images
        kept = round(figures.robust_accuracy * of)
        text = f"{change} leaves {number(kept)} of {count(of, 'image')} classified correctly."
    else:
        right = round(figures.natural_accuracy * figures.num_images)
        kept = round(figures.robust_accuracy * figures.num_images)
        text = (
            f"{change} fools it on {number(right - kept)} of the {count(right, 'image')} that it "
            f"classifies correctly; of all {number(figures.num_images)}, {number(kept)} "
            f"({percent(figures.robust_accuracy, 1)}) stay right."
        )
    return text


def _beside(baseline: ReportedRun) -> str:
    figures = baseline.evaluation
    left = round(figures.robust_accuracy * figures.num_images)
    return (
        f"Under the same attacks {number(left)} of {number(figures.num_images)} "
        f"({percent(figures.robust_accuracy, 1)}) stay right with {baseline.name}."
    )


def _certainty(figures: EvaluationRecord) -> str:
    bounds = figures.interval_of_robust
    if bounds is None:
        return "How many images were attacked is not known, so neither is how sure this is."
    return (
        f"With 95 % confidence, between {100 * bounds[0]:.1f} and {100 * bounds[1]:.1f} % of such "
        "images withstand these attacks: so much do that many images leave to chance. A stronger "
        "attack can only find less."
    )


def _how(run: ReportedRun) -> str:
    figures, total = run.evaluation, number(run.evaluation.num_images)
    attacks = figures.attacks_in_words()
    if figures.worst_is_one_attack:
        how = (
            f"Under {attacks} on the first {number(figures.strongest.num_images)} images of "
            f"{run.data}. The worst case over the attacks on all {total} images is "
            f"{percent(figures.worst_case_accuracy)}."
        )
    else:
        several = len(figures.headline_attacks) > 1
        worst = "the worst case, image by image, over " if several else ""
        images = selected(figures.num_images, figures.selection)
        how = f"Under {worst}{attacks} on {images} of {run.data}."
    return f"{how} Epsilon {radius(run.epsilon, run.norm)}, seed {run.seeds}."


def _others(run: ReportedRun) -> list[OtherFigure]:
    figures, measured = run.evaluation, run.measured
    others = []
    if figures.worst_is_one_attack:
        others.append(
            OtherFigure(
                "worst case over all images",
                percent(figures.worst_case_accuracy),
                f"under the attacks that saw all {number(figures.num_images)} images; one attack "
                "on fewer found more",
            )
        )
    if measured is not None:
        point = next((p for p in measured.epsilon_curve if p.epsilon == run.epsilon), None)
        if point is not None:
            others.append(
                OtherFigure(
                    "PGD of this report",
                    percent(point.accuracy("pgd-cw")),
                    f"one quick attack on {selected(measured.num_images, measured.selection)}, for "
                    "curves and examples; not the claim",
                )
            )
    last = next((row for row in reversed(run.history) if "probe_accuracy" in row), None)
    if last is not None:
        others.append(
            OtherFigure(
                "PGD probe",
                percent(last["probe_accuracy"]),
                "on held-out training images in the last epoch, in 20 steps; a signal during "
                "training",
            )
        )
    if run.universal is not None:
        others.append(
            OtherFigure(
                "under one perturbation for all images",
                percent(run.universal.accuracy),
                "a far weaker attack, see below",
            )
        )
    return others


def _picture(runs: list[ReportedRun], target: str) -> Markup:
    rows = []
    for run in runs:
        figures = run.evaluation
        name = run.name if len(run.name) <= _MOST_LETTERS else f"{run.name[: _MOST_LETTERS - 1]}…"
        natural, robust = figures.natural_accuracy, figures.robust_accuracy
        rows.append(
            AccuracyRow(
                name,
                natural,
                figures.interval_of_natural or (natural, natural),
                robust,
                figures.interval_of_robust or (robust, robust),
            )
        )
    told = "; ".join(
        f"{run.name}: natural {percent(run.evaluation.natural_accuracy)}, robust "
        f"{percent(run.evaluation.robust_accuracy)}"
        f" ({interval(run.evaluation.interval_of_robust) or 'interval not known'})"
        for run in runs
    )
    with styled(PAGE) as colours:
        svg = inline_svg(
            accuracies_figure(rows, colours),
            f"{target}-accuracies",
            title="Natural and robust accuracy with their 95 % intervals",
            description=unbroken(f"Natural and robust accuracy. {told}"),
        )
    # Written by an XML writer, which escapes the names in the description.
    return Markup(svg)

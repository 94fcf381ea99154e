"""The sections of what the report measured itself: curves, examples, confusion."""

from typing import Any

from keras_efgsm.report.charts import Line, line_chart
from keras_efgsm.report.markup import (
    Html,
    data_name,
    element,
    joined,
    number,
    percent,
    radius,
    scrolling,
    table,
)
from keras_efgsm.report.measurements import EPSILON_STEPS, ITERATIONS, LOSSES, SHOWN_STEPS
from keras_efgsm.report.run_files import ReportedRun

# A wider matrix is no longer read cell by cell.
_MOST_CLASSES = 20
_NAMES = {f"pgd-{loss}": f"PGD-{loss.upper()}" for loss in LOSSES}
_STEP = "step 2.5 epsilon / iterations, one random start"


def curves_section(run: ReportedRun) -> Html | None:
    """Figures 2 and 3 of the paper for this run."""
    measured = run.measured
    if not measured:
        return None

    def lines(points: list[dict[str, float]], x: str) -> list[Line]:
        return [Line(label, [(p[x], p[key]) for p in points]) for key, label in _NAMES.items()]

    attacks = " and ".join(_NAMES.values())
    by_radius = line_chart(
        lines(measured["epsilon_curve"], "epsilon"),
        caption=f"Accuracy against epsilon under {attacks}, {EPSILON_STEPS} iterations, {_STEP}; "
        f"{_on(measured)}. At 0 without an attack. At 1 any image can be reached, so that anything "
        "far above 0 is masking.",
        x_label="epsilon (pixels of [0, 1])",
        y_label="accuracy (%)",
        is_share=True,
        mark=(measured["epsilon"], f"evaluated epsilon, {radius(measured['epsilon'])}"),
    )
    by_steps = line_chart(
        lines(measured["steps_curve"], "steps"),
        caption=f"Accuracy against iterations under {attacks}, epsilon "
        f"{radius(measured['epsilon'])}, {_STEP}; {_on(measured)}.",
        x_label="PGD iterations",
        y_label="accuracy (%)",
        is_share=True,
        log_x=True,
        x_ticks=ITERATIONS,
    )
    return element("div", by_radius, by_steps, class_="charts")


def examples_section(run: ReportedRun) -> Html | None:
    """Images, what was done to them, and what the classifier and the re-constructor made of it."""
    measured = run.measured
    if not measured or not measured["examples"]:
        return None
    rebuilds = any(example["reconstruction"] for example in measured["examples"])
    grey = (
        "The perturbation is scaled to epsilon and has its sign: red is brighter, blue darker, "
        "white unchanged; in colour images grey is unchanged and each channel lighter where it was "
        "raised."
    )
    text = (
        f"The first images that PGD-CW ({SHOWN_STEPS} iterations, epsilon "
        f"{radius(measured['epsilon'])}, {_STEP}) turned, and the first that withstood it; "
        f"{_on(measured)}. Percentages are the probability of the predicted class. {grey}"
    )
    if rebuilds:
        text += (
            " The reconstruction is what the re-constructor makes of the probabilities of the "
            "adversarial image."
        )
    figures = [_example(example, measured) for example in measured["examples"]]
    return joined(element("p", text, class_="note"), element("div", *figures, class_="examples"))


def _example(example: dict[str, Any], measured: dict[str, Any]) -> Html:
    def name(index: int) -> str:
        return measured["class_names"][index]

    truth = name(example["label"])
    parts = []
    for kind in ("clean", "adversarial"):
        seen = example[kind]
        alt = f"{kind} image of class {truth}, predicted {name(seen['predicted'])}"
        told = joined(name(seen["predicted"]), element("br"), percent(seen["probability"]))
        # Short: four tiles and their labels share the width of a phone.
        label = "clean" if kind == "clean" else "attacked"
        parts.append(_tile(label, seen["png"], alt, example, told))
    change = number(example["largest_change"])
    alt = f"perturbation of an image of class {truth}, at most {change} a pixel"
    parts.append(_tile("change", example["perturbation"]["png"], alt, example, f"≤ {change}"))
    if example["reconstruction"]:
        alt = f"reconstruction from the adversarial image of class {truth}"
        parts.append(_tile("rebuilt", example["reconstruction"]["png"], alt, example, None))
    turned = example["adversarial"]["predicted"] != example["label"]
    outcome = f"turned to {name(example['adversarial']['predicted'])}" if turned else "withstood"
    return element(
        "figure",
        element("div", *parts, class_="strip"),
        element("figcaption", f"True class {truth}: {outcome}."),
    )


def _tile(label: str, png: str, alt: str, example: dict[str, Any], told: Any) -> Html:
    height, width = example["size"]
    image = element(
        "img",
        src=f"data:image/png;base64,{png}",
        alt=alt,
        width=width,
        height=height,
        class_="tiny" if max(height, width) < 64 else None,
    )
    return element("div", image, element("b", label), told)


def confusion_section(run: ReportedRun) -> Html | None:
    """Which classes were taken for which under attack."""
    measured = run.measured
    if not measured:
        return None
    counts, names = measured["confusion"], measured["class_names"]
    kept = sum(row[i] for i, row in enumerate(counts))
    caption = (
        f"True class (rows) and predicted class (columns) under PGD-CW, {SHOWN_STEPS} iterations, "
        f"epsilon {radius(measured['epsilon'])}, {_STEP}; {_on(measured)}. Images misclassified "
        f"clean are not attacked. On the diagonal: {percent(kept / measured['num_images'])}."
    )
    if len(names) > _MOST_CLASSES:
        return _most_frequent(counts, names, caption)
    head = [element("th", "true \\ predicted", scope="col", class_="corner")]
    head += [element("th", name, scope="col") for name in names]
    rows = []
    for truth, row in enumerate(counts):
        cells = [
            element("td", count or "\u00b7", class_=_shade(count, sum(row), truth == predicted))
            for predicted, count in enumerate(row)
        ]
        rows.append(element("tr", element("th", names[truth], scope="row"), *cells))
    matrix = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", element("tr", *head)),
        element("tbody", *rows),
        class_="confusion",
    )
    return scrolling(matrix, "confusion matrix")


def _shade(count: int, total: int, is_kept: bool) -> str | None:
    if not count:
        return None
    level = 1 + sum(count / total >= limit for limit in (0.15, 0.5))
    return f"{'kept' if is_kept else 'lost'}{level}"


def _most_frequent(counts: list[list[int]], names: list[str], caption: str) -> Html:
    pairs = [
        (count, truth, predicted)
        for truth, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if truth != predicted and count
    ]
    pairs.sort(key=lambda pair: (-pair[0], *pair[1:]))
    rows = [(names[truth], names[predicted], number(n)) for n, truth, predicted in pairs[:20]]
    caption = f"The most frequent confusions of {len(names)} classes. {caption}"
    return table(caption, ["true", "predicted", "images"], rows, numeric=[False, False, True])


def _on(measured: dict[str, Any]) -> str:
    data = data_name(measured["dataset"], measured["split"])
    return f"the first {number(measured['num_images'])} images of {data}, seed {measured['seed']}"

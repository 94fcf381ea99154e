"""The part of a model card that says what was measured on each file."""

from keras_efgsm.export.forms.saved_model import SAVED_MODEL
from keras_efgsm.export.markdown import code, table
from keras_efgsm.export.measuring.measurements import KERAS, KERAS_EAGER, Measurements
from keras_efgsm.records import EvaluationRecord
from keras_efgsm.records.wording import norm_name, percent, radius


def card_section(found: Measurements, headline: float | None = None) -> str:
    """The body of the section `MEASURED` of a model card, in Markdown.

    Its first line names the weakest file, and says so if that is worse than the card's headline.

    Args:
        found: the figures.
        headline: the robust accuracy that the card leads with, in [0, 1]. Defaults to none.

    Example:

    ```python
    found = Measurements.read("exported_models/mnist/mnist-1.measured.json")
    print(card_section(found, headline=0.8956))
    ```
    """
    rows = [
        (code(result.path), *found.cells(form), result.routes)
        for form, result in found.forms.items()
    ]
    latency = found.latency or {}
    header = (
        "form",
        "size",
        "latency, 1 image: median, ms",
        "90th percentile, ms",
        f"{latency.get('batch')} images: median, ms",
        "1 image, to Keras",
        "natural accuracy",
        "robust: worst case",
        "attacks",
    )
    return "\n\n".join(
        [_first_line(found, headline), table(header, rows), _attacks(found), _latency(found)]
    )


def _first_line(found: Measurements, headline: float | None) -> str:
    form, weakest = found.lowest()
    robust = percent(weakest.robust)
    # By the two digits that the card shows.
    if headline is not None and weakest.robust < round(headline, 4):
        first = (
            f"**{code(weakest.path)} is worse than the headline: robust accuracy {robust} against "
            f"{percent(headline)}.**"
        )
    else:
        first = f"**Lowest: {code(weakest.path)}, robust accuracy {robust}.**"
        if headline is not None:
            first += f" The headline is {percent(headline)}, of another set of images or attacks."
    reference = found.forms.get(SAVED_MODEL)
    if reference is not None and form != SAVED_MODEL:
        first += f" On the same images the SavedModel has {percent(reference.robust)}."
    return first


def _attacks(found: Measurements) -> str:
    settings = found.settings
    results = [result.evaluation for result in found.forms.values()]
    # Any form tells the budget; a transfer has that of the attack that it carries.
    attacks = EvaluationRecord.from_dict(results[0]).attacks
    # The name of a straight-through attack goes on with whose gradients it takes.
    own = [a for a in attacks if not a.name.startswith("transfer ")]
    named = ", ".join(f"{a.name.split(',')[0]} ({a.budget})" for a in own)
    sentences = [
        f"Natural and robust accuracy are those of the file itself on "
        f"{found.images} of {settings['dataset']} ({settings['split']}). Robust: "
        "image by image the worst case over "
        f"{named}; {norm_name(settings.get('norm'))} ball of radius "
        f"{radius(settings['epsilon'])}, attack seed {settings['seed']}, each attack on the images "
        "that withstood those before it."
    ]
    twins = [result for result in results if "twin" in result]
    if twins:
        least = min(result["twin_agreement"] for result in twins)
        sentences.append(
            "A file without gradients is attacked itself, straight-through where an attack goes by "
            f"gradients (its own answers, the gradients of its twin {code(twins[0]['twin'])}), and "
            "by transfer of the images that the same attacks make on the twin alone. File and twin "
            f"give the same class on {percent(least)} of the clean images, the least of all files."
        )
    return " ".join(sentences)


def _latency(found: Measurements) -> str:
    latency = found.latency or {}
    cores = latency["cores"]
    text = (
        f"Latency: from a NumPy array of images to one of logits on {cores} "
        f"core{'s' if cores > 1 else ''}, {latency['calls']} calls of each form in turn within one "
        "process, after 5 that do not count."
    )
    eager = found.latency_of(KERAS_EAGER)
    if KERAS in found.forms and eager:
        text += (
            f" {code(found.forms[KERAS].path)} is compiled by `tf.function`, which is what the "
            "other forms are compared with; called as `model(x, training=False)` it takes "
            f"{eager['median_ms']:.3g} ms for one image."
        )
    versions = ", ".join(f"{name} {v}" for name, v in found.settings["versions"].items())
    return f"{text} {latency['hardware']}; {versions}."

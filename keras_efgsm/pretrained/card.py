"""The card of a robust model that comes with the package, as model hubs read it."""

from keras_efgsm.export.figures import headline, results
from keras_efgsm.export.front_matter import front_matter
from keras_efgsm.export.markdown import LIMITS, code, fence, table
from keras_efgsm.records.robust_model import RobustModelRecord
from keras_efgsm.records.wording import norm_name, number, seconds


def render_robust_model_card(record: RobustModelRecord) -> str:
    """Returns the card of a robust model: `README.md`, the name that model hubs look for.

    Args:
        record: what is known of the model.

    Example:

    ```python
    render_robust_model_card(robust_models()["digits"]).splitlines()[1]  # 'license: apache-2.0'
    ```
    """
    figures = record.evaluation.to_dict()
    height, width, channels = record.image_shape
    trained = [
        ("recipe", record.recipe),
        ("data", record.dataset),
        ("epochs", record.trained_epochs),
        ("training time", seconds(record.trained_seconds)),
        ("hardware", record.trained_hardware),
        ("versions", ", ".join(f"{k} {v}" for k, v in (record.trained_versions or {}).items())),
    ]
    loading = (
        "import numpy as np\n\nimport keras_efgsm\n\n"
        f'classifier = keras_efgsm.load_robust("{record.name}")\n'
        f'logits = classifier(np.zeros((1, {height}, {width}, {channels}), "float32"))'
        "  # pixels in [0, 1]"
    )
    sections = [
        front_matter(record.name, license=record.license, dataset=record.dataset, figures=figures),
        f"# {record.name}\n\n{record.summary}",
        headline(figures),
        f"## Use\n\n{fence(loading, 'python')}\n\nor, of the file `{record.file}` "
        "beside this card, `keras.models.load_model` after `import keras_efgsm`.",
        f"## Input and output\n\nImages of {height} x {width} pixels with {channels} channel(s), "
        "pixels in [0, 1] (bytes divided by 255); any normalisation is inside. "
        f"{len(record.class_names)} logits, in the order "
        f"{', '.join(map(code, record.class_names))}. {number(record.parameters)} weights, "
        f"float32; SHA-256 of `{record.file}`: `{record.sha256}`.",
        results(figures),
        "## Training\n\n" + table(("", ""), [row for row in trained if row[1]]),
        f"## {LIMITS}\n\n"
        "- Robust accuracies are upper bounds: they say what the listed attacks did not find, they "
        "are no proof.\n"
        f"- They hold for {norm_name(record.norm)} perturbations of the listed radius and images "
        "like those of the data set; not for other norms, larger radii, rotations, or unrelated "
        "images, which get a class as well.",
        f"## Made by\n\n{fence(record.command, 'sh')}",
    ]
    return "\n\n".join(sections) + "\n"

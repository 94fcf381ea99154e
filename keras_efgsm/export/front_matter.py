"""The head of a card that model hubs read: YAML between two lines of dashes.

Hugging Face takes licence, library, data sets and figures of a model from it, Kaggle and others the
licence and the library, see https://huggingface.co/docs/hub/model-cards.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.wording import norm_name, radius

FENCE = "---"
UNKNOWN_LICENSE = "unknown"
"""What hubs call the licence of a model of which none is said."""


def front_matter(
    name: str,
    *,
    license: str | None = None,
    dataset: str | None = None,
    figures: Mapping[str, Any] | None = None,
) -> str:
    """Returns the YAML that says to a model hub what a classifier is and how good it is.

    Args:
        name: of the model.
        license: its licence by the identifier that hubs know, such as `"apache-2.0"`. Defaults to
            none, which is written as `unknown`.
        dataset: what it was trained on. Defaults to that of the figures.
        figures: the JSON of `keras-efgsm evaluate`. Defaults to none.

    Returns:
        The lines from `---` to `---`, without a line break at the end.

    Example:

    ```python
    front_matter("cats", license="mit").splitlines()[1]  # 'license: mit'
    ```
    """
    record = EvaluationRecord.from_dict(figures) if figures else None
    source = dataset or (record.dataset if record else None)
    trained_on = _plain_name(source) if source else None
    content: dict[str, Any] = {
        "license": license or UNKNOWN_LICENSE,
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["keras_efgsm", "adversarial-robustness", "image-classification"],
    }
    if trained_on:
        content["datasets"] = [trained_on]
    if record is not None:
        content["metrics"] = ["accuracy"]
        content["model-index"] = [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {
                            "name": record.dataset or "unknown",
                            "type": trained_on or "unknown",
                            "split": record.split or "unknown",
                        },
                        "metrics": _metrics(record),
                    }
                ],
            }
        ]
    return "\n".join([FENCE, *_lines(content), FENCE])


def check_license(license: str | None) -> None:
    """Checks the identifier of a licence.

    Args:
        license: such as `"apache-2.0"`; None if none is said.

    Raises:
        ValueError: if it is no identifier.

    Example:

    ```python
    check_license("apache-2.0")
    ```
    """
    if license is not None and not (isinstance(license, str) and _IDENTIFIER.fullmatch(license)):
        raise ValueError(
            "`license` must be an identifier of letters, digits, `-` and `.`, such as "
            f"'apache-2.0'. Received: license={license!r}"
        )


def without_front_matter(card: str) -> str:
    r"""A card from its title on.

    Args:
        card: the text of a card, with or without a head.

    Example:

    ```python
    without_front_matter("---\nlicense: unknown\n---\n\n# cats\n")  # '# cats\n'
    ```
    """
    if not card.startswith(f"{FENCE}\n"):
        return card
    return card.partition(f"\n{FENCE}\n")[2].lstrip("\n")


def _metrics(record: EvaluationRecord) -> list[dict[str, Any]]:
    natural = {
        "type": "accuracy",
        "name": f"natural accuracy, {record.num_images} images",
        "value": round(record.natural_accuracy, 6),
    }
    if not record.attacks:
        return [natural]
    radii = sorted({radius(attack.epsilon) for attack in record.attacks})
    attacks = ", ".join(attack.name for attack in record.headline_attacks)
    robust = {
        "type": "accuracy",
        "name": f"robust accuracy, {norm_name(record.norm)} ball of radius {' / '.join(radii)}, "
        f"under {attacks}",
        "value": round(record.robust_accuracy, 6),
    }
    return [natural, robust]


def _plain_name(dataset: str) -> str:
    """`mnist` of `mnist/3.0.1:test`; of a path its last part, as it says where a machine has it."""
    name = dataset.partition(":")[0]
    first, _, rest = name.partition("/")
    is_version = rest.replace(".", "").isdecimal()
    return first if is_version else name.rstrip("/").rpartition("/")[2]


def _lines(value: Any, indent: str = "") -> list[str]:
    """YAML of names, lists and numbers; a text that is no plain word is written as JSON writes it.

    JSON's texts and numbers are YAML's as well, so nothing in a name can end its line.
    """
    lines = []
    if isinstance(value, Mapping):
        for key, part in value.items():
            if isinstance(part, (Mapping, list)):
                lines += [f"{indent}{key}:", *_lines(part, indent + "  ")]
            else:
                lines.append(f"{indent}{key}: {_scalar(part)}")
    elif isinstance(value, Sequence):
        for part in value:
            if isinstance(part, Mapping):
                first, *rest = _lines(part, indent + "  ")
                lines += [f"{indent}- {first.lstrip()}", *rest]
            else:
                lines.append(f"{indent}- {_scalar(part)}")
    return lines


_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9.+-]{0,63}")
# What YAML takes for something else than text.
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        parts = value.replace("-", "").replace("_", "").replace(".", "")
        is_plain = parts.isascii() and parts.isalnum() and value[0].isalpha()
        if is_plain and value.lower() not in _WORDS:
            return value
        return json.dumps(value)
    return json.dumps(value)

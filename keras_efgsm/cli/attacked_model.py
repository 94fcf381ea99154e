"""The classifier that `keras-efgsm evaluate` attacks, and the attacks, by the words given."""

import argparse
from pathlib import Path
from typing import Any

from keras_efgsm.cli.subject import Subject, load_other
from keras_efgsm.recipes.evaluation_command import DEFAULT_ATTACKS


def attack_names(options: argparse.Namespace) -> str:
    """The name of a set of attacks, or names separated by commas.

    Args:
        options: of the command.

    Raises:
        ValueError: if they are given in two ways.
    """
    from keras_efgsm.checks import check_choice

    if not options.losses:
        return options.attacks or DEFAULT_ATTACKS[options.engine]
    if options.attacks:
        raise ValueError(
            "`--losses` is short for PGD attacks; give it or `--attacks`, not both. "
            f"Received: losses={options.losses!r}, attacks={options.attacks!r}"
        )
    losses = [check_choice(loss, "loss", ("ce", "cw")) for loss in options.losses.split(",")]
    return ",".join(f"pgd-{loss}" for loss in losses)


def attacked_model(
    options: argparse.Namespace, names: str, subject: Subject
) -> tuple[Any, list[Any]]:
    """The classifier as it is attacked, and the attacks of each radius.

    Args:
        options: of the command.
        names: as `attack_names` gives them.
        subject: what is evaluated.

    Raises:
        ValueError: if an attack or an option of one is unknown, or a twin does not fit.
    """
    from keras_efgsm.evaluation import Transfer, make_attacks, with_eot, with_twin
    from keras_efgsm.evaluation.towards import targeted

    attacks = [
        attack
        for epsilon in subject.epsilons
        for attack in make_attacks(
            names,
            epsilon,
            steps=options.steps,
            step_size=options.step_size,
            targets=options.targets,
            queries=options.queries,
            norm=subject.norm,
        )
    ]
    if options.target_class is not None:
        attacks = [targeted(attack) for attack in attacks]
    model, transfers = subject.model, []
    if options.transfer_from:
        source = with_eot(load_other(options.transfer_from, options), options.eot)
        transfers = [Transfer(attack, source) for attack in attacks if attack.needs_gradient]
    twin = _twin(options, model)
    if twin is not None:
        model, attacks = with_twin(model, load_other(twin, options), attacks)
    elif options.transfer_from:
        attacks = [a for a in attacks if model.differentiable or not a.needs_gradient]
    return model, attacks + transfers


def _twin(options: argparse.Namespace, model: Any) -> Path | None:
    from keras_efgsm.backend import BACKEND

    if options.twin not in (None, "none"):
        if model.differentiable:
            raise ValueError(
                "`--twin` is for a classifier without gradients, a .tflite or .onnx file; this "
                "one is attacked by its own. Images of another classifier are tried with "
                f"`--transfer-from`. Received: twin={options.twin!r}, path={options.path!r}"
            )
        return Path(options.twin)
    # A source that was named takes the place of a twin that was not.
    if options.twin == "none" or options.transfer_from or model.differentiable:
        return None
    if BACKEND != "tensorflow":
        # What lies beside the file is a SavedModel, which only TensorFlow runs.
        return None
    from keras_efgsm.export.measuring import find_twin

    found = find_twin(options.path)
    if found is not None:
        print(f"twin: {found}, found beside the file (--twin none switches it off)")
    return found

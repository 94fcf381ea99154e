"""What an evaluation gave of one model, as a comparison's file holds it."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from keras_efgsm.attacks import Attack
from keras_efgsm.comparison.contenders import Contender
from keras_efgsm.evaluation import RobustnessReport
from keras_efgsm.records import AskedAttackPart, ComparedPart, wording
from keras_efgsm.records.intervals import wilson_interval


def measured_part(
    contender: Contender, digest: str, report: RobustnessReport, count: int
) -> ComparedPart:
    """A finished model, without rank and command.

    Args:
        contender: the model.
        digest: of it.
        report: its evaluation.
        count: how many attacks were asked for.
    """
    held: list[list[np.ndarray]] = [[] for _ in range(count)]
    for number, result in zip(contender.asked, report.attacks, strict=True):
        held[number].append(result.robust)
    # Of an attack in two ways what withstood both.
    shares = [float(np.logical_and.reduce(both).mean()) if both else None for both in held]
    images = len(report.correct)
    return ComparedPart(
        name=contender.name,
        digest=digest,
        access=contender.access,
        doubts=report.doubts or None,
        worst_case_interval=wilson_interval(int(report.robust.sum()), images),
        natural_interval=wilson_interval(int(report.correct.sum()), images),
        accuracies=tuple(shares),
        parameters=contender.parameters,
        size=contender.size,
        evaluation=report.record,
    )


def called(part: ComparedPart, contender: Contender, doubt: str) -> ComparedPart:
    """A result, which may have been kept by an earlier call, with what this one says of the model.

    Args:
        part: the result.
        contender: the model.
        doubt: why its figures are not to be trusted; empty for most.
    """
    path = None if contender.path is None else str(contender.path)
    doubts = (*(part.evaluation.doubts or ()), *([doubt] if doubt else []))
    return replace(part, name=contender.name, path=path, doubts=doubts or None)


class _Spent(NamedTuple):
    steps: int | None
    step_size: float | None
    rounds: int | None
    queries: int | None
    restarts: int | None


def asked_attack(attack: Attack, restarts: int) -> AskedAttackPart:
    """An attack that was asked for, in words.

    Args:
        attack: with the number of targets that it has for the models' classes.
        restarts: how often an attack with a random start is run.
    """
    steps, step_size, rounds, queries = attack.budget
    runs = restarts if attack.gains_by_restarts else 1
    spent = _Spent(steps, step_size, rounds, queries, runs)
    return AskedAttackPart(name=attack.name, budget=wording.budget(spent))

"""The verdict on a stop, by what the referee saw."""

from typing import Any

import pytest

from experiments.overfitting.outcome import restored, verdict, when


def training(expected: str, best: float, last: float, collapse: int | None = None, **acted: Any):
    return {
        "expected": expected,
        "best_before": best,
        "collapse_epoch": collapse,
        "rows": [{"referee": best}, {"referee": last}],
        "fired": {},
        "put_back": {},
        **acted,
    }


def at(epoch: int, left: float) -> dict[str, Any]:
    return {"probe": {"epoch": epoch, "restored": left}}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (training("healthy", 0.9, 0.9), "ok"),
        (training("healthy", 0.9, 0.9, fired=at(3, 0.9)), "false alarm"),
        (training("healthy", 0.9, 0.9, put_back=at(3, 0.9)), "false alarm"),
        (training("healthy", 0.9, 0.1, collapse=4), "collapsed"),
        (training("collapse", 0.8, 0.1, collapse=4), "missed"),
        (training("collapse", 0.8, 0.8), "did not collapse"),
        (training("collapse", 0.8, 0.1, collapse=4, fired=at(4, 0.79)), "ok"),
        (training("collapse", 0.8, 0.1, collapse=4, fired=at(6, 0.79)), "not within an epoch"),
        (training("collapse", 0.8, 0.1, collapse=4, fired=at(3, 0.78)), "ok"),
        (training("collapse", 0.8, 0.1, collapse=4, fired=at(2, 0.8)), "not within an epoch"),
        (
            training("collapse", 0.8, 0.1, collapse=4, fired=at(4, 0.7)),
            "restored 10.0 points below",
        ),
        (training("slow", 0.8, 0.7, put_back=at(9, 0.79)), "ok"),
        (training("slow", 0.8, 0.5, collapse=7, fired=at(9, 0.79)), "ok"),
        (training("slow", 0.8, 0.7), "missed"),
        (training("slow", 0.8, 0.77), "did not overfit"),
    ],
)
def test_the_verdict_on_a_stop(result, expected):
    assert verdict(result, "probe") == expected


def test_what_a_stop_did_in_words():
    fired = training("collapse", 0.8, 0.1, collapse=4, fired=at(4, 0.79))
    assert (when(fired, "probe"), restored(fired, "probe")) == ("epoch 4", "79.0%")
    back = training("slow", 0.8, 0.7, put_back=at(9, 0.79))
    assert when(back, "probe") == "at the end"
    assert (when(back, "margins"), restored(back, "margins")) == ("no", "-")

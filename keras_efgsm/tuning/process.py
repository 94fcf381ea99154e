"""One process of a search by workers.

`python -m keras_efgsm.tuning.process FOLDER MAX_CLASSES MAX_PIXELS`, with the bounds of
`keras_efgsm.limits`. Whether it is the chief or a worker, and where the chief is, it takes from
keras-tuner's `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and `KERASTUNER_ORACLE_PORT`.
"""

import os
import sys
import threading

from keras_efgsm.limits import raised_limits
from keras_efgsm.tuning.driver import run_trials
from keras_efgsm.tuning.search_failed import SearchFailed
from keras_efgsm.tuning.search_folder import SearchFolder
from keras_efgsm.tuning.workers import HOPELESS


def _end_with_parent() -> None:
    """Ends this process once the one that started it is gone, even if that was killed."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Runs the trials, or hands them out, until there are no more."""
    _end_with_parent()
    folder = SearchFolder(sys.argv[1])
    status = 0
    try:
        most_classes, most_pixels = (int(word) for word in sys.argv[2:4])
        with raised_limits(max_classes=most_classes, max_pixels=most_pixels):
            run_trials(folder, folder.read(), verbose=2)
    except SearchFailed as error:
        print(error)
        status = HOPELESS
    sys.stdout.flush()
    # The thread still reads, and would keep the interpreter from ending.
    os._exit(status)


if __name__ == "__main__":
    main()

"""Every command on files of every kind that are damaged in every way."""

import pytest
from hypothesis import strategies as st

from support.drawn import few_or_many, hold
from support.fuzzed_commands import refused_or_done
from support.mutations import damages

_SQUARE = ("--attacks", "square", "--queries", "2")
_GIVEN = ("--dataset", "d.npz", "--epsilon", "0.1")
_TRAIN = (
    *("--classifier", "mine.keras", "--epsilon", "0.1", "--method", "efgsm", "--batch-size", "20"),
    *("--reconstructor", "none", "--probe-images", "0", "--quiet", "--dtype-policy", "float32"),
)
EVALUATE = ("evaluate", "run", *_SQUARE)
COMPARE = (
    *("compare", "run", "mine.keras", *_SQUARE, "--num-images", "20"),
    *("--json", "compared.json"),
)
DIAGNOSE = ("diagnose", "run", "--num-images", "40")
REPORT = ("report", "run", "--num-images", "20")
EXPORT = ("export", "run", "--to", "new", "--forms", "tflite")
MEASURE = ("measure", "exported/1", "--run", "run", *_SQUARE, "--num-images", "20")
RESUME = ("train", "d.npz", *_TRAIN, "--epochs", "3", "--out", "half", "--resume")
NEW = ("train", "d.npz", *_TRAIN, "--epochs", "1", "--out", "new")
FROM_IMAGES = ("train", "images", *_TRAIN, "--channels", "1", "--epochs", "1", "--out", "new")
SERVED = ("serve-request", "--model", "m", "--labels", "labels.txt")
OF_EXPORT = ("evaluate", "exported/1", *_GIVEN, *_SQUARE)
OF_TFLITE = ("evaluate", "exported/exported-1.tflite", *_GIVEN, *_SQUARE)
CONFIGURE = ("serve-config", "exported", "--out", "new")

READERS = {
    "run/config.json": (EVALUATE, DIAGNOSE, REPORT, EXPORT, MEASURE),
    "run/metrics.json": (REPORT, EXPORT),
    "run/evaluation.json": (REPORT, EXPORT),
    "run/diagnosis.json": (REPORT,),
    "run/report-curves.json": (REPORT,),
    "run/history.csv": (REPORT,),
    "run/classifier.keras": (EVALUATE, DIAGNOSE, REPORT, EXPORT, MEASURE),
    "mine.keras": (
        NEW,
        ("evaluate", "mine.keras", *_GIVEN, *_SQUARE),
        ("evaluate", "run", *_SQUARE, "--transfer-from", "mine.keras"),
        ("export", "mine.keras", "--dataset", "d.npz", "--to", "new", "--forms", "tflite"),
        ("report", "mine.keras", *_GIVEN, "--evaluation", "run/evaluation.json"),
    ),
    "half/config.json": (RESUME,),
    "half/checkpoint.npz": (RESUME,),
    "half/history.csv": (RESUME,),
    "half/log.jsonl": (RESUME,),
    "d.npz": (NEW, EVALUATE, DIAGNOSE, EXPORT, RESUME, MEASURE),
    "images/cat/0.png": (FROM_IMAGES, (*SERVED, "images/cat/0.png")),
    "a.npy": ((*SERVED, "a.npy"),),
    "labels.txt": ((*SERVED, "a.npy"),),
    "exported/exported-1.json": (MEASURE, OF_TFLITE, OF_EXPORT, CONFIGURE),
    "exported/exported-1.md": (MEASURE,),
    "exported/exported-1.tflite": (OF_TFLITE, MEASURE),
    "exported/1/saved_model.pb": (OF_EXPORT, MEASURE),
    "exported/1/variables/variables.index": (OF_EXPORT,),
    "exported/1/variables/variables.data-00000-of-00001": (OF_EXPORT,),
    "exported/1/assets/labels.txt": (OF_EXPORT, CONFIGURE),
    "compared.partial.json": (COMPARE,),
    "report.html": ((*REPORT, "--out", "report.html"),),
}


@pytest.mark.parametrize("name", READERS)
@few_or_many(1, 22)
def test_a_damaged_file_is_refused_in_one_line_or_does_no_harm(place, name, cases):
    path = place.path / name
    others = [place.path / other for other in READERS if other != name]

    def check(drawn):
        words, damage = drawn
        try:
            damage.apply(path, others)
            refused_or_done(place.run(words))
        finally:
            place.restore()

    hold(check, st.tuples(st.sampled_from(READERS[name]), damages(path.suffix)), cases)


def test_every_reader_takes_the_files_as_they_are(place):
    for words in {words for readers in READERS.values() for words in readers}:
        ending = place.run(words)
        refused_or_done(ending)
        assert ending.accepted or ending.status == 0, (words, ending.err)
        place.restore()

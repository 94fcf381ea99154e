import pytest

from keras_efgsm import __version__
from keras_efgsm.cli import COMMANDS, main, make_parser
from keras_efgsm.cli.short_options import SHORT


def commands():
    (found,) = [a for a in make_parser()._actions if isinstance(a.choices, dict)]
    return found.choices


def test_a_short_option_is_the_same_in_every_command_and_none_is_another():
    assert len(set(SHORT.values())) == len(SHORT)
    for parser in commands().values():
        for action in parser._actions:
            for name in action.option_strings:
                if name in SHORT:
                    assert SHORT[name] in action.option_strings
                assert name.startswith("--") or name in {"-h", *SHORT.values()}


def test_a_short_option_is_read_as_the_long_one():
    words = ["evaluate", "runs/digits", "-n", "50", "-a", "quick", "-e", "8/255", "-s", "3"]
    options = make_parser(words).parse_args(words)
    assert (options.num_images, options.attacks, options.seed) == (50, "quick", 3)
    assert options.epsilon == (8 / 255,)


@pytest.mark.parametrize("words", [["-V"], ["train", "-V"]])
def test_the_version_is_said_for_short(words, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert capsys.readouterr().out == f"keras-efgsm {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_typing_error_is_answered_by_at_most_six_lines(command, capsys):
    assert _refused([command, "--no-such-option"], capsys).count("\n") <= 6


def test_forms_take_commas_as_every_other_list_and_spaces_still():
    for words in (["onnx,tflite"], ["onnx", "tflite"], ["onnx,", "tflite"]):
        words = ["export", "runs/digits", "--forms", *words]
        assert make_parser(words).parse_args(words).forms == ["onnx", "tflite"]
    words = ["export", "r", "--warm-up-batch-sizes", "1,8"]
    assert make_parser(words).parse_args(words).warm_up_batch_sizes == [1, 8]


def test_a_form_that_there_is_not_is_refused_with_those_that_there_are(capsys):
    told = _refused(["export", "r", "--forms", "onnx,pickle"], capsys)
    assert "must be one of saved-model" in told and "Received: 'pickle'" in told
    assert "expected at least one argument" in _refused(["export", "r", "--forms", ","], capsys)
    told = _refused(["export", "r", "--warm-up-batch-sizes", "1,x"], capsys)
    assert "invalid int value: '1,x'" in told


def _refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    return capsys.readouterr().err

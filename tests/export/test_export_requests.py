"""What the served classifier refuses, through the loaders a server and a Python client use."""

import functools
import re
import struct
import sys
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.tools import saved_model_cli

from keras_efgsm.export import write_saved_model

SHAPE = (8, 8, 1)
NAMES = ["zero", "one", "zwei drei"]


def make_classifier(channels=1):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((8, 8, channels)), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential(layers)


def random_pixels(count=3, seed=7):
    return np.random.default_rng(seed).random((count, *SHAPE)).astype("float32")


def png(pixels):
    return tf.io.encode_png(pixels).numpy()


def jpeg(pixels):
    return tf.io.encode_jpeg(pixels, quality=100).numpy()


def png_header(width, height):
    """A PNG that ends after its header, as tiny as it is huge by what it says."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def jpeg_header(width, height):
    """A JPEG whose frame header says another size than it was encoded with."""
    content = jpeg(np.zeros(SHAPE, "uint8"))
    start = content.index(b"\xff\xc0") + 5
    return content[:start] + struct.pack(">HH", height, width) + content[start + 4 :]


@pytest.fixture(scope="module")
def classifier():
    return make_classifier()


@pytest.fixture(scope="module")
def folder(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported_models") / "1"
    write_saved_model(classifier, path, NAMES)
    return path


@pytest.fixture(scope="module", params=["python", "session", "session without optimisation"])
def call(request, folder):
    """Calls a signature with one input and returns its outputs."""
    if request.param == "python":
        loaded = tf.saved_model.load(str(folder))

        def call_function(signature, value):
            (key,) = loaded.signatures[signature].structured_input_signature[1]
            answer = loaded.signatures[signature](**{key: tf.constant(value)})
            return {name: output.numpy() for name, output in answer.items()}

        yield call_function
        return
    options = config_pb2.ConfigProto()
    if "without" in request.param:
        options.graph_options.rewrite_options.disable_meta_optimizer = True
        options.graph_options.optimizer_options.opt_level = -1
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=options)
    with graph.as_default():
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))

    @functools.cache
    def prepare(name):
        signature = meta.signature_def[name]
        (entry,) = signature.inputs.values()
        fetch = [output.name for output in signature.outputs.values()]
        # `Session.run` compares shapes in Python first, which no server does.
        options = config_pb2.CallableOptions(feed=[entry.name], fetch=fetch)
        run = session._make_callable_from_options(options)
        return run, list(signature.outputs), object if entry.dtype == tf.string else None

    def call_session(name, value):
        run, names, kind = prepare(name)
        return dict(zip(names, run(np.asarray(value, kind)), strict=True))

    yield call_session
    session.close()


@pytest.fixture
def refused(call):
    """Checks that a request is refused with a message, and the next one answered."""

    def check(signature, value, message):
        with pytest.raises(tf.errors.InvalidArgumentError, match=re.compile(message, re.DOTALL)):
            call(signature, value)
        assert len(call("serving_default", random_pixels())["logits"]) == 3

    return check


def test_the_three_signatures_give_the_same_answers(call, classifier):
    levels = np.round(random_pixels(8) * 255).astype("uint8")
    pixels = levels / np.float32(255)
    expected = classifier(pixels, training=False).numpy()
    answer = call("serving_default", pixels)
    assert np.abs(answer["logits"] - expected).max() <= 1e-5
    assert np.abs(answer["probabilities"] - keras.ops.softmax(expected).numpy()).max() <= 1e-5
    for other in (
        call("serving_uint8", levels),
        call("serving_bytes", [png(level) for level in levels]),
    ):
        assert np.abs(other["probabilities"] - answer["probabilities"]).max() <= 1e-6
        assert other["class_id"].tolist() == expected.argmax(axis=1).tolist()
        assert other["class_id"].dtype == np.int64
        assert [label.decode() for label in other["label"]] == [
            NAMES[i] for i in expected.argmax(axis=1)
        ]
    assert len(set(expected.argmax(axis=1))) > 1


@pytest.mark.parametrize(
    ("shape", "received"),
    [
        ((2, 9, 9, 1), "2 9 9 1"),
        ((2, 4, 16, 1), "2 4 16 1"),
        ((2, 8, 8, 3), "2 8 8 3"),
        ((2, 8, 1, 8), "2 8 1 8"),
        ((8, 8, 1), "8 8 1"),
        ((1, 2, 8, 8, 1), "1 2 8 8 1"),
        ((2, 64), "2 64"),
        ((64,), "64"),
        ((), ""),
    ],
)
def test_images_of_another_size_or_rank_are_refused(shape, received, refused):
    message = rf"`image` must hold images of 8 x 8 pixels.*Received: image.shape=\] \[{received}\]"
    refused("serving_default", np.zeros(shape, "float32"), message)
    refused("serving_uint8", np.zeros(shape, "uint8"), message)


def test_an_empty_batch_is_refused(refused):
    message = r"at least one image.*Received: image.shape=\] \[0 8 8 1\]"
    refused("serving_default", np.zeros((0, *SHAPE), "float32"), message)
    refused("serving_uint8", np.zeros((0, *SHAPE), "uint8"), message)
    refused("serving_bytes", np.zeros((0,), "S1"), r"at least one file.*image_bytes.shape=\] \[0\]")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"`image` must hold finite pixels.*NaN or infinite=\] \[1\]"),
        (np.inf, r"`image` must hold finite pixels.*NaN or infinite=\] \[1\]"),
        (-np.inf, r"`image` must hold finite pixels.*NaN or infinite=\] \[1\]"),
        (-0.01, r"divide bytes by 255.*`serving_uint8`.*largest value of image=\] \[-0.01 "),
        (1.01, r"divide bytes by 255.*largest value of image=\] \[[0-9.e-]+ 1.01\]"),
        (255, r"divide bytes by 255.*largest value of image=\] \[[0-9.e-]+ 255\]"),
    ],
)
def test_one_pixel_that_is_none_is_refused_and_rounding_at_the_ends_is_not(
    value, message, refused, call
):
    pixels = random_pixels()
    pixels[1, 2, 3, 0] = value
    refused("serving_default", pixels, message)
    pixels[1, 2, 3, 0] = np.clip(np.nan_to_num(value), -5e-4, 1 + 5e-4)
    assert np.isfinite(call("serving_default", pixels)["logits"]).all()


def test_numbers_of_another_type_are_refused(call):
    for signature, kinds in {
        "serving_default": ("float64", "uint8", "int32"),
        "serving_uint8": ("float32", "int32", "int8"),
    }.items():
        for kind in kinds:
            with pytest.raises((tf.errors.InvalidArgumentError, TypeError, ValueError)):
                call(signature, np.zeros((1, *SHAPE), kind))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"\xff\xfe\x80 not UTF-8",
        b"no image",
        b"GIF89a\x08\x00\x08\x00\x80\x00\x00" + b"\x00" * 50,
        b"BM" + b"\x00" * 100,
        b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"\x00" * 50,
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 50,
    ],
    ids=["empty", "1 byte", "no UTF-8", "text", "GIF", "BMP", "WebP", "signature", "no IHDR"],
)
def test_what_is_no_png_or_jpeg_is_refused_by_its_first_bytes(content, refused):
    first = " ".join(str(byte) for byte in content.ljust(8, b"\0")[:8])
    message = rf"`image_bytes` must hold whole PNG or JPEG files.*\[1 {len(content)} {first}\]"
    refused("serving_bytes", [png(np.zeros(SHAPE, "uint8")), content], message)


@pytest.mark.parametrize(
    ("header", "width", "height"),
    [
        (png_header, 30000, 30000),
        (png_header, 8, 2**31 - 1),
        (png_header, 9, 8),
        (jpeg_header, 60000, 60000),
        (jpeg_header, 8, 9),
    ],
)
def test_a_file_of_another_size_is_refused_by_its_header(header, width, height, refused):
    # All of them would fail in the decoder too: that they do not get there is what is tested.
    good = png(np.zeros(SHAPE, "uint8"))
    message = rf"`image_bytes` must hold images of 8 x 8 pixels.*\[1 {height} {width}\]"
    refused("serving_bytes", [good, header(width, height), good], message)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_valid_png_of_a_huge_image_is_refused_without_the_memory_of_its_pixels(
    folder, fresh, tmp_path
):
    side = 10000
    row = zlib.compressobj(1)
    data = b"".join(row.compress(b"\0" * (side + 1)) for _ in range(side)) + row.flush()
    chunk = b"IDAT" + data
    body = struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    (tmp_path / "huge.png").write_bytes(png_header(side, side) + body + end)
    script = """
import re, sys
import tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_bytes"]
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
small = tf.io.encode_png(tf.zeros((8, 8, 1), tf.uint8))
serve(image_bytes=small[tf.newaxis])
content, before = tf.io.read_file(sys.argv[2]), peak()
try:
    serve(image_bytes=content[tf.newaxis])
except tf.errors.InvalidArgumentError as error:
    assert "[0 10000 10000]" in str(error), error
    print(peak() - before)
"""
    done = fresh.run(folder, tmp_path / "huge.png", code=script)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50  # MB; its pixels are 100


@pytest.mark.parametrize("shape", [(), (1, 1), (2, 1)])
def test_files_that_are_no_vector_are_refused(shape, refused):
    files = np.full(shape, png(np.zeros(SHAPE, "uint8")), object)
    received = " ".join(map(str, shape))
    message = rf"vector of at least one file.*image_bytes.shape=\] \[{received}\]"
    refused("serving_bytes", files, message)


def test_a_damaged_file_of_the_right_size_gives_an_error_that_names_the_input(refused):
    pixels = (random_pixels(1)[0] * 255).astype("uint8")
    for content in (png(pixels)[:-20], png_header(8, 8), jpeg(pixels)[:-20], jpeg(pixels)[:40]):
        refused("serving_bytes", [content], "image_bytes_must_be_whole_image_files")


def test_no_damage_to_a_file_does_more_than_to_refuse_it(call):
    rng = np.random.default_rng(0)
    pixels = (random_pixels(1)[0] * 255).astype("uint8")
    outcomes = set()
    for content in (png(pixels), jpeg(pixels)):
        for _ in range(100):
            damaged = bytearray(content[: rng.integers(1, len(content) + 1)])
            for position in rng.integers(len(damaged), size=3):
                damaged[position] = rng.integers(256)
            try:
                outcomes.add(len(call("serving_bytes", [bytes(damaged)])["label"]))
            except tf.errors.InvalidArgumentError as error:
                assert "image_bytes" in str(error)
                outcomes.add("refused")
    assert outcomes <= {1, "refused"} and "refused" in outcomes


def test_a_classifier_of_rgba_images_takes_png_alone(tmp_path):
    write_saved_model(make_classifier(channels=4), tmp_path / "rgba", NAMES)
    serve = tf.saved_model.load(str(tmp_path / "rgba")).signatures["serving_bytes"]
    assert serve(image_bytes=tf.constant([png(np.zeros((8, 8, 4), "uint8"))]))["label"].shape == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold whole PNG files"):
        serve(image_bytes=tf.constant([jpeg(np.zeros((8, 8, 3), "uint8"))]))


def test_no_operation_of_the_graph_is_on_the_list_of_saved_model_cli_scan(folder, capsys):
    meta = saved_model_cli.saved_model_utils.get_meta_graph_def(str(folder), "serve")
    saved_model_cli.scan_meta_graph_def(meta, saved_model_cli._OP_DENYLIST)
    assert "does not contain the default denylisted ops" in capsys.readouterr().out

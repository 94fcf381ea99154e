"""JPEG files out of a TFRecord of tensorflow-datasets, without TensorFlow, and their headers apart.

A TFRecord is a row of records, each an 8-byte length, a checksum, the bytes and another checksum. A
record of tensorflow-datasets is a `tf.train.Example` in protobuf's wire format: features by name.

The JPEG file of a small image is mostly header: quantization and Huffman tables that are the same
in each file that one program wrote with one setting. `split_headers` keeps each different header
once, and the scans, which are the images, by themselves; `join_headers` gives the same files back,
bit for bit.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_LENGTH, _CHECKSUMS = 8, (4, 4)
_IMAGE_BEGIN, _SCAN_BEGIN, _IMAGE_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
# Numbers of fields in tf.train.Example, Features, a map's entry, Feature and its lists.
_FEATURES, _ENTRY, _KEY, _VALUE, _ITEM = 1, 1, 1, 2, 1
_BYTES_LIST, _INT64_LIST = 1, 3


class SplitFiles(NamedTuple):
    """JPEG files as headers and scans.

    Attributes:
        headers: each different header once, from the first byte to the scan's own header.
        header_of: which header each file has, uint8 `(n,)`.
        scans: the rest of all files one after the other, without their end markers, uint8.
        lengths: bytes of each scan, uint32 `(n,)`.
    """

    headers: list[bytes]
    header_of: np.ndarray
    scans: np.ndarray
    lengths: np.ndarray


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file; its checksums are not looked at.

    Args:
        path: the file.

    Raises:
        ValueError: if it ends within a record.
    """
    content = memoryview(path.read_bytes())
    place = 0
    while place < len(content):
        begin = place + _LENGTH + _CHECKSUMS[0]
        length = struct.unpack_from("<Q", content, place)[0] if begin <= len(content) else 0
        place = begin + length + _CHECKSUMS[1]
        if place > len(content):
            raise ValueError(
                f"A TFRecord must hold whole records. Received: path={str(path)!r}, "
                f"{len(content)} bytes"
            )
        yield bytes(content[begin : begin + length])


def read_example(record: bytes) -> dict[str, list[Any]]:
    """The features of a `tf.train.Example` that are bytes or integers, by name.

    Args:
        record: the serialized example.

    Raises:
        ValueError: if it is none.
    """
    features = {}
    try:
        for _, block in _fields(record, _FEATURES):
            for _, entry in _fields(block, _ENTRY):
                parts = dict(_fields(entry, _KEY, _VALUE))
                features[parts[_KEY].decode()] = _values(parts[_VALUE])
    except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"A record must be a tf.train.Example ({error!r}). Received: {record[:20]!r}..."
        ) from error
    return features


def _values(feature: bytes) -> list[Any]:
    values: list[Any] = []
    for kind, items in _fields(feature, _BYTES_LIST, _INT64_LIST):
        if kind == _BYTES_LIST:
            values += [item for _, item in _fields(items, _ITEM)]
            continue
        for _, item in _fields(items, _ITEM):
            # Integers are packed one after the other, or stand by themselves.
            place = 0
            while isinstance(item, bytes) and place < len(item):
                number, place = _varint(item, place)
                values.append(number)
            values += [item] if isinstance(item, int) else []
    return values


def _fields(message: bytes, *wanted: int) -> Iterator[tuple[int, Any]]:
    """The fields of a protobuf message with these numbers: integers, or bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(message, place)
        elif kind == 2:
            length, place = _varint(message, place)
            if place + length > len(message):
                raise IndexError("a field is longer than its message")
            value, place = message[place : place + length], place + length
        elif kind in (1, 5):
            value, place = None, place + (8 if kind == 1 else 4)
        else:
            raise TypeError(f"unknown wire type {kind}")
        if number in wanted:
            yield number, value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def read_jpegs(paths: Sequence[Path]) -> tuple[list[bytes], np.ndarray]:
    """The JPEG files and labels of TFRecord files, in their order.

    Args:
        paths: the shards of one split.

    Returns:
        The files, and their labels as integers `(n,)`.

    Raises:
        ValueError: if a record has no JPEG file or no label.
    """
    files, labels = [], []
    for path in paths:
        for record in read_records(path):
            features = read_example(record)
            image, label = features.get("image") or [b""], features.get("label")
            if not label or image[0][:2] != _IMAGE_BEGIN:
                raise ValueError(
                    "Each record must hold a JPEG file as `image` and a class as `label`. "
                    f"Received: path={str(path)!r}, features={sorted(features)}"
                )
            files.append(image[0])
            labels.append(label[0])
    return files, np.array(labels)


def split_headers(files: Sequence[bytes]) -> SplitFiles:
    """Keeps each different header once, and the scans without end markers.

    Args:
        files: baseline JPEG files, of at most 256 different headers.

    Raises:
        ValueError: if one is no JPEG file of one scan, or there are more headers.
    """
    headers: dict[bytes, int] = {}
    header_of, scans = [], []
    for file in files:
        begin = file.find(_SCAN_BEGIN)
        # A marker in the data of a scan would be another scan; a zero byte hides those of chance.
        if (
            file[:2] != _IMAGE_BEGIN
            or file[-2:] != _IMAGE_END
            or begin < 0
            or file.count(_SCAN_BEGIN) != 1
        ):
            raise ValueError(f"A JPEG file must hold one scan. Received: {file[:20]!r}...")
        # The scan's own header says how long it is.
        begin += 2 + int.from_bytes(file[begin + 2 : begin + 4])
        header_of.append(headers.setdefault(file[:begin], len(headers)))
        scans.append(file[begin:-2])
    if len(headers) > 256:
        raise ValueError(
            f"The files must share at most 256 headers. Received: {len(headers)} headers"
        )
    return SplitFiles(
        list(headers),
        np.array(header_of, "uint8"),
        np.frombuffer(b"".join(scans), "uint8"),
        np.array([len(scan) for scan in scans], "uint32"),
    )


def join_headers(split: SplitFiles) -> list[bytes]:
    """The JPEG files that `split_headers` took apart, bit for bit.

    Args:
        split: headers and scans.

    Raises:
        ValueError: if lengths and scans do not fit each other.
    """
    ends = np.cumsum(split.lengths, dtype="int64")
    if len(split.header_of) != len(ends) or (len(ends) and ends[-1] != split.scans.size):
        raise ValueError(
            "Headers, lengths and scans must be of the same files. Received: "
            f"{len(split.header_of)} headers, {len(ends)} lengths, {split.scans.size} bytes"
        )
    scans = split.scans.tobytes()
    return [
        split.headers[header] + scans[end - length : end] + _IMAGE_END
        for header, end, length in zip(
            split.header_of, ends.tolist(), split.lengths.tolist(), strict=True
        )
    ]

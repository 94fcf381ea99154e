"""The base of every file of results, which is checked when read and written whole."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.records.json_text import MOST_BYTES, RecordError, parse_json, read_bytes
from keras_efgsm.records.part import Part, short


class NewerSchemaError(RecordError):
    """A file was written by a later version of this library."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record(Part):
    """The content of one file: a value with a schema number, `read` and `write`.

    Args:
        schema: number of the format, which goes up when a field changes its meaning. Defaults to
            the newest.

    Example:

    ```python
    from keras_efgsm.records import EvaluationRecord

    EvaluationRecord.read("runs/mnist/evaluation.json").worst_case_accuracy
    ```
    """

    schema: int = 1

    # What an error calls the file.
    NAME: ClassVar[str] = "The file"
    # The newest schema.
    SCHEMA: ClassVar[int] = 1
    # Whether the file says its schema; one that never did is of schema 1.
    HAS_SCHEMA: ClassVar[bool] = True
    INDENT: ClassVar[int] = 2
    # Whether letters beyond ASCII are escaped.
    ASCII: ClassVar[bool] = True

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Reads the file, which may come from anywhere: nothing in it is run.

        Args:
            path: the file.

        Raises:
            NewerSchemaError: a `ValueError`, if a later version of this library wrote it.
            RecordError: a `ValueError`, if it is damaged, of another kind, or larger than
                `most_bytes()`.
            OSError: if it cannot be read.
        """
        received = f"path={os.fspath(path)!r}"
        try:
            return cls.decode(read_bytes(path, cls.most_bytes()))
        except NewerSchemaError as error:
            raise NewerSchemaError(error.reason, received) from error
        except RecordError as error:
            raise RecordError(error.reason, received) from error

    @classmethod
    def most_bytes(cls) -> int:
        """The size of the largest file that is read, in bytes."""
        return MOST_BYTES

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the file; a reader finds the old one or the whole new one.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            ValueError: if a number is not finite.
            OSError: if it cannot be written.
        """
        write_atomically(Path(path), self.encode())

    def encode(self) -> bytes:
        """The bytes of the file."""
        text = json.dumps(
            self.to_dict(), indent=self.INDENT, allow_nan=False, ensure_ascii=self.ASCII
        )
        return f"{text}\n".encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Reads the bytes of the file.

        Raises:
            ValueError: if they are not those of this record.
        """
        try:
            return cls.from_dict(parse_json(content))
        except NewerSchemaError:
            raise
        except RecordError as error:
            raise RecordError(f"{cls.NAME} is damaged ({error.reason})", "content") from error

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        number = values.pop("schema")
        return {"schema": number} | values if self.HAS_SCHEMA else values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "") -> Self:
        if isinstance(values, Mapping):
            check_schema(values.get("schema", None if cls.HAS_SCHEMA else 1), cls.SCHEMA, cls.NAME)
        return super().from_dict(values, where)


def check_schema(schema: Any, newest: int, name: str) -> None:
    """Checks that a file is of a schema which this version reads.

    Args:
        schema: the number that the file has.
        newest: the highest that is known here.
        name: what the file is called.

    Raises:
        NewerSchemaError: a `ValueError`, if it is higher.
        RecordError: a `ValueError`, if it is not a number above 0.
    """
    received = f"schema={short(schema)}"
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise RecordError(f"{name} must have a schema of 1 to {newest}", received)
    if schema > newest:
        raise NewerSchemaError(
            f"{name} must have a schema of at most {newest}, but a newer version of keras_efgsm "
            f"wrote it with schema {schema}; update keras_efgsm to read it",
            received,
        )

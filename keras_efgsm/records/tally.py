"""The state of an interrupted evaluation, as an `.npz` file."""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from keras_efgsm.archives import read_array_headers
from keras_efgsm.records.json_text import RecordError, parse_json
from keras_efgsm.records.part import Count, Seconds
from keras_efgsm.records.record import Record, check_schema

# Unpacked: five bytes for each image and attack, so this is 25 attacks on a million images.
_MOST_BYTES = 2**27


@dataclass(frozen=True, kw_only=True, eq=False)
class TallyRecord(Record):
    """Which images withstood which attack, up to the last batch that is through.

    Args:
        schema: 1, which did not know what images were classified as, or 2.
        identity: everything that decides the outcome.
        attack: number of the attack that is at work.
        step: number of its round, restarts counted on.
        batch_size: of this round.
        attack_seconds: wall-clock time of each attack.
        seconds: wall-clock time spent so far.
        round_has_begun: whether `waiting` is of use.
        correct: whether `(n,)` each clean image is classified correctly.
        robust: `(num_attacks, n)`, which images have withstood each attack so far.
        waiting: whether `(n,)` each image is still to be attacked in this round.
        clean_classes: int32 `(n,)`, what the clean images were classified as.
        classes: int32 `(num_attacks, n)`, what each attack had them classified as so far.
        single_draws: float32 `(1 + draws, n)`, the state of a `Spread`; None for a classifier that
            does not draw.

    Example:

    ```python
    TallyRecord.read("runs/mnist/evaluation.partial.npz").robust.mean(axis=1)
    ```
    """

    NAME: ClassVar[str] = "The state of an evaluation"
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"single_draws"})
    SCHEMA: ClassVar[int] = 2

    schema: int = 2
    identity: dict[str, Any]
    attack: Count
    step: Count
    batch_size: Count
    attack_seconds: tuple[Seconds, ...]
    seconds: Seconds
    round_has_begun: bool
    correct: Any
    robust: Any
    waiting: Any
    clean_classes: Any
    classes: Any
    single_draws: Any = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TallyRecord):
            return NotImplemented
        return self._header() == other._header() and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in (*_ARRAYS, _DRAWS)
        )

    # Arrays have no hash.
    __hash__ = None  # type: ignore[assignment]

    def _header(self) -> dict[str, Any]:
        return {k: v for k, v in self.to_dict().items() if k not in (*_ARRAYS, _DRAWS)}

    def encode(self) -> bytes:
        header = json.dumps(self._header(), allow_nan=False).encode()
        file = io.BytesIO()
        np.savez(
            file,
            allow_pickle=False,
            header=np.frombuffer(header, "uint8"),
            **{name: getattr(self, name) for name in (*_ARRAYS, *self._drawn())},
        )
        return file.getvalue()

    def _drawn(self) -> tuple[str, ...]:
        return () if self.single_draws is None else (_DRAWS,)

    @classmethod
    def most_bytes(cls) -> int:
        return 4 * super().most_bytes()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                    raise ValueError(f"it unpacks to more than {_MOST_BYTES // 2**20} MiB")
            read_array_headers(io.BytesIO(content))
            # Reading every member checks its CRC.
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                wanted = ("header", *_ARRAYS, _DRAWS)
                arrays = {name: file[name] for name in file.files if name in wanted}
            header = parse_json(arrays.pop("header").tobytes())
        # Whatever a damaged zip or array makes of its readers.
        except Exception as error:
            raise RecordError(
                f"{cls.NAME} is damaged ({type(error).__name__}: {error})", "content"
            ) from error
        if isinstance(header, dict):
            check_schema(header.get("schema"), cls.SCHEMA, cls.NAME)
            if header["schema"] < cls.SCHEMA:
                raise RecordError(f"{cls.NAME} is that of an earlier version", "content")
        try:
            return cls.from_dict({**header, **arrays})
        except (RecordError, TypeError) as error:
            raise RecordError(f"{cls.NAME} is damaged ({error})", "content") from error

    def check(self) -> None:
        """Checks that the arrays are of the same images and attacks."""
        shapes = tuple(np.shape(getattr(self, name)) for name in _ARRAYS)
        images = shapes[0]
        by_attack = (len(self.attack_seconds), *images)
        expected = (images, by_attack, images, images, by_attack)
        kinds = tuple(np.asarray(getattr(self, name)).dtype.name for name in _ARRAYS)
        if len(images) != 1 or shapes != expected or kinds != tuple(_ARRAYS.values()):
            raise RecordError(
                "it must have truth values and classes of each image and attack",
                f"shapes={shapes}, dtypes={kinds}",
            )
        if self.single_draws is None:
            return
        drawn = np.asarray(self.single_draws)
        is_right = drawn.ndim == 2 and len(drawn) > 1 and drawn.shape[1:] == images
        if not is_right or drawn.dtype != np.float32 or not np.isin(drawn[1:], (0.0, 1.0)).all():
            raise RecordError(
                "it must have a margin and truth values of each image for single draws",
                f"single_draws={drawn.dtype} {drawn.shape}",
            )


_ARRAYS = {
    "correct": "bool",
    "robust": "bool",
    "waiting": "bool",
    "clean_classes": "int32",
    "classes": "int32",
}
_DRAWS = "single_draws"

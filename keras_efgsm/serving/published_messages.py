"""Protobuf messages built from their published field numbers.

For two kinds of message: those whose generated module only comes with TensorFlow's Python runtime,
which the C API check must not load, and those of TF Serving that no Python package carries. Fields
that are not listed are skipped when a binary message is read, and refused in a text one.
"""

from collections.abc import Mapping

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory, wrappers_pb2

_SCALARS = ("bool", "int32", "int64", "string")
_FIELD = descriptor_pb2.FieldDescriptorProto


def build_messages(
    package: str, messages: Mapping[str, Mapping[str, tuple[int, str]]]
) -> dict[str, type[message.Message]]:
    r"""Returns message classes, by name.

    Args:
        package: the package of the messages, for instance `"tensorflow.serving"`.
        messages: for each message its fields, name to `(number, type)`. A type is
            one of bool, int32, int64 and string, another message of the package,
            or a full name such as `google.protobuf.Int64Value`; `"repeated TYPE"`
            is a list of them and `"map TYPE"` a map from string.

    Example:

    ```python
    Point = build_messages("example", {"Point": {"x": (1, "int64")}})["Point"]
    Point(x=3).SerializeToString()  # b"\x08\x03"
    ```
    """
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto",
        package=package,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for name, fields in messages.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(described, package, field, number, kind)
    pool.Add(file)
    names = (f"{package}.{name}" for name in messages)
    classes = (message_factory.GetMessageClass(pool.FindMessageTypeByName(n)) for n in names)
    return dict(zip(messages, classes, strict=True))


def _add_field(
    described: descriptor_pb2.DescriptorProto, package: str, name: str, number: int, kind: str
) -> None:
    label, _, base = kind.rpartition(" ")
    field = described.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if label:
        field.label = _FIELD.LABEL_REPEATED
    if label == "map":
        # On the wire a map is a list of entries with the fields `key` and `value`.
        entry = described.nested_type.add(name="".join(p.title() for p in name.split("_")))
        entry.name += "Entry"
        entry.options.map_entry = True
        _add_field(entry, package, "key", 1, "string")
        _add_field(entry, package, "value", 2, base)
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{package}.{described.name}.{entry.name}"
    elif base in _SCALARS:
        field.type = getattr(_FIELD, f"TYPE_{base.upper()}")
    else:
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{base}" if "." in base else f".{package}.{base}"

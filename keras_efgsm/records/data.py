"""What a set of images was, by which it is known again."""

from dataclasses import dataclass

from keras_efgsm.records.part import Count, Part


@dataclass(frozen=True, kw_only=True)
class DataRecord(Part):
    """Number, size, classes and SHA-256 of images and labels.

    Args:
        num_images: how many there are.
        image_shape: height, width and channels.
        class_names: of the classes, in order.
        images: SHA-256 of the images' contents in their order.
        contents: the same whatever their order.
        labels: SHA-256 of the labels in their order.

    Example:

    ```python
    from keras_efgsm.data import load_digits

    then, now = load_digits("test").record(), load_digits("test").take(300).record()
    then.differences(now)  # ["number of images: 360 then, 300 now"]
    ```
    """

    num_images: Count
    image_shape: tuple[Count, ...]
    class_names: tuple[str, ...]
    images: str
    contents: str
    labels: str

    def differences(self, now: "DataRecord") -> list[str]:
        """What is another in `now`, in words; nothing if they are the same images and labels."""
        found = []
        if self.num_images != now.num_images:
            found.append(f"number of images: {self.num_images:,} then, {now.num_images:,} now")
        if self.image_shape != now.image_shape:
            found.append(
                f"image size: {_size(self.image_shape)} then, {_size(now.image_shape)} now"
            )
        if self.class_names != now.class_names:
            found.append(f"class names: {_classes(self.class_names, now.class_names)}")
        if self.num_images == now.num_images:
            if self.images != now.images:
                same = self.contents == now.contents
                found.append("order of the images" if same else "images")
            if self.labels != now.labels:
                found.append("labels")
        return found


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _classes(then: tuple[str, ...], now: tuple[str, ...]) -> str:
    gone, new = ([n for n in a if n not in b] for a, b in ((then, now), (now, then)))
    words = [
        f"{what} {', '.join(map(repr, names[:5]))}{', ...' if len(names) > 5 else ''}"
        for what, names in (("without", gone), ("with", new))
        if names
    ]
    return " and ".join(words) or "in another order"

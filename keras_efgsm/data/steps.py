"""How many batches an epoch has."""

from keras_efgsm.checks import check_count
from keras_efgsm.data.image_data import ImageData


def steps_per_epoch(data: ImageData, batch_size: int) -> int:
    """Returns how many batches one pass over `data` has, a last partial one included.

    Args:
        data: the images.
        batch_size: images per batch.

    Example:

    ```python
    from keras_efgsm.data import load_digits, steps_per_epoch

    steps_per_epoch(load_digits("train"), batch_size=128)  # 12
    ```
    """
    return -(-len(data) // check_count(batch_size, "batch_size"))

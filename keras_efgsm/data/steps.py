"""How many batches an epoch has."""

from keras_efgsm.checks import check_count
from keras_efgsm.data.image_data import ImageData


def steps_per_epoch(data: ImageData, batch_size: int) -> int:
    """Returns how many batches one pass over `data` has, a last partial one included.

    Args:
        data: the images.
        batch_size: images per batch.
    """
    return -(-len(data) // check_count(batch_size, "batch_size"))

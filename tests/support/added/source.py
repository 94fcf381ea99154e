"""A source of images of someone else's: one grey level for each class."""

import numpy as np

from keras_efgsm.data import ImageData, Source, SourceFacts


class Gradients(Source):
    """`gradients:K`: K grey levels, the k-th of them 20 k."""

    accepts = '"gradients:K", K grey levels'

    def claims(self, dataset, options):
        return dataset.startswith("gradients:")

    def describe(self, dataset, options):
        names = tuple(str(k) for k in range(int(dataset.partition(":")[2])))
        counts = {"train": len(names), "test": len(names)}
        return SourceFacts(dataset, "gradients", names, counts, {(4, 6): 1}, {1: 1})

    def load(self, dataset, split, options):
        names = self.describe(dataset, options).class_names
        levels = np.arange(len(names), dtype="uint8").reshape(-1, 1, 1, 1)
        images = np.broadcast_to(levels * 20, (len(names), 4, 6, 1))
        return ImageData(images, np.arange(len(names)), names, name=f"{dataset}:{split}")

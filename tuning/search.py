"""Searches hyperparameters by robust accuracy: `keras-efgsm tune` as a script.

python tuning/search.py mnist --parameters lambda,sigma --out searches/mnist
"""

import sys

from keras_efgsm.cli import main

if __name__ == "__main__":
    sys.exit(main(["tune", *sys.argv[1:]]))

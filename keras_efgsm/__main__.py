"""`python -m keras_efgsm` is `keras-efgsm`."""

import sys

from keras_efgsm.cli import main

sys.exit(main())

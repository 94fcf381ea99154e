"""Classifiers of images of any shape, one architecture or family a file; `table.py` names them."""

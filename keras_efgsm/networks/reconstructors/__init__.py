"""Re-constructors of images of any shape, one architecture a file; `table.py` names them."""

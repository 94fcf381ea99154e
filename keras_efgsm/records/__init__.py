"""What is written beside a result: its figures, its pictures, what it was measured with."""

"""Checks an export as TensorFlow Serving would meet it, with a test double in its place."""

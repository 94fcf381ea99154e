"""The names of the precisions that a network can be trained in."""

DTYPE_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
"""Precisions to train in: plain float16 or bfloat16 would round small updates away."""

AUTOMATIC = "auto"
"""The faster of float32 and mixed_bfloat16 on this machine, see `choose_dtype_policy`."""

"""Research: what the recipes and the figures of `docs/` and `results/` come from."""

"""A training run on disk: what is in its folder, who writes it, and how it goes on."""

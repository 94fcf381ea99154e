"""What `make docs` does beyond Markdown: pages of files, of examples and of public names."""

"""What `make docs` does beyond Markdown: pages from files of the repository, examples, reference."""

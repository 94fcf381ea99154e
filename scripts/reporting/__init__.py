"""Tables of results that several scripts print."""

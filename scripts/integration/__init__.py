"""Checks of whole pieces at work: killing, several processes, other libraries, a server."""

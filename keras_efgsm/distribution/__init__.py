"""Several replicas: which devices and workers take part, and what each of them keeps."""

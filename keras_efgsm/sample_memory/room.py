"""The memory that is available on this machine."""

import os
from pathlib import Path


def available_memory() -> int | None:
    """Bytes that a new array may take on this host, or None where the system does not tell.

    Example:

    ```python
    available_memory()  # about 8 GB of a machine with 16 GB
    ```
    """
    bounds = []
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                bounds.append(int(line.split()[1]) * 1024)
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        bounds.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        bounds.append(max(0, int(limit.read_text()) - int(used.read_text())))
    return min(bounds) if bounds else None

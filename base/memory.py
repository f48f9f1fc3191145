"""Memory that is at hand: what the system has left, and what its control group allows."""

from pathlib import Path


def available_memory() -> int | None:
    """Bytes that this process may still take, by the system and by its control group; None if unknown."""
    limits = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            counted = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            # Cached files are counted as used and given up when memory is asked for.
            cached = int(counted.get("inactive_file", 0)) + int(counted.get("active_file", 0))
            limits.append(int(limit) - int((group / "memory.current").read_text()) + cached)
    except (OSError, ValueError):
        pass
    return min(limits) if limits else None

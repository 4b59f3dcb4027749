"""What Linux's control groups allow this process: the memory of a container, or of a cluster's job."""

from pathlib import Path


def memory_limits(
    groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> list[tuple[int, int]]:
    """Bytes allowed and bytes in use for this process's group and for those around it; empty without a limit."""
    memberships = own.read_text(encoding="utf-8").splitlines() if own.is_file() else []
    # Version 2 has one line, 0::/path; of version 1 only the outermost group is checked.
    path = next((line.split("::", 1)[1].strip("/") for line in memberships if line.startswith("0::")), "")
    folder = groups / path
    around = [folder, *(parent for parent in folder.parents if parent.is_relative_to(groups))]
    pairs = [(group / "memory.max", group / "memory.current") for group in around]
    pairs.append((groups / "memory/memory.limit_in_bytes", groups / "memory/memory.usage_in_bytes"))
    found = []
    for limit, used in pairs:
        if limit.is_file() and (allowed := limit.read_text(encoding="ascii").strip()) != "max":
            found.append((int(allowed), int(used.read_text(encoding="ascii"))))
    return found

"""Usage of a confined process: blocks on the disk, threads, depth and number of files. Reads what the kernel says from
outside, and takes no answer of the process itself for granted.
"""

import os
import stat

DEPTH = 20  # folders inside folders
ENTRIES = 50_000
THREADS = 256
BLOCK = 512  # bytes that st_blocks counts in


def excess(pid: int, folder: str, disk: int) -> str | None:
    """Say which limit a process broke."""
    blocks, entries, deep = _folder(folder)
    if deep or entries > ENTRIES:
        return f"it made folders more than {DEPTH} deep" if deep else f"it made more than {ENTRIES:,} files"
    if BLOCK * (blocks + _nameless(pid)) > disk:
        return f"it wrote more than {disk:,} bytes"
    if (threads := _threads(pid)) > THREADS:
        return f"it started {threads:,} threads; {THREADS} are allowed"
    return None


def _folder(root: str) -> tuple[int, int, bool]:
    """Return blocks and entries below a folder, and whether it is too deep. What goes away meanwhile counts nothing."""
    blocks = entries = 0
    left = [(root, 0)]
    while left and entries <= ENTRIES:
        path, depth = left.pop()
        if depth > DEPTH:
            return blocks, entries, True
        try:
            with os.scandir(path) as found:
                for entry in found:
                    described = _described(entry)
                    entries += 1
                    blocks += described.st_blocks if described else 0
                    if described and stat.S_ISDIR(described.st_mode):
                        left.append((entry.path, depth + 1))
        except OSError:
            continue
    return blocks, entries, False


def _described(entry: "os.DirEntry[str]") -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _nameless(pid: int) -> int:
    """Return the blocks of files that have no name any more, and are open or mapped."""
    found: dict[int, int] = {}
    for name in _listed(f"/proc/{pid}/fd"):
        try:
            described = os.stat(f"/proc/{pid}/fd/{name}")  # noqa: PTH116
        except OSError:
            continue
        if stat.S_ISREG(described.st_mode) and not described.st_nlink:
            found[described.st_ino] = described.st_blocks
    mapped = _mapped(pid)
    return sum(found.values()) + sum(blocks for inode, blocks in mapped.items() if inode not in found)


def _mapped(pid: int) -> dict[int, int]:
    """Return the blocks that mapped files without a name may have, by inode."""
    found: dict[int, int] = {}
    try:
        with open(f"/proc/{pid}/maps") as file:  # noqa: PTH123
            for line in file:
                if line.rstrip().endswith("(deleted)"):
                    where, _, _, _, inode, *_ = line.split()
                    first, _, last = where.partition("-")
                    found[int(inode)] = found.get(int(inode), 0) + (int(last, 16) - int(first, 16)) // BLOCK
    except (OSError, ValueError):
        return found
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []


def _threads(pid: int) -> int:
    return len(_listed(f"/proc/{pid}/task"))

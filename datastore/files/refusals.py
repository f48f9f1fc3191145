"""What the system refuses, in one sentence: the file, what the system says of it, and the mend."""

import errno
import os
from pathlib import Path

from base.errors import RalmError, Unavailable

_AGAIN = "run the same command again, it goes on where it stopped."
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_MENDS = {
    errno.EFBIG: f"allow larger files (`ulimit -f`, or another file system) and {_AGAIN}",
    errno.EMFILE: f"allow a process more files (`ulimit -n`) and {_AGAIN}",
    errno.ENFILE: f"close other programs or allow more files (`sysctl fs.file-max`) and {_AGAIN}",
    errno.ENOMEM: f"free memory, or allow more maps (`sysctl vm.max_map_count`), and {_AGAIN}",
    errno.EIO: f"see to the disk (`dmesg` says more) and {_AGAIN}",
    errno.ESTALE: f"mount its file system again and {_AGAIN}",
    errno.ENAMETOOLONG: "choose a shorter name.",
    errno.EISDIR: "name a file.",
    errno.ENOENT: "look whether its folder is there, and choose another one if it cannot be made.",
    **dict.fromkeys(_FORBIDDEN, "see to its permissions, or choose another folder."),
    **dict.fromkeys(_FULL, f"free some and {_AGAIN}"),
}
# What no other machine, and no second try, would manage either.
_FOR_GOOD = (errno.ENAMETOOLONG, errno.EFBIG)


def explain(error: OSError, path: Path) -> Exception:
    """What to raise where a file cannot be written; an error that is not the system's stays itself.

    A machine may be at fault (`Unavailable`), unless no other one would manage either.
    """
    if error.errno is None:
        return error
    if error.errno in _FULL:
        return RalmError(f"No space left to write {path}: {_mend(error)}")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return RalmError(f"{path} cannot be a folder: a file stands in its way.")
    if error.errno in _FORBIDDEN:
        # Or one machine has it for reading only: another may do the task.
        return Unavailable(f"{path} cannot be written: choose a folder that you may write to.")
    kind = RalmError if error.errno in _FOR_GOOD else Unavailable
    return kind(f"{path} cannot be written ({_reason(error)}): {_mend(error)}")


def refused(error: OSError) -> str:
    """The sentence about an error that nobody foresaw where it was raised."""
    if error.filename is None:
        return f"The system refuses to go on ({_reason(error)}): {_mend(error)}"
    name = os.fsencode(error.filename).decode(errors="backslashreplace")
    return f"{name} cannot be used ({_reason(error)}): {_mend(error)}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def _mend(error: OSError) -> str:
    return _MENDS.get(error.errno or 0, f"mend that and {_AGAIN}")

"""Python processes that this one starts, for what may crash or hang there alone."""

import os
import sys


def environment() -> dict[str, str]:
    """This process's environment, with its import path: a child imports what this one does."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

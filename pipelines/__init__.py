"""What people run: the command line, the build, the evaluation."""

import signal
import sys

# By Ctrl-C in the moment before the command line listens for it (`commands/stopping.py`) it ends as any
# program does: nothing has begun, and which import it was at tells nobody anything.
_RUN = sys.argv[:1] == ["-m"] or any(name.endswith("/ralm") for name in sys.argv[:1])
if _RUN and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

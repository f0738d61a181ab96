"""What every test relies on."""

import os
import signal

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the command does, and as early

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background ignores Ctrl-C for them, and the processes that
    # they start and interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

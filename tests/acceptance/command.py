"""The command `turnwise`, as the tests start it: `python -m tests.acceptance.command …`."""

from service.cli import main

if __name__ == "__main__":
    raise SystemExit(main())

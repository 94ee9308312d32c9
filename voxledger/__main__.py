"""The command `voxledger`, and `python -m voxledger`: the command line, and an interrupt that comes before it is there."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from voxledger.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()

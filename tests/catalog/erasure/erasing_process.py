"""A process that erases somebody, or goes on with it, to be killed at a failpoint: `HOME ACTOR`."""

from __future__ import annotations

import sys
from pathlib import Path

from voxledger.catalog.log import sealing
from voxledger.ledger import Ledger


def main() -> None:
    sealing.SEAL = 10
    with Ledger(Path(sys.argv[1])) as vox:
        if vox.erasure.waiting():
            vox.erasure.resume()
        else:
            vox.erasure.apply(vox.erasure.plan(actor=sys.argv[2]))


if __name__ == "__main__":
    main()

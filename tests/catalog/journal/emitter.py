"""A process that emits numbered events one by one: `emitter.py JOURNAL FIRST COUNT`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.catalog.journal.emitting import draft, numbered
from voxledger.catalog.journal import Journal

path, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
journal = Journal(path)
for number in range(first, first + count):
    event = journal.emit(draft(numbered(number)))[0]
    print(event.position, event.id, flush=True)
journal.close()

"""A process that fetches an object, to be killed at a failpoint: URL ACCESS SECRET HOME BUCKET KEY PATH BYTES SHA256."""

from __future__ import annotations

import sys
from pathlib import Path

from voxledger.catalog.home import Home
from voxledger.catalog.objects.ranged import fetch_object
from voxledger.catalog.objects.store import Store
from voxledger.catalog.settings import Store as StoreSettings


def main() -> None:
    url, access_key, secret_key, home, bucket, key, path, size, sha256 = sys.argv[1:]
    store = Store(Home.open(home), StoreSettings(endpoint=url, access_key=access_key, secret_key=secret_key))
    fetch_object(store, bucket, key, Path(path), bytes=int(size), sha256=sha256, threads=2)


if __name__ == "__main__":
    main()

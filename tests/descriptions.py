"""What boto3 reads for each client, a megabyte that describes S3, a process of the tests and its forks read once for all."""

from __future__ import annotations

import functools
from typing import Any

from botocore.loaders import JSONFileLoader, Loader


def read_once() -> None:
    """From now on each description is read the first time only."""
    read, model = JSONFileLoader.load_file, Loader.load_service_model
    models: dict[tuple[str | None, ...], Any] = {}

    @functools.cache
    def description(path: str) -> Any:
        return read(JSONFileLoader(), path)

    def described(loader: Loader, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        asked = (service_name, type_name, api_version)
        if asked not in models:
            models[asked] = model(loader, *asked)
        return models[asked]

    JSONFileLoader.load_file = lambda _, path: description(path)
    Loader.load_service_model = described


def read_now() -> None:
    """Read what a client of S3 needs, for those that are forked from this process."""
    import boto3

    boto3.client("s3", region_name="us-east-1", aws_access_key_id="nobody", aws_secret_access_key="nothing")

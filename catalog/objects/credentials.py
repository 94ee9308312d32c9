"""Credentials: where the keys for a store come from. What they are is told to nobody."""

from __future__ import annotations

import os

import msgspec

from voxledger.catalog.settings import Store as StoreSettings

_WORDS = {
    "env": "the environment (AWS_ACCESS_KEY_ID)",
    "shared-credentials-file": "the file of AWS credentials",
    "config-file": "the AWS configuration file",
    "custom-process": "a program that the AWS profile names (credential_process)",
    "assume-role": "a role that the AWS profile names",
    "assume-role-with-web-identity": "a web identity (AWS_WEB_IDENTITY_TOKEN_FILE)",
    "sso": "single sign-on of the AWS profile",
    "login": "single sign-on of the AWS profile",
    "container-role": "the container's role",
    "iam-role": "the machine's role",
    "boto-config": "the configuration file of boto 2",
}
_WHERE = "store.access_key and store.secret_key, the AWS_* variables, an AWS profile, or a web identity"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """`source` in words; empty when there are none, and then `trouble` says why. `temporary` ones are renewed by boto3."""

    source: str = ""
    trouble: str = ""
    temporary: bool = False


def find_credentials(settings: StoreSettings) -> Credentials:
    """Where the keys for `store.endpoint` come from; a role's may have to be asked for, over the network. Never fails."""
    import botocore.session
    from botocore.exceptions import BotoCoreError, ClientError

    if bool(settings.access_key) != bool(settings.secret_key):
        given, missing = "access_key", "secret_key"
        if not settings.access_key:
            given, missing = missing, given
        return Credentials(trouble=f"store.{given} is set, store.{missing} is not; set both, or neither")
    if settings.access_key:
        return Credentials(source="the settings (store.access_key)")
    try:
        found = botocore.session.Session().get_credentials()
        if found is None:
            return Credentials(trouble=f"no keys were found; set {_WHERE}")
        frozen = found.get_frozen_credentials()
    except (BotoCoreError, ClientError, OSError) as error:
        # Only its kind: messages of profiles and of token services quote what they were given.
        return Credentials(trouble=f"no keys could be had ({type(error).__name__}); check {_WHERE}")
    profile = os.environ.get("AWS_PROFILE")
    source = _WORDS.get(found.method, found.method) + (
        f", profile {profile}" if profile and found.method != "env" else ""
    )
    return Credentials(source=source, temporary=bool(frozen.token))

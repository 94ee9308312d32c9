"""Reading the settings: the call wins over the environment, that over `voxledger.toml`, that over the defaults."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec

from voxledger.catalog.errors import SettingsError
from voxledger.catalog.settings.reports import check_channels
from voxledger.catalog.settings.sections import Retention, Settings
from voxledger.catalog.settings.units import parse_size, parse_span

FILE_NAME = "voxledger.toml"
PREFIX = "VOXLEDGER_"
_DAY = 86400.0


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with the origin of each value (`default`, `call`, `VOXLEDGER_…` or the file) by dotted name."""

    settings: Settings
    origin: Mapping[str, str]


def names() -> dict[str, msgspec.structs.FieldInfo]:
    """Every setting by dotted name, in the order of declaration."""
    return {
        f"{section.name}.{field.name}": field
        for section in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(section.type)
    }


def variable(name: str) -> str:
    """The environment variable of a setting: `store.endpoint` -> `VOXLEDGER_STORE_ENDPOINT`."""
    return PREFIX + name.replace(".", "_").upper()


def is_secret(name: str) -> bool:
    """Whether a setting's value must never be shown."""
    return bool(_extra(names()[name]).get("secret"))


def load(home: Path, *, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read the settings of a HOME. The call wins over the environment, that over `voxledger.toml`, that over defaults.

    `overrides` takes names as `store.endpoint` or `store_endpoint`. Raises SettingsError that names the setting, where
    it was written, and what would be right.
    """
    known = names()
    values: dict[str, Any] = {}
    origin = dict.fromkeys(known, "default")
    for where, found in (
        (FILE_NAME, _from_file(home / FILE_NAME)),
        ("environment", _from_environment(known, os.environ if environ is None else environ)),
        ("call", _from_call(known, overrides or {})),
    ):
        with _of(home / FILE_NAME if where == FILE_NAME else None):
            for name, value in found.items():
                values[name] = _read(name, value, known[name], where)
                origin[name] = variable(name) if where == "environment" else where
    _add_policy(home, values, origin, known)
    for name, field in known.items():
        if _extra(field).get("unit") == "folder":
            values[name] = str(home / Path(values.get(name, field.default)).expanduser())
    sections: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    settings = Settings(
        **{section.name: section.type(**sections.get(section.name, {})) for section in msgspec.structs.fields(Settings)}
    )
    try:
        _check(settings)
    except SettingsError as error:
        if origin.get(error.name or "") == FILE_NAME:
            error.file = home / FILE_NAME
        raise
    return Loaded(settings=settings, origin=origin)


def read_policy(path: Path, base: Retention) -> Retention:
    """What a file with a section `[retention]` says, and nothing else, on top of `base`. Raises SettingsError."""
    known = names()
    with _of(path):
        found = {name: _read(name, value, known[name], str(path)) for name, value in _policy_of(path).items()}
    return msgspec.structs.replace(base, **{name.partition(".")[2]: value for name, value in found.items()})


def _add_policy(home: Path, values: dict[str, Any], origin: dict[str, str], known: Mapping[str, Any]) -> None:
    """Add what the policy's own file says. What stands in both files is refused: nobody could tell which one holds."""
    named = values.get("retention.policy", "")
    if not named:
        return
    path = home / Path(named).expanduser()
    with _of(path):
        for name, value in _policy_of(path).items():
            if origin[name] == FILE_NAME:
                raise SettingsError(f"{name} stands in {FILE_NAME} and in {path}; write it into one of them", name=name)
            if origin[name] == "default":
                values[name] = _read(name, value, known[name], str(path))
                origin[name] = named


@contextmanager
def _of(path: Path | None) -> Iterator[None]:
    """What is wrong in this block stands in this file."""
    try:
        yield
    except SettingsError as error:
        error.file = path if error.file is None else error.file
        raise


def _policy_of(path: Path) -> dict[str, Any]:
    """The settings of a policy's file by dotted name."""
    if not path.is_file():
        raise SettingsError(f"{path}, which is to hold the policy, is not there", name="retention.policy")
    found = _from_file(path)
    for name in found:
        if not name.startswith("retention.") or name == "retention.policy":
            raise SettingsError(
                f"{path}: {name} does not belong into a policy's own file; it holds [retention] only", name=name
            )
    return found


def _extra(field: msgspec.structs.FieldInfo) -> dict[str, Any]:
    metas = [meta for meta in getattr(field.type, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return {key: value for meta in metas for key, value in (meta.extra or {}).items()}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        at = re.search(r"at line (\d+), column (\d+)", str(error))
        raise SettingsError(
            f"{path} is not valid TOML: {error}", file=path, at=(int(at[1]), int(at[2])) if at else None
        ) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}", file=path) from None
    found: dict[str, Any] = {}
    with _of(path):
        for section, content in tree.items():
            if not isinstance(content, dict):
                raise SettingsError(f"{path}: {section!r} stands outside a section; {_hint(section)}", name=section)
            for key, value in content.items():
                name = f"{section}.{key}"
                if name not in names():
                    raise SettingsError(f"{path}: unknown setting {name!r}; {_hint(name)}", name=name)
                found[name] = value
    return found


def _from_environment(known: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    mine = {variable(name): name for name in known}
    found = {mine[key]: value for key, value in environ.items() if key in mine}
    sections = tuple(f"{PREFIX}{section.name.upper()}_" for section in msgspec.structs.fields(Settings))
    for key in environ:
        if key.startswith(sections) and key not in mine:
            near = get_close_matches(key, mine, n=1)
            hint = f"did you mean {near[0]}?" if near else "`voxledger config` lists them all"
            raise SettingsError(f"unknown variable {key}: {hint}", name=key)
    return found


def _from_call(known: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name.replace(".", "_"): name for name in known}
    found: dict[str, Any] = {}
    for key, value in overrides.items():
        name = key if key in known else flat.get(key)
        if name is None:
            raise SettingsError(f"unknown setting {key!r}; {_hint(key.replace('_', '.', 1))}", name=key)
        found[name] = value
    return found


def _hint(name: str) -> str:
    near = get_close_matches(name, names(), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else "`voxledger config` lists them all"


def _read(name: str, value: Any, field: msgspec.structs.FieldInfo, where: str) -> Any:
    unit = _extra(field).get("unit")
    try:
        if isinstance(value, str) and unit == "bytes":
            value = parse_size(value)
        elif unit == "seconds":
            value = _seconds(value)
        elif isinstance(value, str) and get_origin(field.type) is tuple:
            value = _parts(value)
        elif isinstance(value, list) and _element(field.type) is not None:
            value = tuple(_record(name, number, part, _element(field.type), where) for number, part in enumerate(value))
            return msgspec.convert(value, field.type, from_attributes=True)
        return msgspec.convert(value, field.type, strict=not isinstance(value, str))
    except SettingsError:
        raise
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        shown = "its value" if is_secret(name) else repr(value)
        raise SettingsError(f"{name} = {shown} (from {where}) is not right: {error}", name=name) from None


def _element(kind: Any) -> type[msgspec.Struct] | None:
    """The record of which a setting holds several, as `[[section.name]]` writes them."""
    part = get_args(kind)[0] if get_origin(kind) is tuple else None
    return part if isinstance(part, type) and issubclass(part, msgspec.Struct) else None


def _record(name: str, number: int, value: Any, kind: Any, where: str) -> Any:
    """One of several records, its spans in seconds and its sizes in bytes. Raises SettingsError that says which and where."""
    try:
        return msgspec.convert(_measured(value, kind), kind)
    except (msgspec.ValidationError, ValueError) as error:
        said, _, at = str(error).partition(" - at `$")
        found = re.search(r"field `(\w+)`", said)
        key = at.strip("`.").split(".")[0].split("[")[0] or (found[1] if found else "")
        called = f" ({value['name']!r})" if isinstance(value, dict) and isinstance(value.get("name"), str) else ""
        said = said.replace("Object missing required field", "it lacks").replace(
            "Object contains unknown field", "there is no"
        )
        message = f"{name} number {number + 1}{called}{f', {key}' if at else ''}: {said} (from {where})"
        place = (*name.split("."), number, *([key] if key else []))
        raise SettingsError(message, name=name, place=place) from None


def _measured(value: Any, kind: Any) -> Any:
    """A record as TOML gives it, its spans in seconds and its sizes in bytes. Raises ValueError that names the field."""
    if not isinstance(value, dict):
        return value
    units = {field.name: _extra(field).get("unit") for field in msgspec.structs.fields(kind)}
    found = dict(value)
    for key, content in value.items():
        if isinstance(content, str) and units.get(key) in ("seconds", "bytes"):
            try:
                found[key] = parse_span(content) if units[key] == "seconds" else parse_size(content)
            except ValueError as error:
                raise ValueError(f"{error} - at `$.{key}`") from None
    return found


def _parts(text: str) -> list[Any]:
    """A list in one line: `a, b`, or `["a", "b"]` as the file writes it. Raises ValueError."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError('write a list as `a, b` or as `["a", "b"]`') from None
    return list(found)


def _seconds(value: Any) -> Any:
    return parse_span(value) if isinstance(value, str) else value


def _check(settings: Settings) -> None:
    try:
        ZoneInfo(settings.general.time_zone)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            f"general.time_zone = {settings.general.time_zone!r} is no IANA time zone, such as 'Europe/Berlin'",
            name="general.time_zone",
        ) from None
    try:
        shown = settings.store.key.format(actor="a", session="s", name="n", clip="c", ext="e")
    except (KeyError, IndexError, ValueError, AttributeError):
        shown = ""
    if "{clip}" not in settings.store.key or not shown:
        raise SettingsError(
            f"store.key = {settings.store.key!r} must hold {{clip}}, and besides only {{actor}}, {{session}}, {{name}} and {{ext}}",
            name="store.key",
        )
    for name in ("access_key", "secret_key"):
        if not re.fullmatch(r"[!-~]*", getattr(settings.store, name)):
            raise SettingsError(
                f"store.{name} holds a blank, a line break or another character that no key has; copy it again",
                name=f"store.{name}",
            )
    _check_endpoint("store", settings.store.endpoint)
    _check_endpoint("backup", settings.backup.endpoint)
    check_channels(settings.report, settings.mail, settings.webhook)
    if 0 < settings.retention.backstop < _DAY:
        raise SettingsError(
            f"retention.backstop = {settings.retention.backstop:g} s is less than a day, the shortest span of a lifecycle"
            " rule; 0 means none",
            name="retention.backstop",
        )


def _check_endpoint(section: str, endpoint: str) -> None:
    name = f"{section}.endpoint"
    if "@" in endpoint.partition("://")[2].partition("/")[0]:
        # Its value is not shown: what stands before the @ is a secret, and this name is no place for it.
        raise SettingsError(
            f"{name} holds a user name and a password; write them as {section}.access_key and {section}.secret_key",
            name=name,
        )
    if endpoint and not re.match(r"https?://[^/\s]+", endpoint):
        raise SettingsError(f"{name} = {endpoint!r} is no URL, such as 'http://127.0.0.1:9000'", name=name)

"""Settings: declared once, read from the call, the environment and `voxledger.toml`, each value with its origin."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin
from zoneinfo import ZoneInfo

import msgspec

from voxledger.catalog.errors import SettingsError

FILE_NAME = "voxledger.toml"
PREFIX = "VOXLEDGER_"
_SCALE = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_LARGEST = 2**62
_LONGEST = 1000 * 366 * 86400.0
_UNITS = {"ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
Positive = Annotated[int, msgspec.Meta(ge=1)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**62, extra={"unit": "bytes"})]
Span = Annotated[float, msgspec.Meta(ge=0, le=1000 * 366 * 86400.0, extra={"unit": "seconds"})]
Secret = Annotated[str, msgspec.Meta(extra={"secret": True})]
InHome = Annotated[str, msgspec.Meta(extra={"unit": "folder"})]
"""A folder; one that is not absolute lies in HOME."""
RemoteField = Literal["stream_format", "seed", "lang", "ref_audio", "emo_vector", "emo_audio", "emo_text"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class General(_Section, frozen=True, kw_only=True):
    """What concerns the whole installation."""

    actor: str = ""
    """Who is speaking when a call does not say; empty = the login name."""
    time_zone: str = "UTC"
    """IANA name; weeks of reports begin on Monday 00:00 there."""
    min_free_disk: Size = 500_000_000
    """Synthesis is refused when HOME's disk has less room than this."""
    store_text: bool = True
    """Whether the spoken text is kept (sealed). Without it only its length and keyed hash are recorded."""


class Synth(_Section, frozen=True, kw_only=True):
    """How clips are made."""

    engine: str = "espeak"
    """Name of the engine that speaks when a call does not say."""
    max_text: Positive = 100_000
    """Longest text of one clip, in characters."""
    wait: Span = 300.0
    """How long a caller waits for another one that is making the same clip."""
    loudness: Annotated[float, msgspec.Meta(ge=-40, le=-5)] = -16.0
    """Delivered loudness in LUFS, before the emotion's level offset."""
    sample_rate: Annotated[int, msgspec.Meta(ge=0, le=192_000)] = 0
    """Delivered sample rate in Hz; 0 = the engine's own."""
    queue: Positive = 1000
    """Most requests that wait for one engine; further ones are refused."""
    queue_wait: Span = 600.0
    """How long a request waits for its turn."""
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 1
    """How often a piece of text that an engine failed at is tried again."""
    speech_cache: Size = 2_000_000_000
    """Size of the cache of spoken sentences; 0 = none."""
    speech_keep: Span = 7 * 86400.0
    """A sentence that was not used for this long leaves that cache; never longer than a clip is kept at least."""


class Remote(_Section, frozen=True, kw_only=True):
    """The engine `remote`: any server that answers `POST /v1/audio/speech`, OpenAI's or one of your own."""

    url: str = ""
    """Where the server is, such as http://127.0.0.1:8091/v1; empty = the engine is not available."""
    model: str = ""
    """Model to ask for; empty = the server's only one."""
    voice: str = ""
    """Voice when a call names none."""
    voices: tuple[str, ...] = ()
    """Voices the server has; empty = any name is passed on and the server judges."""
    languages: tuple[str, ...] = ()
    """BCP 47 tags the server speaks; empty = those that OpenAI names for its own models."""
    key_variable: str = ""
    """Environment variable that holds the key; empty = OPENAI_API_KEY for api.openai.com, no key elsewhere."""
    format: Literal["pcm", "wav"] = "pcm"
    """What audio is asked for: pcm = bare 16-bit samples, wav = with a header that tells the rate."""
    sample_rate: Annotated[int, msgspec.Meta(ge=8000, le=192_000)] = 24_000
    """Rate of the server's pcm in Hz."""
    request: Literal["sentence", "text"] = "sentence"
    """What goes into one request: a sentence, or as many as 4,096 characters hold."""
    instructions: bool = False
    """Whether an emotion in words is sent as OpenAI's `instructions`; the model must understand them."""
    fields: tuple[RemoteField, ...] = ()
    """Fields beyond OpenAI's that the server takes, as vLLM-Omni documents them; docs/engines.md tells each."""
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    """Requests that the server is asked at once."""
    retries: Annotated[int, msgspec.Meta(ge=0, le=20)] = 3
    """How often a request is repeated that the server was too busy for, or could not take."""
    connect_timeout: Span = 10.0
    """Time limit for the connection."""
    first_timeout: Span = 60.0
    """Time limit from the request to the first audio."""
    pause_timeout: Span = 30.0
    """Longest pause within the audio."""
    total_timeout: Span = 600.0
    """Time limit of one request with all its repetitions."""


class IndexTts(_Section, frozen=True, kw_only=True):
    """The engine `indextts`: IndexTTS-2.5 in worker processes, one a device."""

    model_dir: InHome = "models/indextts-2.5"
    """Folder of the checkpoint; a relative one lies in HOME."""
    python: str = ""
    """Python that has the package `indextts25-inference`; empty = the one that runs Voxledger."""
    devices: tuple[str, ...] = ("auto",)
    """Devices that speak, each with a worker of its own, such as cuda:0, cuda:1; auto = all NVIDIA GPUs, else the CPU."""
    attention: Literal["sdpa", "flash"] = "sdpa"
    """How attention is computed; flash needs flash-attn and an NVIDIA GPU."""
    fp16: bool = False
    """Whether half precision is used (bfloat16, on a GPU): 1.7 GB less, not faster."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    """Threads on a CPU; part of what decides the samples, bit by bit."""
    idle: Span = 600.0
    """A worker without work for this long is ended, which frees its GPU; 0 = never."""
    load_limit: Span = 300.0
    """Time limit for loading, and for the first segment in a language, when its grammar may have to be compiled."""
    segment_limit: Span = 300.0
    """Time limit for any other segment; a worker that takes longer is killed."""
    memory: Size = 24_000_000_000
    """RAM that a worker may hold; one that takes more is killed. 0 = no limit."""
    state: InHome = "indextts"
    """Folder for the logs of the workers and the hashes of the checkpoint; a relative one lies in HOME."""


class Store(_Section, frozen=True, kw_only=True):
    """The S3 store. Without an endpoint the embedded one serves HOME/store."""

    endpoint: str = ""
    """URL of the S3 endpoint; empty = the embedded store."""
    region: str = "us-east-1"
    """Region that requests are signed for."""
    access_key: Secret = ""
    """Access key; empty = as boto3 finds it (environment, profile, role)."""
    secret_key: Secret = ""
    """Secret key that belongs to `store.access_key`."""
    path_style: bool = True
    """Whether the bucket stands in the path rather than in the host name."""
    audio: str = "indextts-audio"
    """Bucket of clips."""
    events: str = "indextts-events"
    """Bucket of sealed log segments."""
    voices: str = "indextts-voices"
    """Bucket of registered recordings and of the documents that consent to them."""
    key: str = "{actor}/{session}/{name}-{clip}.{ext}"
    """Template of an audio key; must hold {clip}."""
    records: Literal["auto", "always", "never"] = "auto"
    """Whether a small sealed record is put beside each object; auto = where the store forgets metadata."""
    upload_threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    """Concurrent uploads of one process."""
    close_wait: Span = 10.0
    """How long closing waits for uploads that are still going."""
    idle_stop: Span = 600.0
    """The embedded store stops after this long without a user."""


class Mixpanel(_Section, frozen=True, kw_only=True):
    """Delivery to Mixpanel. Without a token events wait."""

    token: Secret = ""
    """Project token; empty = nothing is sent."""
    service_account: str = ""
    """User name of a service account; empty = the token authenticates."""
    service_secret: Secret = ""
    """Secret of the service account."""
    project_id: str = ""
    """Project id, needed with a service account."""
    region: Literal["us", "eu", "in"] = "us"
    """Where the project lives."""
    endpoint: str = ""
    """Full URL in place of the region's host, for a proxy."""
    timeout: Span = 30.0
    """Time limit of one request."""


class ExpireRule(_Section, frozen=True, kw_only=True):
    """Clips that match expire after `keep_for`. All conditions must hold; none = every clip."""

    name: str
    keep_for: Span
    tag: str = ""
    actor: str = ""
    session: str = ""
    emotion: str = ""
    bucket: str = ""


class Retention(_Section, frozen=True, kw_only=True):
    """Which audio may go, and how slowly."""

    grace: Span = 7 * 86400.0
    """Time between mark and purge."""
    minimum_age: Span = 2 * 86400.0
    """No clip younger than this is ever marked."""
    max_clips: Positive = 5000
    """Fuse: a plan that condemns more clips than this is not applied."""
    max_percent: Annotated[float, msgspec.Meta(gt=0, le=100)] = 10.0
    """Fuse: a plan that condemns a larger share of all clips than this is not applied."""
    rules: tuple[ExpireRule, ...] = ()
    """Expire rules, `[[retention.rules]]`; the shortest matching `keep_for` decides."""


class Report(_Section, frozen=True, kw_only=True):
    """The weekly report."""

    samples: Annotated[int, msgspec.Meta(ge=0, le=50)] = 8
    """Playable clips in the page."""
    folder: str = ""
    """Where scheduled reports are written; empty = HOME/reports."""


class Schedule(_Section, frozen=True, kw_only=True):
    """How often a serving process looks for work."""

    drain: Span = 1.0
    """Between two drains of the journal."""
    deliver: Span = 15.0
    """Between two looks at what waits for Mixpanel."""
    report: Span = 600.0
    """Between two looks for closed weeks without a report."""
    search: Span = 5.0
    """Between two looks for events that the search index lacks."""
    publish: Span = 86400.0
    """Between two heads of the chain that are put into the store, where the owner of HOME cannot change them."""


class Settings(_Section, frozen=True, kw_only=True):
    """All settings of one HOME."""

    general: General = General()
    synth: Synth = Synth()
    remote: Remote = Remote()
    indextts: IndexTts = IndexTts()
    store: Store = Store()
    mixpanel: Mixpanel = Mixpanel()
    retention: Retention = Retention()
    report: Report = Report()
    schedule: Schedule = Schedule()


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings with the origin of each value (`default`, `call`, `VOXLEDGER_…` or the file) by dotted name."""

    settings: Settings
    origin: Mapping[str, str]


def parse_size(text: str) -> int:
    """Bytes from `"500MB"`, `"2GiB"` or a plain number. Raises ValueError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if not found or (found[2].upper() or "B") not in _SCALE:
        raise ValueError(f"{text!r} is no size: write a number with B, KB, MB, GB, TB, KiB, MiB, GiB or TiB")
    size = float(found[1]) * _SCALE[found[2].upper() or "B"]
    if size >= _LARGEST:
        raise ValueError(f"{text[:40]!r} is more than any disk has")
    return int(size)


def parse_span(text: str) -> float:
    """Seconds from `"90s"`, `"15min"`, `"7d"`, `"1d12h"` or a plain number. Raises ValueError."""
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|min|s|m|h|d|w)", text)
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*", text):
        parts = [(text.strip(), "s")]
    elif not parts or re.sub(r"\s", "", text) != "".join(number + unit for number, unit in parts):
        raise ValueError(f"{text!r} is no time span: write a number with ms, s, m, min, h, d or w")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise ValueError(f"{text[:40]!r} is longer than a thousand years")
    return seconds


def format_span(seconds: float) -> str:
    """A time span as people write it: `7d`, `1h30min`, `0s`."""
    rest = timedelta(seconds=seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        count, rest = divmod(rest, timedelta(seconds=size))
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{rest.total_seconds():g}s")
    return "".join(parts)


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
        for name, value in found.items():
            values[name] = _read(name, value, known[name], where)
            origin[name] = variable(name) if where == "environment" else where
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
    _check(settings)
    return Loaded(settings=settings, origin=origin)


def _extra(field: msgspec.structs.FieldInfo) -> dict[str, Any]:
    metas = [meta for meta in getattr(field.type, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return {key: value for meta in metas for key, value in (meta.extra or {}).items()}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    found: dict[str, Any] = {}
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
            value = [part.strip() for part in value.split(",") if part.strip()]
        elif name == "retention.rules" and isinstance(value, list):
            value = [{**rule, "keep_for": _seconds(rule["keep_for"])} if "keep_for" in rule else rule for rule in value]
        return msgspec.convert(value, field.type, strict=not isinstance(value, str))
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        shown = "its value" if is_secret(name) else repr(value)
        raise SettingsError(f"{name} = {shown} (from {where}) is not right: {error}", name=name) from None


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
    if settings.store.endpoint and not re.match(r"https?://[^/\s]+", settings.store.endpoint):
        raise SettingsError(
            f"store.endpoint = {settings.store.endpoint!r} is no URL, such as 'http://127.0.0.1:9000'",
            name="store.endpoint",
        )

"""The sections of the settings: every setting with its type, its default and what it is for."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from voxledger.catalog.settings.kinds import Count, InHome, Positive, Rank, Secret, Section, Size, Span
from voxledger.catalog.settings.mixpanel import Mixpanel
from voxledger.catalog.settings.prices import Prices
from voxledger.catalog.settings.reports import Mail, Report, Webhook

RemoteField = Literal["stream_format", "seed", "lang", "ref_audio", "emo_vector", "emo_audio", "emo_text"]


class General(Section, frozen=True, kw_only=True):
    """What concerns the whole installation."""

    actor: str = ""
    """Who is speaking when a call does not say; empty = the login name."""
    time_zone: str = "UTC"
    """IANA name; weeks of reports begin on Monday 00:00 there."""
    min_free_disk: Size = 500_000_000
    """Synthesis is refused when HOME's disk has less room than this."""
    store_text: bool = True
    """Whether the spoken text is kept (sealed). Without it only its length and keyed hash are recorded."""


class Synth(Section, frozen=True, kw_only=True):
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


class Remote(Section, frozen=True, kw_only=True):
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


class IndexTts(Section, frozen=True, kw_only=True):
    """The engine `indextts`: IndexTTS-2.5 in worker processes, one a device."""

    model: str = ""
    """Model version `NAME@VERSION` that speaks, pulled from the store when it is not here; `NAME` = its current version.
    Empty = the files in `indextts.model_dir`."""
    model_dir: InHome = "models/indextts-2.5"
    """Folder of the checkpoint where `indextts.model` is empty; a relative one lies in HOME."""
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


class Store(Section, frozen=True, kw_only=True):
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
    models: str = "indextts-models"
    """Bucket of model versions."""
    backup: str = "indextts-backup"
    """Bucket of backups."""
    voices: str = "indextts-voices"
    """Bucket of registered recordings and of the documents that consent to them."""
    key: str = "{actor}/{session}/{name}-{clip}.{ext}"
    """Template of an audio key; must hold {clip}."""
    records: Literal["auto", "always", "never"] = "auto"
    """Whether a small sealed record is put beside each object; auto = where the store forgets metadata."""
    confirm: Literal["head", "auto", "answer"] = "head"
    """How an upload is verified: head = each object is looked at afterwards; answer = the answer to the PUT is enough where its ETag is
    the MD5 of the file, which saves a request a clip; auto = as answer where `doctor` saw that the store refuses damage, else as head."""
    upload_threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    """Concurrent uploads of one process, and parts of large files that are under way at a time."""
    upload_limit: Size = 0
    """Most bytes a second that one process sends to the store; 0 = no limit."""
    close_wait: Span = 10.0
    """How long closing waits for uploads that are still going."""
    idle_stop: Span = 600.0
    """The embedded store stops after this long without a user."""


class Cache(Section, frozen=True, kw_only=True):
    """Local copies of clips, in HOME/cache."""

    max_bytes: Size = 0
    """Room for them; beyond it, those that nobody has used for longest go, once the store has confirmed that it holds them.
    0 = no limit."""
    keep: Span = 600.0
    """A copy that was used within this time stays, whatever the limit."""


class Models(Section, frozen=True, kw_only=True):
    """Model versions: where they lie on this machine, and how they come here."""

    folder: InHome = "models"
    """Folder of the versions that were pulled; a relative one lies in HOME. Several HOMEs of one user may share it."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    """Connections over which a version is pulled or pushed."""
    grace: Span = 7 * 86400.0
    """`models gc` leaves alone what came into the store, or was removed there, within this time."""


class Backup(Section, frozen=True, kw_only=True):
    """Backups: where they go, what seals them, which are kept."""

    key: Secret = ""
    """Passphrase that encrypts backups; empty = they are not encrypted. Without it an encrypted backup is worth nothing."""
    vault_key: Secret = ""
    """Passphrase of the file that `voxledger backup create --vault FILE` writes; empty = it is asked for."""
    endpoint: str = ""
    """URL of another S3 endpoint that has the bucket `store.backup`; empty = the store itself."""
    region: str = "us-east-1"
    """Region of `backup.endpoint`."""
    access_key: Secret = ""
    """Access key for `backup.endpoint`; empty = as boto3 finds it."""
    secret_key: Secret = ""
    """Secret key that belongs to `backup.access_key`."""
    keep_last: Count = 3
    """`backup prune` keeps so many of the newest backups of a node, however close to each other."""
    keep_daily: Count = 7
    """The newest backup of each of so many days that have one, in `general.time_zone`."""
    keep_weekly: Count = 5
    """The newest backup of each of so many weeks that have one; weeks begin on Monday."""
    keep_monthly: Count = 12
    """The newest backup of each of so many months that have one."""


class _Scope(Section, frozen=True, kw_only=True):
    """Which clips: all conditions that are given must hold."""

    match: str = ""
    """One expression over the columns of `clips` and `:now`; `all` is every clip."""
    tag: str = ""
    """Has this tag."""
    actor: str = ""
    """Was made by this actor."""
    session: str = ""
    """Was made in this session."""
    emotion: str = ""
    """Has this dominant emotion."""
    bucket: str = ""
    """Lies in this bucket."""
    allow_unseen: bool = False
    """Whether it may name tags, actors and the like that no clip ever had."""


class ExpireRule(_Scope, frozen=True, kw_only=True):
    """Clips that match expire `keep_for` after their last use."""

    name: str
    """What reasons and events call it, in the open."""
    keep_for: Span
    """How long a clip stays after it was last used."""


class Newest(Section, frozen=True, kw_only=True):
    """The newest clips, those that were made last."""

    n: Rank
    """How many."""
    per: tuple[str, ...] = ()
    """Of each group that has the same values in these columns; empty = of all."""


class Best(Section, frozen=True, kw_only=True):
    """The best clips, those that come first in an order."""

    n: Rank
    """How many."""
    per: tuple[str, ...] = ()
    """Of each group that has the same values in these columns; empty = of all."""
    by: str = "rating DESC, plays DESC, quality DESC"
    """The order, as SQL writes it after ORDER BY; what is unknown comes last."""


class KeepRule(_Scope, frozen=True, kw_only=True):
    """Clips that match stay, whatever expire rules and budgets say."""

    name: str
    """What reasons call it."""
    rated: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    """Was rated at least so high."""
    consent_scope: str = ""
    """Speaks with a voice whose consent has this scope."""
    played_within: Span = 0.0
    """Was used again after it was made, within this time."""
    newest: Newest | None = None
    """Is among the newest of those that match."""
    best: Best | None = None
    """Is among the best of those that match."""


class Budget(_Scope, frozen=True, kw_only=True):
    """What clips in scope may weigh together; the least valuable go first."""

    name: str = ""
    """What reasons and events call it, in the open; empty = by its bucket or its number."""
    max_bytes: Size = 0
    """Most bytes; 0 = no such limit."""
    max_cost: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Most money for 30 days; 0 = no such limit."""
    per: tuple[str, ...] = ()
    """The limit is one for each group that has the same values in these columns, such as each actor; empty = for all together."""
    value: str = ""
    """What a clip is worth, a number made of its columns; empty = uses and rating, halved every 30 days without a use, per byte."""


class Retention(Section, frozen=True, kw_only=True):
    """Which audio may go, and how slowly."""

    policy: str = ""
    """A file of its own with this section, `retention.toml` say, beside `voxledger.toml`; what it says is said there only."""
    grace: Span = 7 * 86400.0
    """Time between mark and purge."""
    minimum_age: Span = 2 * 86400.0
    """No clip younger than this is ever marked."""
    max_clips: Positive = 5000
    """Fuse: a plan that marks, or purges, more clips than this is not applied."""
    max_bytes: Size = 0
    """Fuse: the same for their bytes; 0 = none."""
    max_percent: Annotated[float, msgspec.Meta(gt=0, le=100)] = 10.0
    """Fuse: the same as a share of all clips."""
    max_lag: Span = 3600.0
    """While events have waited longer than this to reach the tables, nobody knows what was used: everything is kept."""
    wrong_clock_until: str = ""
    """Events recorded until then, a time in UTC such as `2026-11-26 17:05`, bear the time of a clock that was wrong, far ahead: they do
    not speak against the present one any more. What stops a run for that tells the time. Empty = none."""
    withdrawn: Literal["keep", "delete"] = "keep"
    """What becomes of clips whose voice's consent was withdrawn: `delete` lets them go, whatever else speaks for them but a
    legal hold."""
    purge_window: str = ""
    """When purges may run, such as `01:00-05:00` in `general.time_zone`; empty = at any time."""
    schedule: str = ""
    """When `voxledger serve` plans and purges each night, such as `03:00`, or `03:00 Europe/Berlin` where that is not
    `general.time_zone`; empty = never by itself."""
    backstop: Span = 0.0
    """Lifecycle rules (`voxledger lifecycle`) let the store itself remove what a purge has begun to delete and this long
    after is still there, old versions too; at least a day. 0 = none."""
    rules: tuple[ExpireRule, ...] = ()
    """Expire rules, `[[retention.rules]]`; the first that matches decides (docs/retention.md)."""
    keep: tuple[KeepRule, ...] = ()
    """Keep rules, `[[retention.keep]]`; they win over expire rules and budgets."""
    budgets: tuple[Budget, ...] = ()
    """Budgets, `[[retention.budgets]]`: what clips may weigh or cost together."""


class Schedule(Section, frozen=True, kw_only=True):
    """How often a serving process looks for work."""

    drain: Span = 1.0
    """Between two drains of the journal."""
    deliver: Span = 15.0
    """Between two looks at what waits for Mixpanel."""
    report: Span = 600.0
    """Between two looks for closed weeks without a report."""
    send: Span = 15.0
    """Between two looks at what reports wait for their channels."""
    search: Span = 5.0
    """Between two looks for events that the search index lacks."""
    publish: Span = 86400.0
    """Between two heads of the chain that are put into the store, where the owner of HOME cannot change them."""


class Serve(Section, frozen=True, kw_only=True):
    """The pages and the HTTP API of `voxledger serve`."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 = all of this machine's."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8460
    """Port to listen at; 0 = one that is free."""
    names: tuple[str, ...] = ()
    """Further host names under which browsers and clients reach the node, behind a proxy say; requests for others are refused."""
    url: str = ""
    """Where people reach the node, such as https://speech.example.org; empty = its address and port."""
    tokens: Literal["required", "loopback"] = "required"
    """Who may ask without a token: required = nobody; loopback = whoever is on this machine, as its admin, where only it is listened to."""
    max_body: Size = 2_000_000
    """Largest body of a request."""
    max_upload: Size = 100_000_000
    """Largest upload: a recording, or the manifest of a batch."""
    at_once: Positive = 512
    """Requests that are worked on at the same time; further ones are asked to come back."""
    connections: Positive = 2000
    """Connections that are open at the same time; further ones are turned away."""
    warm: bool = True
    """Whether the usual engine is loaded at the start; else the first request waits for it."""
    stop_wait: Span = 30.0
    """How long a stop waits for requests that are under way."""
    idempotency: Span = 86400.0
    """How long the answer to a request with an `Idempotency-Key` is remembered."""
    log: Literal["text", "json"] = "text"
    """How the node writes its log to standard error."""
    log_level: Literal["debug", "info", "warning"] = "info"
    """From which level on it is written; debug has a line for each request in text, too."""
    metrics: Literal["token", "open"] = "token"
    """Who may read `/metrics`: token = whoever may see usage; open = whoever reaches the node."""
    traces: str = ""
    """OTLP endpoint that traces are sent to, such as http://127.0.0.1:4318; empty = as OTEL_EXPORTER_OTLP_ENDPOINT says, or none."""


class Sql(Section, frozen=True, kw_only=True):
    """The SQL service of `voxledger serve`: each query runs in a process of its own, on a snapshot of the tables."""

    enabled: bool = True
    """Whether there is one; it is off where memory limits cannot be enforced."""
    refresh: Span = 60.0
    """Least time between two snapshots; without changes there is no new one."""
    time: Annotated[float, msgspec.Meta(gt=0, le=3600.0, extra={"unit": "seconds"})] = 15.0
    """Time limit of a query."""
    memory: Annotated[int, msgspec.Meta(ge=64_000_000, le=2**62, extra={"unit": "bytes"})] = 1_000_000_000
    """Memory limit of a query."""
    rows: Positive = 100_000
    """Most rows of an answer; what is left off is said."""
    bytes: Size = 64_000_000
    """Most bytes of an answer."""
    at_once: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    """Queries that run at the same time; as many as ten times more wait."""


class Settings(Section, frozen=True, kw_only=True):
    """All settings of one HOME."""

    general: General = General()
    synth: Synth = Synth()
    remote: Remote = Remote()
    indextts: IndexTts = IndexTts()
    store: Store = Store()
    cache: Cache = Cache()
    models: Models = Models()
    backup: Backup = Backup()
    mixpanel: Mixpanel = Mixpanel()
    retention: Retention = Retention()
    prices: Prices = Prices()
    report: Report = Report()
    mail: Mail = Mail()
    webhook: Webhook = Webhook()
    schedule: Schedule = Schedule()
    serve: Serve = Serve()
    sql: Sql = Sql()

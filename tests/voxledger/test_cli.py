"""The command line, as people and scripts use it."""

from __future__ import annotations

import inspect
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from cyclopts import App

import voxledger
from tests.s3 import wait_for
from tests.smtp_server import Fault, SmtpServer
from voxledger.analytics.report import Week
from voxledger.catalog.commands import clips
from voxledger.catalog.events import EMOTIONS, NEUTRAL
from voxledger.cli import build, main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One HOME with an embedded store for all tests here; starting a store for each would only cost time."""
    path = tmp_path_factory.mktemp("cli") / "home"
    yield path
    subprocess.run(
        [sys.executable, "-m", "voxledger", "--home", str(path), "store", "stop"], check=True, capture_output=True
    )


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("VOXLEDGER_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "140")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        heard = capsys.readouterr()
        return int(ended.value.code or 0), heard.out, heard.err

    return run


def _commands() -> list[tuple[str, ...]]:
    return list(_inside(build()))


def _inside(app: App, *above: str) -> Iterator[tuple[str, ...]]:
    """The commands of a group, and of the groups within it."""
    for name in app:
        if not name.startswith("-"):
            yield from list(_inside(app[name], *above, name)) or [(*above, name)]


def test_say_prints_what_a_script_needs(run: Run) -> None:
    code, out, err = run("say", "The tide is turning.", "--emotion", "happy=0.8", "--format", "flac", "--json")
    assert (code, err) == (0, "")
    clip = json.loads(out)
    assert clip["state"] == "stored"
    assert Path(clip["path"]).read_bytes()[:4] == b"fLaC"
    assert clip["duration"] > 0.5
    again = json.loads(run("say", "The tide is turning.", "--emotion", "happy=0.8", "--format", "flac", "--json")[1])
    assert (again["id"], again["reused"]) == (clip["id"], True)


def test_say_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("From a pipe.\n"))
    code, out, _ = run("say", "-", "--tag", "a", "--tag", "b", "--no-wait", "--json")
    assert code == 0
    assert json.loads(out)["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("say", ""), "the text is empty"),
        (("say", "x", "--emotion", "hapy"), "did you mean 'happy'"),
        (("say", "x", "--name", "../up"), "climbs"),
        (("say", "x", "--language", "xx"), "no voice for the language"),
        (("show", "zz"), "is no clip id"),
        (("show", "00000000"), "there is no clip"),
        (("clips", "play", "00000000"), "there is no clip"),
        (("sql", "DELETE FROM clips"), "exactly one SELECT"),
        (("sql", "SELECT 1; SELECT 2"), "exactly one SELECT"),
        (("sql", "SELEC 1"), "not SQL that DuckDB understands"),
        (("sql", "SELECT * FROM clps"), 'Did you mean "clips"'),
        (("sql", "SELECT * FROM read_text('/etc/passwd')"), "read_text() is refused"),
        (("sql", "FROM '/etc/passwd'"), "it names a file"),
        (("sql", "PIVOT clips ON emotion USING count(*)"), "name the values"),
        (("sql", "SELECT 1", "--as-of", "yesterday"), "is no moment"),
        (("sql", "SELECT 1", "--json", "--format", "csv"), "contradict each other"),
        (("clips", "--as-of", "2026-13-01"), "is no moment"),
        (("clips", "--order", "lenght"), "cannot be ordered by 'lenght'; orders are created"),
        (("clips", "--order", "-duratoin"), "did you mean 'duration'"),
        (("clips", "--after", "pGarbage"), "no token of a page"),
        (("clips", "--where", "emotio = 'sad'"), "clips have no column emotio; did you mean emotion"),
        (("clips", "--where", "true) OR (true"), "not SQL that DuckDB understands"),
        (("clips", "--where", "id IN (SELECT id FROM clips)"), "without another SELECT"),
        (("clips", "history", "00000000"), "there is no clip"),
        (("export", "duckdb", "/no/such/folder/x.duckdb"), "does not exist"),
        (("export", "duckdb", "x.duckdb", "--storage-version", "old"), "no storage version"),
        (("batch", "nothing.jsonl"), "nothing.jsonl cannot be read"),
        (("report", "weekly", "--week", "2026-99"), "ISO week"),
        (("report", "weekly", "--as-of", "2999-01-01"), "lies in the future"),
        (("report", "weekly", "--as-of", "soon"), "the end of that day"),
        (("mixpanel", "flush"), "set mixpanel.token"),
        (("retention", "apply", "--yes"), "no rules"),
        (("--home", "/proc/nowhere", "clips"), "cannot be used"),
        (("sql", "select \udcff"), "error: "),
    ],
)
def test_a_mistake_is_one_message_and_no_stack_trace(run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(*arguments)
    assert code == 1
    assert err.startswith("error: ")
    assert message in err.replace("\n", " ")
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    "arguments", [("sya", "hello"), ("say", "x", "--fromat", "flac"), ("say", "x", "--format", "aiff")]
)
def test_a_misspelling_says_what_was_meant(run: Run, arguments: tuple[str, ...]) -> None:
    code, _, err = run(*arguments)
    assert code != 0
    assert "Did you mean" in err or "Choose from" in err


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_has_examples(run: Run, command: tuple[str, ...]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert "Examples" in out
    assert f"voxledger {' '.join(command)}" in out


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_option_says_what_it_does(command: tuple[str, ...]) -> None:
    app = build()
    for word in command:
        app = app[word]
    function = app.default_command
    doc = inspect.getdoc(function) or ""
    described = re.findall(r"^(\w+)\n {4}\S", doc.partition("Parameters\n")[2], re.MULTILINE)
    assert described == [name for name in inspect.signature(function).parameters if name != "self"]


def test_the_emotions_of_the_filter_are_those_of_the_catalog() -> None:
    assert get_args(clips.Emotion) == (*EMOTIONS, NEUTRAL)


def test_column_names_are_never_read_as_markup(run: Run) -> None:
    code, out, _ = run("sql", 'SELECT 1 AS "[/x][red]y"')
    assert code == 0
    assert "[/x][red]y" in out


@pytest.mark.parametrize("limit", ["-1", "0", "many"])
def test_a_limit_that_makes_no_sense_is_refused(run: Run, limit: str) -> None:
    code, _, err = run("clips", "--limit", limit)
    assert code != 0
    assert "Traceback" not in err


def test_a_limit_beyond_all_clips_lists_them_all(run: Run) -> None:
    run("say", "One of all.", "--no-wait", "--json")
    code, out, err = run("clips", "--limit", "1" + "0" * 30, "--json")
    assert (code, err) == (0, "")
    assert (
        len(out.splitlines())
        == json.loads(run("sql", "SELECT count(*) AS n FROM clips", "--format", "json")[1])[0]["n"]
    )


def test_rows_too_wide_for_the_terminal_stand_one_under_the_other(run: Run) -> None:
    names = [f"column_number_{number}" for number in range(12)]
    out = run("sql", f"SELECT {', '.join(f'{number} AS {name}' for number, name in enumerate(names))}")[1]
    assert [line.split() for line in out.splitlines() if line.startswith("column")] == [
        [name, str(number)] for number, name in enumerate(names)
    ]
    assert "row 1" in out
    assert "row 1" not in run("sql", "SELECT 1 AS a, repeat('x', 300) AS b")[1]


def test_sql_answers_the_query_of_a_metric_that_comes_through_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    for names, status in ((("clips",), 0), (("clips", "reused"), 1)):
        piped = io.StringIO(run("metrics", *names, "--since", "1d", "--sql")[1])
        monkeypatch.setattr(sys, "stdin", piped)
        code, out, err = run("sql", "-", "--json")
        assert code == status, err
        assert len(json.loads(out or "[]")) == 1 - status
    assert "exactly one SELECT" in err, "two metrics are two queries"
    monkeypatch.setattr(sys, "stdin", None)
    assert run("sql", "-")[2] == "error: `-` reads standard input, and this process was given none\n"


def test_sql_answers_in_every_format(run: Run) -> None:
    run("say", "A row for the table.", "--json")
    query = "SELECT emotion, count(*) AS n FROM clips WHERE text = 'A row for the table.' GROUP BY 1"
    assert json.loads(run("sql", query, "--format", "json")[1]) == [{"emotion": "neutral", "n": 1}]
    assert json.loads(run("sql", query, "--format", "jsonl")[1]) == {"emotion": "neutral", "n": 1}
    assert run("sql", query, "--format", "csv")[1] == "emotion,n\nneutral,1\n"
    assert "1 row" in run("sql", query)[1]


def test_clips_are_listed_in_pages_and_orders(run: Run) -> None:
    session = "pages"
    for text in ("One.", "Two, longer.", "Three, the longest of them all."):
        run("say", text, "--session", session, "--no-wait", "--json")
    asked = ("clips", "--session", session, "--order", "-duration", "--json")
    whole = [json.loads(line)["id"] for line in run(*asked)[1].splitlines()]
    assert len(whole) == 3
    code, out, err = run(*asked, "--limit", "2")
    assert code == 0
    assert [json.loads(line)["id"] for line in out.splitlines()] == whole[:2]
    token = json.loads(err)["next"]
    code, out, err = run(*asked, "--limit", "2", "--after", token)
    assert [json.loads(line)["id"] for line in out.splitlines()] == whole[2:]
    assert err == ""
    assert f"--after {token}" in run("clips", "--session", session, "--order", "-duration", "--limit", "2")[1]
    found = run("clips", "--session", session, "--where", "-1 < plays AND text LIKE 'Two%'", "--json")[1]
    assert [json.loads(line)["id"] for line in found.splitlines()] == whole[1:2]
    assert "No clip fits" in run("clips", "--where", "plays > 1000")[1]


def test_the_past_can_be_asked(run: Run) -> None:
    run("say", "Made just now.", "--no-wait", "--json")
    assert json.loads(run("sql", "SELECT count(*) AS n FROM clips", "--as-of", "1d", "--format", "json")[1]) == [
        {"n": 0}
    ]
    assert "No clip fits" in run("clips", "--as-of", "2020-01-01")[1]
    assert json.loads(run("clips", "--as-of", "0s", "--limit", "1", "--json")[1])["emotion"]


def test_the_history_of_a_clip_is_told(run: Run) -> None:
    short = json.loads(run("say", "What becomes of me?", "--json")[1])["short"]
    run("clips", "tag", short, "draft")
    told = [json.loads(line) for line in run("clips", "history", short, "--json")[1].splitlines()]
    assert [event["type"] for event in told] == ["GenerationCompleted", "AudioStored", "ClipTagged"]
    assert told[2]["sentence"] == f"tagged draft by {told[2]['actor']}"
    shown = run("clips", "history", short)[1]
    assert "uploaded to indextts-audio after 1 attempt" in shown


def test_the_catalog_is_exported_for_other_tools(run: Run, tmp_path: Path) -> None:
    import duckdb

    run("say", "For the dashboards.", "--no-wait", "--json")
    file = tmp_path / "copy.duckdb"
    made = json.loads(run("export", "duckdb", str(file), "--storage-version", "v1.2.0", "--json")[1])
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM clips").fetchall() == [(made["rows"]["clips"],)]
    assert "is there already" in run("export", "duckdb", str(file))[2].replace("\n", " ")
    code, out, _ = run("export", "duckdb", str(file), "--force")
    assert code == 0
    assert "for DuckDB 1.4.0 and newer" in out.replace("\n", " ")


def test_a_clip_is_pinned_tagged_and_shown(run: Run) -> None:
    short = json.loads(run("say", "Keep me.", "--json")[1])["short"]
    assert "pinned" in run("clips", "pin", short, "--reason", "for the test")[1]
    assert "tags: a, b" in run("clips", "tag", short, "a", "b")[1]
    assert "tags: b" in run("clips", "untag", short[-4:], "a")[1]
    shown = json.loads(run("show", short, "--json")[1])
    assert (shown["pinned"], shown["tags"], shown["text"]) == (True, ["b"], "Keep me.")
    assert (shown["made"]["determinism"], shown["made"]["sampling"], shown["made"]["emotion_strength"]) == (
        "bytes",
        {},
        1,
    )
    assert shown["pinned_until"] is None
    assert "pinned until" not in " ".join(run("show", short)[1].split())
    run("clips", "pin", short, "--until", "2099-06-30T12:00:00Z")
    assert json.loads(run("show", short, "--json")[1])["pinned_until"] == "2099-06-30T12:00:00+00:00"
    told = " ".join(run("show", short)[1].split())
    assert "pinned until 2099-06-30" in told
    assert f"engine espeak {shown['made']['engine_version']}" in told
    assert "the same request gives the same bytes" in told
    assert "speaking" in told
    assert short in run("clips", "--tag", "b")[1]
    assert run("clips", "untag", short, "zzz")[2].startswith("error: clip")
    assert "unpinned" in run("clips", "unpin", short)[1]


def test_a_script_hears_what_a_change_has_made_of_the_clip(run: Run) -> None:
    clip = json.loads(run("say", "Keep me, too.", "--json")[1])["id"]

    def changed(*arguments: str) -> dict[str, Any]:
        code, out, err = run("clips", *arguments, "--json")
        assert (code, err) == (0, "")
        found: dict[str, Any] = json.loads(out)
        assert found["id"] == clip
        return found

    assert changed("pin", clip, "--reason", "for the test")["pinned"] is True
    assert changed("tag", clip, "a", "b")["tags"] == ["a", "b"]
    assert changed("untag", clip, "a")["tags"] == ["b"]
    assert changed("unpin", clip)["pinned"] is False
    changed("rate", clip, "2")
    changed("rate", clip, "5")
    assert (
        run("sql", "SELECT rating, ratings FROM clips WHERE rating = 5", "--json")[1].strip()
        == '[{"rating": 5, "ratings": 2}]'
    )
    assert run("clips", "rate", clip, "6")[0] != 0


def test_a_script_starts_and_stops_the_embedded_store(run: Run) -> None:
    facts = json.loads(run("store", "start", "--json")[1])
    assert (facts["kind"], facts["url"]) == ("embedded", json.loads(run("store", "status", "--json")[1])["url"])
    assert json.loads(run("store", "stop", "--json")[1]) == {"stopped": True}
    assert json.loads(run("store", "stop", "--json")[1]) == {"stopped": False}


def test_control_characters_never_reach_the_terminal(run: Run) -> None:
    code, _, err = run("show", "\x1b[31mred")
    assert code == 1
    assert "\x1b" not in err


def test_a_tab_in_somebody_elses_message_is_a_blank(run: Run) -> None:
    code, _, err = run("sql", "SELECT right(id, 8) FROM clips")
    assert code == 1
    assert "Candidate functions" in err
    assert "\ufffd" not in err


def test_config_says_where_values_come_from_and_hides_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLEDGER_MIXPANEL_TOKEN", "canary-token")
    code, out, err = run("config", "--changed", "--json")
    assert code == 0
    assert "canary" not in out + err
    found = {row["name"]: row for row in json.loads(out)["settings"]}
    assert found["mixpanel.token"]["from"] == "VOXLEDGER_MIXPANEL_TOKEN"
    assert "canary" not in run("config")[1]


def _tasks(run: Run) -> str:
    """What the doctor says is to be done about tasks."""
    findings = json.loads(run("doctor", "--json")[1])["findings"]
    return str(next(found["follows"] for found in findings if found["name"] == "tasks"))


def test_status_names_what_waits_and_why(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("store", "retry")  # what other tests left to be uploaded
    monkeypatch.setenv("VOXLEDGER_STORE_ENDPOINT", "http://127.0.0.1:9")
    clip = json.loads(run("say", "Nobody takes me yet.", "--json")[1])
    assert clip["state"] == "local"
    assert Path(clip["path"]).exists()
    out = run("status")[1]
    assert "upload" in out
    assert "127.0.0.1:9" in out
    waiting = json.loads(run("status", "--json")[1])["tasks"][0]
    assert (waiting["kind"], waiting["count"]) == ("upload", 1)
    monkeypatch.delenv("VOXLEDGER_STORE_ENDPOINT")
    away = Path(clip["path"]).rename(tmp_path / "away")
    assert "0 files uploaded, 0 B; 0 waiting, 1 parked: `voxledger status` says why" in run("store", "retry")[1]
    code, out, _ = run("store", "retry", "--json")
    assert code == 1
    assert json.loads(out) == {"files": 0, "bytes": 0, "waiting": 0, "parked": 1, "trouble": None}
    assert _tasks(run).endswith("`voxledger store retry` tries uploads again")
    away.rename(clip["path"])
    code, out, _ = run("store", "retry", "--json")
    assert code == 0
    assert json.loads(out) == {"files": 1, "bytes": clip["bytes"], "waiting": 0, "parked": 0, "trouble": None}
    assert "0 files uploaded, 0 B; 0 waiting" in run("store", "retry")[1]
    assert json.loads(run("show", clip["id"], "--json")[1])["state"] == "stored"


def test_holds_are_placed_listed_renewed_and_released(run: Run) -> None:
    clip = json.loads(run("say", "Keep me for the judge.", "--session", "trial", "--json")[1])["id"]
    asked = ("retention", "hold", "--where", "session = 'trial'", "--legal", "--reason", "case 4711", "--review", "30d")
    code, out, _ = run(*asked, "--json")
    hold = json.loads(out)
    assert (code, hold["kind"], hold["standing"], hold["reason"]) == (0, "legal", 1, "case 4711")
    assert "case 4711" in run("retention", "holds")[1]
    assert "No legal hold waits for a review" in run("retention", "holds", "--due")[1]
    assert (
        "somebody has to look at it again by 2099-01-01"
        in run("retention", "renew", hold["id"], "--review", "2099-01-01")[1]
    )
    assert "no longer keeps 1 clip" in run("retention", "release", hold["id"][-6:], "--reason", "closed")[1]
    assert run("retention", "holds")[1] == "Nothing is held.\n"
    assert [each["state"] for each in json.loads(run("retention", "holds", "--every", "--json")[1])] == ["released"]
    code, _, err = run("retention", "hold", clip, "--reason", "why", "--until", "2020-01-01")
    assert (code, "is over already" in " ".join(err.split())) == (1, True)
    assert "pinned until" in run("clips", "pin", clip, "--until", "30d")[1]


def test_status_and_doctor_name_what_stops_the_nightly_run_and_holds_to_be_looked_at(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msgspec.structs import replace

    from voxledger.catalog.retention.nights import Standing, Stopped, Waiting

    when = datetime(2026, 11, 26, 3, tzinfo=UTC)
    stopped = Stopped(run="2026-11-26", cause="fuse", said="this run would mark everything", since=when)
    standing = Standing(
        schedule="03:00 UTC", last_run="2026-11-25", last_time=when, last_plan="p", next_run=when, stopped=stopped,
        stops={"fuse": 1}, overdue_holds=2, waiting=Waiting(run="2026-11-26", clips=3, opens=when),
    )  # fmt: skip
    monkeypatch.setattr("voxledger.catalog.retention.Retention.status", lambda _: standing)
    out = " ".join(run("status")[1].replace("│", "").split())
    assert "retention runs at 03:00 UTC: last 2026-11-25, one is due" in out
    assert "the retention run 2026-11-26 waits: this run would mark everything" in out
    assert "3 purges of the retention run 2026-11-26 wait: the purge window opens at" in out
    assert "2 legal holds should have been looked at again by now" in out
    assert json.loads(run("status", "--json")[1])["retention"]["stops"] == {"fuse": 1}
    standing = replace(standing, stopped=None, last_stop=stopped)
    out = " ".join(run("status")[1].replace("│", "").split())
    assert "the last retention run that something stopped: 2026-11-26, on" in out
    standing = replace(standing, stopped=stopped)
    findings = json.loads(run("doctor", "--json")[1])["findings"]
    assert {found["name"]: found["state"] for found in findings if found["name"] in ("nightly run", "legal holds")} == {
        "nightly run": "warning",
        "legal holds": "warning",
    }


def test_showing_a_clip_tells_its_measures_and_draws_its_sound(run: Run, tmp_path: Path) -> None:
    run("say", "The tide is turning.", "--format", "pcm")
    short = json.loads(run("clips", "--json")[1].splitlines()[0])["short"]
    code, shown, _ = run("show", short, "--spectrogram", str(tmp_path / "tide.png"))
    assert code == 0
    for word in ("LUFS", "dBTP", "silence", "letters/s"):
        assert word in shown, word
    assert "suspect" not in shown
    assert (tmp_path / "tide.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    code, _, err = run("show", short, "--spectrogram", str(tmp_path / "nowhere" / "tide.png"))
    assert code == 1
    assert "could not be written" in err


def test_the_store_shows_the_same_objects_to_a_stranger(run: Run) -> None:
    import boto3
    from botocore.config import Config

    clip = json.loads(run("say", "For strangers, too.", "--json")[1])
    lines = dict(line.removeprefix("export ").split("=", 1) for line in run("store", "env")[1].splitlines())
    stranger = boto3.client(
        "s3",
        endpoint_url=lines["AWS_ENDPOINT_URL"],
        aws_access_key_id=lines["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=lines["AWS_SECRET_ACCESS_KEY"],
        region_name=lines["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}),
    )
    found = stranger.get_object(Bucket=clip["bucket"], Key=clip["key"])
    assert found["Body"].read() == Path(clip["path"]).read_bytes()
    metadata = {name.lower(): value for name, value in found["Metadata"].items()}
    assert (metadata["clip"], metadata["emotion"], metadata["sha256"]) == (clip["id"], "neutral", clip["sha256"])
    stranger.close()


def test_batch_ends_with_an_exit_status_that_tells(run: Run, tmp_path: Path) -> None:
    manifest = tmp_path / "lines.jsonl"
    manifest.write_text('{"text": "Good line."}\n{"text": "Bad.", "prompt_audio": "me.wav"}\n', encoding="utf-8")
    code, out, err = run("batch", str(manifest))
    assert code == 1
    assert "1 clip made" in out
    assert "me.wav is not here" in err.replace("\n", " ")
    code, out, _ = run("batch", str(manifest), "--degrade", "--join", str(tmp_path / "all.wav"))
    assert code == 0
    assert "without speaker clip" in out
    assert (tmp_path / "all.wav").stat().st_size > 1000
    lines = [json.loads(line) for line in run("batch", str(manifest), "--degrade", "--json")[1].splitlines()]
    assert [line["outcome"] for line in lines] == ["there", "there"]


def test_the_weekly_report_is_written_in_three_forms(run: Run, tmp_path: Path) -> None:
    run("say", "Something to report.", "--json")
    code, out, _ = run("report", "weekly", "--out", str(tmp_path / "report"))
    assert code == 0
    assert {path.suffix for path in (tmp_path / "report").iterdir()} == {".html", ".md", ".json"}
    assert out.count("written: ") == 3
    assert json.loads(run("report", "weekly", "--json")[1])["closed"] is False
    assert "Not closed yet" in run("report", "weekly")[1]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert run("report", "weekly", "--as-of", today)[0] == 0, "a day that is not over means now"


def test_the_report_of_a_week_is_sent_and_listed_and_what_keeps_it_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("say", "Something to send.", "--json")
    week = str(Week.of(datetime.now(UTC)))
    code, _, err = run("report", "send", "2026-W60")
    assert (code, err.count("\n")) == (1, 1)
    monkeypatch.setenv("VOXLEDGER_REPORT_BUCKET", "")
    code, _, err = run("report", "send", week)
    assert (code, "no channel is set up: set report.bucket" in " ".join(err.split())) == (1, True)
    # Other tests may have made some of this HOME.
    first = 1 + max((row["revision"] for row in json.loads(run("report", "list", "--json")[1])), default=0)
    with SmtpServer() as smtp:
        for name, value in {
            "TO": "ann@example.org",
            "HOST": "127.0.0.1",
            "PORT": str(smtp.port),
            "SECURITY": "none",
        }.items():
            monkeypatch.setenv(f"VOXLEDGER_MAIL_{name}", value)
        smtp.faults.append(Fault(at="mail", reply="421 broken"))
        code, out, err = run("report", "send", week)
        said = f"{week} r{first} mail: 127.0.0.1 answered 421 broken; `voxledger serve` tries again at"
        assert (code, said in " ".join(out.split())) == (1, True), out + err
        assert json.loads(run("report", "list", "--json")[1])[0]["channels"][0]["state"] == "waiting"
        smtp.faults.append(Fault(at="mail", reply="550 go away"))
        code, out, _ = run("report", "send", week, "--channel", "mail")
        assert (code, "mail: refused: 127.0.0.1 answered 550 go away" in out) == (1, True)
        assert f"parked the report {week} r{first + 1} mail" in " ".join(run("status")[1].split())
        assert _tasks(run).endswith("says why, `voxledger report send WEEK --channel …` sends reports again")
        code, out, _ = run("report", "send", week, "--channel", "mail")
        assert (code, out) == (0, f"{week} r{first + 2} mail: delivered\n"), (
            "a week that runs has something new to tell each time"
        )
        assert len(smtp.letters) == 1
    assert "delivered" in run("report", "list", "--weeks", "1")[1]
    found = json.loads(run("schedule", "--json")[1])
    assert {job["name"] for job in found["jobs"]} >= {"drain", "report", "send", "retention"}
    assert not found["serving"]
    assert "nobody serves this HOME" in run("schedule")[1]


def test_a_reader_that_goes_away_is_no_error(home: Path) -> None:
    command = f"{sys.executable} -m voxledger --home {home} sql 'SELECT * FROM range(200000)' --format csv | head -1"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert ended.stdout == "range\n"
    assert ended.stderr == ""


def test_an_interrupted_command_says_what_is_kept_and_goes_on_from_there(tmp_path: Path) -> None:
    text = " ".join(f"This is sentence number {number} of a book about the sea." for number in range(60))
    command = [sys.executable, "-m", "voxledger", "--home", str(tmp_path), "say", "-", "--no-wait", "--json"]
    # A process of a test runner in the background may have been told to ignore Ctrl-C.
    code = f"import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler); os.execv({command[0]!r}, {command!r})"
    spoken = tmp_path / "speech"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None  # or `communicate` would close it again
        wait_for(lambda: spoken.is_dir() and len([*spoken.glob("*/*")]) > 5, "some sentences are kept")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Interrupted. What was spoken is kept: the same command goes on from there." in err
    subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=300)
    with voxledger.open(tmp_path, store_close_wait=0) as vox:
        cancelled, completed = vox.catalog.sql("SELECT outcome, segments_cached FROM generations ORDER BY time").rows()
    assert cancelled["outcome"] == "cancelled"
    assert (completed["outcome"], completed["segments_cached"] >= 5) == ("completed", True)


def test_home_may_stand_behind_a_command_that_takes_words_with_hyphens(run: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    code, out, _ = run("search", "zebra", "--home", str(elsewhere))
    assert code == 0
    assert "No clip matches 'zebra'" in out
    assert elsewhere.is_dir()

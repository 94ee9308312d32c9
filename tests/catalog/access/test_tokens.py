"""Tokens: made, known at the gate, limited, ended; and what of them is written down."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.building import Parts
from voxledger.catalog.access import LOCAL, PERMISSIONS, ROLES, WHOLE, Gate, Limits, Principal, Rate, Tokens, Used
from voxledger.catalog.access import denials as denials_module
from voxledger.catalog.access import gate as gate_module
from voxledger.catalog.access.estimate import audio_us
from voxledger.catalog.errors import AccessRefused, TokenError, TokenNotFound
from voxledger.catalog.events.access import Role

MINUTE = 60


class Clock:
    """A clock that only tests turn."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 28, 22, 30, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def tokens(parts: Parts) -> Tokens:
    return Tokens(parts.recorder, actor="root", zone="UTC")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(parts: Parts, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """It looks at the journal each time, and writes only when it is told to."""
    monkeypatch.setattr(gate_module, "_LOOK", 0)
    monkeypatch.setattr(gate_module, "_WRITE", 3600)
    made = Gate(parts.recorder, zone="Europe/Berlin", clock=clock)
    yield made
    made.close()


def refused(gate: Gate, written: str) -> str:
    with pytest.raises(AccessRefused) as error:
        gate.principal(written)
    assert written not in str(error.value) or not written
    return error.value.reason


def events(parts: Parts, type: str) -> list[dict[str, Any]]:
    rows = parts.rows(f"SELECT data, actor FROM events WHERE type = '{type}' ORDER BY position")
    return [{**msgspec.json.decode(row["data"]), "actor": row["actor"]} for row in rows]


def test_whoever_has_a_token_is_known_and_nobody_else(tokens: Tokens, gate: Gate) -> None:
    made, other = tokens.create("creator", name="ann"), tokens.create("admin")
    found = gate.principal(made.written)
    assert found == Principal(id=made.token.id, name="ann", role="creator", scope="own")
    assert found.sees == "ann"
    assert gate.principal(other.written).name == f"token-{other.token.id}"
    assert gate.principal(other.written).sees is None
    wrong = made.written[:-2] + ("AA" if made.written[-2:] != "AA" else "BB")
    swapped = f"vox_{made.token.id}_{other.written.rsplit('_', 1)[0]}"
    for written in (wrong, swapped, made.written + "A", "", "vox_", "ü", made.token.id, f"vox_{'0' * 12}_{'A' * 43}"):
        assert refused(gate, written) == "unknown token"


def test_a_token_ends_when_it_expires_and_when_it_is_revoked(tokens: Tokens, gate: Gate, clock: Clock) -> None:
    clock.now = time.time()
    made = tokens.create("viewer", expires=datetime.now(UTC) + timedelta(hours=1))
    assert gate.principal(made.written).role == "viewer"
    clock.now += 3601
    assert refused(gate, made.written) == "expired"
    tokens.revoke(made.token.id[:4], reason="lost")
    assert refused(gate, made.written) == "revoked"
    with pytest.raises(TokenError, match="revoked already"):
        tokens.revoke(made.token.id)
    assert tokens.list() == []
    assert [token.state for token in tokens.list(every=True)] == ["revoked"]


def test_neither_secret_nor_name_stands_anywhere_in_the_open(parts: Parts, tokens: Tokens, gate: Gate) -> None:
    made = tokens.create("creator", name="Quillfeather")
    gate.admit(gate.principal(made.written))
    tokens.revoke(made.token.id, reason="Vellichor")
    gate.write(whole=True)
    parts.keeper.drain()
    secret = made.written.split("_", 2)[2].encode()
    files = [path for path in parts.home.path.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        content = path.read_bytes()
        assert secret not in content, path
        if not path.name.startswith("vault"):
            assert b"Quillfeather" not in content, path
            assert b"Vellichor" not in content, path
    assert secret.decode() not in repr(made)


def test_what_is_done_about_tokens_is_recorded(parts: Parts, tokens: Tokens) -> None:
    made = tokens.create("creator", name="ann", scope="all")
    tokens.revoke(made.token.id)
    ann, root = parts.vault.actor("ann").id, parts.vault.actor("root").id
    told = {"token": made.token.id, "role": "creator", "by": root, "actor": ann}
    assert events(parts, "TokenIssued") == [{**told, "expires": None, "scope": "all"}]
    assert events(parts, "TokenRevoked") == [told]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"role": "king"}, "choose viewer, analyst, creator, curator or admin"),
        ({"role": "admin", "scope": "own"}, "an admin sees everything"),
        ({"role": "viewer", "scope": "mine"}, "choose own or all"),
        ({"role": "viewer", "name": " "}, "1 to 200 characters"),
        ({"role": "viewer", "name": "x" * 201}, "1 to 200 characters"),
        ({"role": "viewer", "name": "../ann"}, "no path that climbs"),
        ({"role": "viewer", "name": "a\nb"}, "no control characters"),
        ({"role": "viewer", "name": "voxledger"}, "choose another name"),
        ({"role": "viewer", "expires": datetime.now(UTC) - timedelta(seconds=1)}, "still to come"),
        ({"role": "viewer", "expires": datetime.now() + timedelta(days=9)}, "with its time zone"),  # noqa: DTZ005
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_recorded(
    parts: Parts, tokens: Tokens, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(TokenError, match=said):
        tokens.create(**asked)
    assert tokens.none_yet()
    assert parts.journal.head() == 0


def test_a_token_that_is_not_there_cannot_be_revoked(tokens: Tokens) -> None:
    made = tokens.create("viewer")
    for reference in ("0000", made.token.id[:3], "", made.written, "%"):
        if made.token.id.startswith(reference) and len(reference) >= 4:
            continue
        with pytest.raises(TokenNotFound) as error:
            tokens.revoke(reference)
        assert made.written not in str(error.value)


@pytest.mark.parametrize(
    ("text", "requests", "seconds", "shown"),
    [
        ("60/min", 60, 60, "60/min"),
        ("5/s", 5, 1, "5/s"),
        (" 1000 / 12h ", 1000, 43_200, "1000/12h"),
        ("3/90s", 3, 90, "3/1min30s"),
    ],
)
def test_a_rate_is_read_as_people_write_it(text: str, requests: int, seconds: float, shown: str) -> None:
    rate = Rate.parse(text)
    assert (rate.requests, rate.seconds, str(rate)) == (requests, seconds, shown)
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    "text", ["", "60", "0/min", "60/", "/min", "-1/s", "60/0s", "60/2d", "60/fortnight", "1e3/s", "60/." * 9]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(TokenError, match="write requests in a time"):
        Rate.parse(text)


def test_a_rate_lets_so_many_in_at_once_and_then_one_after_another(tokens: Tokens, gate: Gate) -> None:
    principal = gate.principal(tokens.create("viewer", limits=Limits(rate=Rate.parse("3/30min"))).written)
    other = gate.principal(tokens.create("viewer", limits=Limits(rate=Rate.parse("1/h"))).written)
    for _ in range(3):
        gate.pace(principal)
    for _ in range(3):  # asking too early does not make it later
        with pytest.raises(AccessRefused) as error:
            gate.pace(principal)
        assert error.value.reason == "rate"
        assert 590 < error.value.retry_after <= 600
    gate.pace(other)
    quick = gate.principal(tokens.create("viewer", limits=Limits(rate=Rate.parse("1/0.05s"))).written)
    gate.pace(quick)
    with pytest.raises(AccessRefused) as error:
        gate.pace(quick)
    time.sleep(error.value.retry_after)  # what it says is what it takes
    gate.pace(quick)


def test_limits_of_a_day_hold_across_restarts_and_end_at_midnight(
    parts: Parts, tokens: Tokens, gate: Gate, clock: Clock
) -> None:
    made = tokens.create("creator", limits=Limits(requests=4, audio_us=5_000_000, bytes=1000))
    principal = gate.principal(made.written)
    gate.admit(principal, speaking=True)
    gate.charge(principal, audio_us=4_900_000, size=400)
    gate.admit(principal, speaking=True)  # what is let in is finished
    gate.charge(principal, audio_us=2_000_000)
    with pytest.raises(AccessRefused, match="its audio of today") as error:
        gate.admit(principal, speaking=True)
    # The day ends at midnight in Berlin, half an hour on: it is 22:30 in UTC.
    assert (error.value.reason, error.value.principal, error.value.retry_after) == ("quota", principal.id, 1800)
    gate.admit(principal)  # listening needs no audio to be left
    gate.close()
    again = Gate(parts.recorder, zone="Europe/Berlin", clock=clock)
    assert again.used(principal) == Used(requests=3, audio_us=6_900_000, bytes=400)
    again.charge(principal, size=600)
    with pytest.raises(AccessRefused, match="its bytes of today"):
        again.admit(principal)
    clock.now += 1799
    with pytest.raises(AccessRefused, match="of today"):
        again.admit(principal)
    clock.now += 2
    assert again.used(principal) == Used()
    for _ in range(4):
        again.admit(principal, speaking=True)
    with pytest.raises(AccessRefused, match="its requests of today"):
        again.admit(principal)
    # That day has 23 hours: summer begins.
    assert again.day().end - again.day().begin == 23 * 3600
    again.close()


def test_audio_that_is_under_way_counts_until_it_is_there(tokens: Tokens, gate: Gate) -> None:
    principal = gate.principal(tokens.create("creator", limits=Limits(audio_us=5_000_000)).written)
    text = "x" * 60  # about four seconds
    with pytest.raises(ZeroDivisionError), gate.reserved(principal, text):
        gate.admit(principal, speaking=True)  # a second is left
        raise ZeroDivisionError
    with gate.reserved(principal, text), gate.reserved(principal, text):
        for attempt in (lambda: gate.admit(principal, speaking=True), lambda: gate.reserved(principal, "").__enter__()):
            with pytest.raises(AccessRefused, match="under way") as error:
                attempt()
            assert (error.value.reason, error.value.principal) == ("quota", principal.id)
            assert error.value.retry_after < 10
        gate.admit(principal)  # listening needs no audio to be left
        gate.charge(principal, audio_us=1_000_000)
    gate.admit(principal, speaking=True)
    gate.charge(principal, audio_us=4_000_000)
    with pytest.raises(AccessRefused, match="has used up its audio"), gate.reserved(principal, text):
        pass
    assert gate.used(principal).audio_us == 5_000_000


def test_estimates_of_audio_heed_what_is_read_as_words() -> None:
    plain = audio_us("The tide is turning, and so are we. " * 10)
    assert plain == 24_000_000
    assert audio_us("The tide is turning, and so are we. " * 10, 0.5) == 2 * plain
    assert audio_us("潮" * 360) == audio_us("1" * 270) == 3 * plain
    assert audio_us("") == audio_us("Oh.") == 1_000_000
    assert audio_us("Oh.", float("nan")) == audio_us("Oh.", -1) == 1_000_000


def test_usage_and_last_use_are_written_and_listed(parts: Parts, gate: Gate, clock: Clock) -> None:
    clock.now = time.time()
    tokens = Tokens(parts.recorder, actor="root", zone="Europe/Berlin")
    made = tokens.create("creator", name="ann")
    assert made.token.used is None
    principal = gate.principal(made.written)
    gate.admit(principal)
    gate.charge(principal, audio_us=1_500_000, size=70)
    gate.write()
    gate.write()
    gate.admit(principal)
    gate.write()
    (found,) = tokens.list()
    assert found.today == Used(requests=2, audio_us=1_500_000, bytes=70)
    assert found.used is not None
    assert abs(found.used.timestamp() - clock.now) < 1


def test_many_threads_never_get_more_than_the_limit(tokens: Tokens, gate: Gate) -> None:
    principal = gate.principal(tokens.create("viewer", limits=Limits(requests=100)).written)
    admitted: list[int] = []

    def ask() -> None:
        for _ in range(50):
            try:
                gate.admit(principal)
            except AccessRefused:
                continue
            admitted.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.write()
    for thread in threads:
        thread.join()
    assert len(admitted) == 100
    assert gate.used(principal).requests == 100


def test_the_owner_of_home_has_no_limits_and_is_not_counted(gate: Gate) -> None:
    owner = Principal(id=LOCAL, name="root", role="admin")
    gate.pace(owner)
    gate.admit(owner, speaking=True)
    gate.charge(owner, audio_us=1, size=1)
    assert gate.used(owner) == Used()


def test_denials_are_one_event_a_principal_reason_and_minute(parts: Parts, gate: Gate, clock: Clock) -> None:
    for _ in range(7):
        gate.denied("role", principal="0123456789ab", address="10.0.0.9")
    gate.denied("quota", principal="0123456789ab", address="10.0.0.9")
    for _ in range(3):
        gate.denied("no token", principal=None, address="10.0.0.9")
    gate.write()
    assert events(parts, "AccessDenied") == []  # the minute is not over
    clock.now += MINUTE
    gate.denied("role", principal="0123456789ab", address="10.0.0.9")
    gate.write()
    found = events(parts, "AccessDenied")
    assert len({row["minute"] for row in found}) == 1
    address = next(row["principal"] for row in found if row["reason"] == "no token")
    assert len(address) == 32
    assert {(row["principal"], row["reason"]): row["count"] for row in found} == {
        ("0123456789ab", "role"): 7, ("0123456789ab", "quota"): 1, (address, "no token"): 3
    }  # fmt: skip
    gate.close()  # the end does not wait for the minute
    last = events(parts, "AccessDenied")[-1]
    assert (last["reason"], last["count"]) == ("role", 1)
    assert last["minute"] > found[0]["minute"]
    assert all(b"10.0.0.9" not in path.read_bytes() for path in parts.home.path.rglob("*") if path.is_file())


def test_a_flood_of_strangers_is_counted_in_bounded_memory(
    parts: Parts, gate: Gate, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denials_module, "MOST", 5)
    for number in range(40):
        gate.denied("no token", principal=None, address=f"10.0.0.{number}")
    clock.now += MINUTE
    gate.write()
    counts = {row["principal"]: row["count"] for row in events(parts, "AccessDenied")}
    assert len(counts) == 6
    assert counts.pop("others") == 35
    assert set(counts.values()) == {1}


def test_a_machine_with_many_addresses_is_one_principal(parts: Parts, gate: Gate) -> None:
    for number in range(9):
        gate.denied("no token", principal=None, address=f"2001:db8::{number}")
    gate.denied("no token", principal=None, address="2001:db8:0:1::1")
    gate.write(whole=True)
    assert sorted(row["count"] for row in events(parts, "AccessDenied")) == [1, 9]


def test_what_cannot_be_written_now_is_written_later(
    parts: Parts,
    tokens: Tokens,
    clock: Clock,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    principal = gate.principal(tokens.create("viewer").written)
    gate.admit(principal)
    gate.denied("role", principal=principal.id, address="")
    clock.now += MINUTE
    with parts.journal.transaction():  # whoever writes now is refused
        gate.write()
        gate.write()
    assert caplog.text.count("cannot be written now") == 1
    gate.admit(principal)
    gate.write()
    assert gate.used(principal).requests == 2
    assert [row["count"] for row in events(parts, "AccessDenied")] == [1]
    gate.write()
    assert len(events(parts, "AccessDenied")) == 1


def test_a_journal_that_was_put_back_does_not_open_what_was_revoked_since(parts: Parts, tokens: Tokens) -> None:
    lost, kept = tokens.create("viewer"), tokens.create("viewer")
    tokens.revoke(lost.token.id)
    parts.keeper.drain()
    with parts.journal.transaction() as write:
        write.connection.execute("UPDATE tokens SET revoked = NULL")
    assert tokens.settle(parts.keeper) == 0  # it is the one that knows
    parts.journal.begin_epoch(100, "restored")
    assert tokens.settle(parts.keeper) == 1
    assert [token.id for token in tokens.list()] == [kept.token.id]


def test_roles_are_what_they_say() -> None:
    assert set(ROLES) == set(get_args(Role))
    assert ROLES["viewer"] < ROLES["analyst"] < ROLES["curator"] < ROLES["admin"] == set(PERMISSIONS)
    assert ROLES["creator"] < ROLES["curator"]
    mine = Principal(id="x", name="ann", role="curator", scope="own")
    assert {permission for permission in PERMISSIONS if mine.may(permission)} == ROLES["curator"] - WHOLE
    assert mine.lacks("sql") == "scope"
    assert mine.lacks("admin") == "role"


def test_the_page_tells_the_roles_as_they_are() -> None:
    page = (Path(__file__).parents[3] / "docs" / "permissions.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    heads = next(line for line in page.splitlines() if line.startswith("| permission"))
    roles = [cell.strip() for cell in heads.split("|")[2:-1]]
    told = {
        row[0]: {role for role, cell in zip(roles, row[1:], strict=True) if cell == "yes"}
        for row in rows
        if len(row) == 6
    }
    assert told == {
        f"`{name}`: {what}": {role for role in ROLES if name in ROLES[role]} for name, what in PERMISSIONS.items()
    }
    whole = page.partition("everybody's clips, namely ")[2].partition(", needs")[0]
    assert set(re.findall("`([a-z]+)`", whole)) == WHOLE


def test_knowing_a_token_costs_microseconds(parts: Parts, tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(parts.recorder, zone="UTC")
    written = tokens.create("viewer", limits=Limits(rate=Rate.parse("1000000/s"), requests=10**9)).written
    gate.principal(written)
    best = 1.0
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(100):
            principal = gate.principal(written)
            gate.pace(principal)
            gate.admit(principal)
        best = min(best, (time.perf_counter() - began) / 100)
    gate.close()
    assert best < 100e-6

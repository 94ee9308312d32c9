"""Erasing: of one person nothing is left anywhere, of the other everything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.catalog.erasure.conftest import GONE, GONE_WORDS, KEPT, KEPT_WORDS, World
from voxledger.catalog.access import Gate
from voxledger.catalog.errors import AccessRefused
from voxledger.catalog.log.verify import verify
from voxledger.cli import main


def test_no_byte_of_an_erased_person_is_left_and_everything_of_the_other(
    small_world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = small_world
    made = world.live()
    world.back_up()
    with world.open() as vox:
        (world.path / "exports").mkdir()
        vox.catalog.export(world.path / "exports" / "copy.duckdb")
    assert set(world.found(GONE_WORDS)) == set(GONE_WORDS)

    monkeypatch.setenv("VOXLEDGER_GENERAL_ACTOR", "administratrix")

    def told(*arguments: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(world.path), *arguments, "--json"])
        assert not ended.value.code
        return json.loads(capsys.readouterr().out)

    plan = told("erase", "--actor", GONE)
    assert (plan["clips"], plan["pinned"], plan["recordings"], plan["copies"], plan["backups"]) == (3, 1, 2, 1, 1)
    assert any("report" in words for words in plan["elsewhere"])
    (done,) = told("erase", "--actor", GONE, "--plan", plan["id"], "--yes")
    assert done["finished"], done
    assert (done["clips"], done["key_destroyed"], done["reports"]) == (3, True, 1)
    assert told("erasures") == []
    assert [request["open"] for request in told("erasures", "--every")] == [False]
    assert world.found(GONE_WORDS) == {}
    with world.open(KEPT) as vox:
        page = vox.catalog.clips(actor=KEPT)
        assert {clip.id for clip in page} == set(made[KEPT])
        answers = vox.catalog.sql("SELECT DISTINCT answer FROM purges WHERE rule = 'erasure'").rows()
        assert answers == [{"answer": "Deleted"}]
        assert all(vox.catalog.fetch(clip).read_bytes() for clip in page)
        assert vox.search.search("gramophone").hits
        assert not vox.search.search("marmalade").hits
        assert verify(vox.keeper).intact
        assert all(checked.intact for checked in vox.backups.verify())
        assert vox.voices.show("Bobvoice").state == "registered"
    assert set(KEPT_WORDS) <= set(world.found(KEPT_WORDS))
    assert GONE not in world.path.name


def test_words_that_a_killed_process_had_spilled_go_too(small_world: World) -> None:
    with small_world.open(GONE) as vox:
        vox.speak("Zanzibar marmalade.", engine="espeak", language="en")
    with small_world.open() as vox:
        plan = vox.erasure.plan(actor=GONE)
        folder = small_world.path / "duckdb.tmp"
        folder.mkdir()
        (folder / f"duckdb_temp_{2**22 + 1}_0_storage_DEFAULT-0.tmp").write_bytes(b"Zanzibar marmalade")
        done = vox.erasure.apply(plan)
        assert done.finished, done
    assert small_world.found(GONE_WORDS) == {}


def test_the_tokens_of_an_erased_person_open_nothing_and_are_called_nothing(small_world: World) -> None:
    with small_world.open() as vox:
        gone, kept = vox.tokens.create("creator", name=GONE), vox.tokens.create("creator", name=KEPT)
        vox.keeper.drain()
        done = vox.erasure.apply(vox.erasure.plan(actor=GONE))
        assert done.finished, done
        gate = Gate(vox.recorder, zone="UTC")
        with pytest.raises(AccessRefused) as refused:
            gate.principal(gone.written)
        assert refused.value.reason in ("revoked", "unknown token")
        assert gate.principal(kept.written).name == KEPT
        # Whoever is called so from now on is somebody else.
        assert gate.principal(vox.tokens.create("viewer", name="somebody new").written).name == "somebody new"
        gate.close()
        assert {token.id: (token.name, token.state) for token in vox.tokens.list(every=True)}[gone.token.id] == (
            None,
            "revoked",
        )
        revoked = vox.catalog.sql("SELECT subject FROM events WHERE type = 'TokenRevoked'").rows()
        assert revoked == [{"subject": gone.token.id}]
    assert small_world.found((GONE,)) == {}

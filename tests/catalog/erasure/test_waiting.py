"""What an erasure waits for is said, and the next run goes on when it is there no more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import forking
from tests.building import NOBODY, completed
from tests.catalog.erasure.conftest import GONE, GONE_WORDS, KEPT, World
from tests.mixpanel_server import MixpanelServer
from tests.s3 import empty_bucket, wait_for
from voxledger.catalog.erasure import audio as erasing_audio
from voxledger.catalog.errors import ErasureError, StoreError, SubjectNotFound, VaultError
from voxledger.catalog.events import ClipTagged, ObjectMissing, new_id
from voxledger.catalog.journal import UPLOAD, Task
from voxledger.catalog.objects import ranged
from voxledger.catalog.objects.begun import uploads
from voxledger.catalog.objects.sending import Begun
from voxledger.catalog.objects.uploads.unfinished import Unfinished
from voxledger.catalog.objects.uploads.upload import Upload
from voxledger.catalog.reconcile import Around, reconciler
from voxledger.catalog.retention.applying import restoring
from voxledger.catalog.vault import Vault
from voxledger.cli import main
from voxledger.synth.errors import ConsentEnded, SynthesisError
from voxledger.synth.studio import attempt


def test_a_legal_hold_keeps_its_clip_until_it_is_released_and_the_name_is_free_at_once(world: World) -> None:
    held, *others = world.live(fully=False)[GONE]
    world.hold(held)
    with world.open() as vox:
        plan = vox.erasure.plan(actor=GONE)
        assert (plan.clips, plan.held, plan.pinned) == (3, 1, 1)
        assert plan.notes[0].startswith("1 clip under 1 legal hold")
        done = vox.erasure.apply(plan)
        assert not done.finished
        assert done.clips == 2
        assert "legal hold" in done.notes["audio"]
        with pytest.raises(ErasureError, match=r"asked for on .* legal hold keeps 1 clip"):
            vox.erasure.plan(actor=GONE)
        assert [request.notes["audio"] for request in vox.erasure.waiting()] == [done.notes["audio"]]
        assert vox.catalog.clip(held).text  # words and key stay with it
        assert {vox.catalog.clip(clip).state for clip in others} == {"purged"}
        assert not vox.erasure.resume()[0].finished
    with world.open(GONE) as vox:
        anew = vox.speak("Somebody new.", engine="espeak", language="en")
        assert vox.catalog.clip(anew.id).actor == GONE
    world.release(held)
    _serve_until_finished(world)
    with world.open() as vox:
        (finished,) = vox.erasure.requests()
        assert (finished.is_open, finished.fact["clips"]) == (False, 3)
        assert vox.catalog.clip(held).text is None
        assert vox.catalog.clip(anew.id).text == "Somebody new."
        past = (
            vox.catalog.sql("SELECT count(text) AS n FROM clips", as_of=vox.erasure.requests()[0].asked)
            .arrow()["n"][0]
            .as_py()
        )
        assert past == 3  # of the other one: erased words do not come back with the past


def test_an_erasure_that_can_only_wait_ends_with_a_status_that_says_so(
    small_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    first = _stored(small_world)
    small_world.hold(first)

    def status(*arguments: str) -> object:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(small_world.path), *arguments])
        return ended.value.code

    def erase() -> object:
        with small_world.open() as vox:
            plan = vox.erasure.plan(actor=GONE).id
        return status("erase", "--actor", GONE, "--plan", plan, "--yes")

    assert erase() == 3
    assert status("erase", "--resume") == 3
    small_world.release(first)
    assert status("erase", "--resume", "--json") == 0
    assert status("erase", "--resume") == 0  # nothing waits
    # Where some went and a hold keeps the rest, that is a beginning; the next time nothing more can be done.
    with small_world.open(GONE) as vox:
        held, _ = (vox.speak(f"Zanzibar {number}.", engine="espeak", language="en") for number in range(2))
        assert not vox.uploader.flush(timeout=60)
    small_world.hold(held.id)
    assert erase() == 0
    capsys.readouterr()
    assert status("erase", "--resume") == 3
    assert "1 clip, 1 object," in capsys.readouterr().out  # what went before is not counted again


def _serve_until_finished(world: World) -> None:
    command = ["-m", "voxledger", "--home", world.path, "serve", "--no-web"]
    node = forking.spawn(command, env={**os.environ, **world.environ}, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: not list((world.path / "erasing").glob("*.json")), "the node goes on with it", seconds=60)
    finally:
        node.terminate()
        assert node.wait(60) == 0


def test_a_stale_plan_and_unknown_names_change_nothing(world: World) -> None:
    made = world.live(fully=False)
    with world.open(GONE) as vox:
        plan = vox.erasure.plan(actor=GONE)
        vox.speak("One more.", engine="espeak", language="en")
        with pytest.raises(ErasureError, match="stale"):
            vox.erasure.apply(plan)
        with pytest.raises(SubjectNotFound, match=f"did you mean '{GONE}'"):
            vox.erasure.plan(actor="Quillfether")
        with pytest.raises(SubjectNotFound, match="no voice"):
            vox.erasure.plan(voice="nobody")
        with pytest.raises(ErasureError, match="Voxledger itself"):
            vox.erasure.plan(actor="voxledger")
        assert vox.erasure.requests() == []
        assert len(vox.catalog.clips()) == 7
    assert made


def test_a_store_that_goes_away_stops_it_before_the_key(world: World) -> None:
    world.live(fully=False)
    with world.open() as vox:
        plan = vox.erasure.plan(actor=GONE)
    endpoint, world.settings["store_endpoint"] = world.settings["store_endpoint"], "http://127.0.0.1:9"
    with world.open() as vox:
        try:
            done = vox.erasure.apply(plan)
        except StoreError:
            pass
        else:
            assert not done.finished
            assert done.outcomes["audio"] == "waiting"
        assert vox.vault.key(plan.subject.target)
        assert vox.erasure.waiting()
    world.settings["store_endpoint"] = endpoint
    with world.open() as vox:
        assert vox.erasure.resume()[0].finished


def test_a_voice_goes_with_its_name_and_what_was_spoken_with_it(world: World) -> None:
    world.live()
    with world.open() as vox:
        sha256 = vox.voices.show("Vellichor").sha256
        said = completed(
            voice_sha256=sha256, voice_name="Vellichor", text="Said by Kept.", actor_label=KEPT, key="k/l/m.wav"
        )
        spoken = vox.recorder.emit(said, subject=new_id(), actor=vox.vault.actor(KEPT)).subject
        plan = vox.erasure.plan(voice="vellichor")
        assert (plan.recordings, plan.clips) == (2, 1)
        done = vox.erasure.apply(plan)
        assert done.finished, done
        assert not done.key_destroyed
        assert {clip.actor for clip in vox.catalog.clips()} == {GONE, KEPT}
        with pytest.raises((ConsentEnded, SynthesisError)):
            vox.voices.resolve("Vellichor")
        assert vox.voices.resolve("Bobvoice")
        clip = vox.catalog.clip(spoken)
        assert (clip.state, clip.voice, clip.text) == ("purged", None, "Said by Kept.")
        assert all(event.type for event in vox.catalog.history(spoken))
        registered = vox.voices.add(
            "Anew", world.path / "cache" / vox.catalog.clips(actor=GONE)[0].key, own=True, force=True
        )
        assert registered.sha256 != sha256 or vox.voices.show("Anew").state == "registered"
    found = world.found(GONE_WORDS)
    assert "Vellichor" not in found
    assert "harpsichordia" in found


def test_mixpanel_is_asked_until_it_has_forgotten(world: World) -> None:
    with MixpanelServer(token="token", gdpr_token="oauth") as server:
        world.settings |= {"mixpanel_token": "token", "mixpanel_endpoint": server.url}
        world.live(fully=False)
        with world.open() as vox:
            vox.mixpanel.deliver()
            plan = vox.erasure.plan(actor=GONE)
            assert any("Mixpanel" in words for words in plan.elsewhere)
            done = vox.erasure.apply(plan)
            assert "gdpr_token" in done.notes["mixpanel"]
        world.settings |= {"mixpanel_gdpr_token": "oauth"}
        with world.open() as vox:
            vox.mixpanel.deliver()
            assert not vox.erasure.resume()[0].finished
            assert server.deletions == {plan.subject.target: "PENDING"}
            assert not vox.erasure.resume()[0].finished
            server.deletions[plan.subject.target] = "FAILURE"
            assert "FAILURE" in vox.erasure.resume()[0].notes["mixpanel"]
            assert not vox.erasure.resume()[0].finished
            assert server.deletions == {plan.subject.target: "PENDING"}  # asked anew
            server.deletions[plan.subject.target] = "SUCCESS"
            assert vox.erasure.resume()[0].finished
            assert not vox.erasure.waiting()
            assert vox.erasure.requests()[0].outcomes["mixpanel"] == "done"


def test_a_name_that_mixpanel_has_heard_is_forgotten_there_too(world: World) -> None:
    with MixpanelServer(token="token", gdpr_token="oauth") as server:
        world.settings |= {
            "mixpanel_token": "token", "mixpanel_endpoint": server.url, "mixpanel_gdpr_token": "oauth", "mixpanel_actor_ids": "label",
        }  # fmt: skip
        world.live(fully=False)
        with world.open() as vox:
            vox.mixpanel.deliver()
            plan = vox.erasure.plan(actor=GONE)
            assert any("one opaque id and a name" in words for words in plan.elsewhere)
            vox.erasure.apply(plan)
            assert server.deletions == {plan.subject.target: "PENDING", GONE: "PENDING"}
            server.deletions[plan.subject.target] = "SUCCESS"
            assert not vox.erasure.resume()[0].finished
            server.deletions[GONE] = "SUCCESS"
            assert vox.erasure.resume()[0].finished
            assert GONE not in (vox.home.path / "mixpanel-names.json").read_text()


def test_what_is_made_while_its_actor_is_erased_is_not_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.open(GONE) as vox:
        vox.speak("First.", engine="espeak", language="en")
        write = attempt.write

        def erased_meanwhile(*given: Any) -> Any:
            clip = write(*given)
            with world.open() as other:
                other.vault.detach(other.erasure.subject(actor=GONE).target)
            return clip

        monkeypatch.setattr(attempt, "write", erased_meanwhile)
        with pytest.raises(VaultError, match="erased while it was made"):
            vox.speak("Second.", engine="espeak", language="en")
        assert [clip.text for clip in vox.catalog.clips()] == ["First."]
        assert len([path for path in (world.path / "cache").rglob("*") if path.is_file()]) == 1


def test_a_destroyed_key_is_gone_from_the_file_and_in_every_process(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    one, other = Vault(path), Vault(path)
    gone, kept = one.actor("ann"), one.actor("bob")
    assert other.key(gone.id)
    assert one.destroy(gone.id)
    assert other.key(gone.id) is None
    assert other.destroyed(gone.id)
    assert other.known("ann") is None
    assert other.key(kept.id)
    assert other.actor("ann").id != gone.id
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert gone.key not in content
    assert kept.key in content
    assert not one.destroy(gone.id)
    for vault in (one, other):
        vault.close()


def test_an_upload_that_runs_is_waited_for_and_one_that_waits_is_given_up(world: World) -> None:
    endpoint, world.settings["store_endpoint"] = world.settings["store_endpoint"], NOBODY
    world.settings["store_close_wait"] = 0
    with world.open(GONE) as vox:
        clips = [vox.speak(f"Zanzibar marmalade {number}.", engine="espeak", language="en") for number in range(2)]
    world.settings["store_endpoint"] = endpoint
    with world.open() as vox:
        plan = vox.erasure.plan(actor=GONE)
        vox.journal.hurry(UPLOAD)
        (running, *_) = vox.journal.lease(UPLOAD, limit=1, seconds=600)
        done = vox.erasure.apply(plan, patience=0.2)
        assert (done.clips, done.finished) == (1, False)
        assert "being uploaded" in done.notes["audio"]
        assert vox.journal.open_tasks(UPLOAD, [clip.id for clip in clips]) == 1
        with vox.journal.transaction() as write:
            write.release_task(running)
        (finished,) = vox.erasure.resume()
        assert (finished.clips, finished.finished) == (2, True)
        assert not vox.journal.open_tasks(UPLOAD, [clip.id for clip in clips])
    assert world.found(GONE_WORDS) == {}


def _stored(world: World, *, missing: bool = False) -> str:
    """A clip that only the store has; it may be thought lost there."""
    with world.open(GONE) as vox:
        clip = vox.speak("Zanzibar marmalade.", engine="espeak", language="en", name="pumpernickel")
        assert not vox.uploader.flush(timeout=60)
        assert clip.path
        assert clip.key
        clip.path.unlink()
        if missing:
            lost = ObjectMissing(
                bucket=clip.bucket, bytes=clip.bytes, key=clip.key, state="absent", found_bytes=None, found_etag=None
            )
            vox.recorder.emit(lost, subject=clip.id, actor=vox.vault.actor(GONE))
    return clip.id


def _left(world: World) -> list[Path]:
    """Files with audio, the store's own among them."""
    return [path for path in world.path.rglob("*") if path.suffix in (".wav", ".part") or "restoring" in path.parts]


def test_what_is_being_restored_is_waited_for_and_erased_then(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, seen = _stored(small_world, missing=True), list[Any]()

    def meanwhile(place: str) -> None:
        if place == "retrieve.after_fetch":
            with small_world.open() as other:
                seen.append(other.erasure.apply(other.erasure.plan(actor=GONE), patience=0.2))

    monkeypatch.setattr(restoring, "failpoint", meanwhile)
    with small_world.open(KEPT) as vox:
        assert [back.clip for back in vox.retention.restore(clip).restored] == [clip]
        assert (seen[0].finished, seen[0].outcomes) == (False, {"audio": "waiting"})
        assert "being restored" in seen[0].notes["audio"]
        (note,) = vox.retention.restore(clip).failed
        assert "its erasure was asked for" in note.reason
    with small_world.open() as vox:
        assert vox.erasure.resume()[0].finished
    assert _left(small_world) == []
    assert small_world.found(GONE_WORDS) == {}


def test_what_is_erased_while_it_is_fetched_does_not_stay_in_the_cache(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, done = _stored(small_world), list[bool]()

    def meanwhile(place: str) -> None:
        if place == "fetch.before_publish":
            done.append(small_world.erase().finished)

    monkeypatch.setattr(ranged, "failpoint", meanwhile)
    with small_world.open(KEPT) as vox, pytest.raises(StoreError, match="was purged"):
        vox.catalog.fetch(clip)
    assert done == [True]
    assert _left(small_world) == []
    assert small_world.found(GONE_WORDS) == {}


def test_what_was_fetched_too_late_by_a_process_that_was_killed_goes_with_the_next_opening(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = _stored(small_world)
    published = small_world.path / "published"
    # The process is stopped where the file has its name, and killed there once the erasure is over.
    script = (
        "import pathlib, sys, time\n"
        "from voxledger.catalog import audio\n"
        "from voxledger.ledger import Ledger\n"
        f"audio.failpoint = lambda place: (pathlib.Path({str(published)!r}).touch(), time.sleep(600))\n"
        f"with Ledger({str(small_world.path)!r}) as vox:\n    vox.catalog.fetch(sys.argv[1])\n"
    )
    process = forking.spawn(["-c", script, clip], env={**os.environ, **small_world.environ})
    try:
        wait_for(published.exists, "the file is published")
        content = _left(small_world)
        with small_world.open() as vox:
            monkeypatch.setattr(
                erasing_audio.Audio, "_remove", lambda *_: None
            )  # as if it had looked before the file was there
            assert vox.erasure.apply(vox.erasure.plan(actor=GONE)).finished
            monkeypatch.undo()
    finally:
        process.kill()
        process.wait(10)
    published.unlink()
    assert len(content) > len(_left(small_world)) > 0
    with small_world.open(KEPT):
        pass
    assert _left(small_world) == []
    assert small_world.found(GONE_WORDS) == {}
    assert list((small_world.path / "arriving").iterdir()) == []


def test_a_legal_hold_placed_meanwhile_counts_even_if_the_journal_was_pruned_since(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = _stored(small_world)
    with small_world.open() as vox:
        take_back, placed = vox.journal.take_back, list[str]()

        def meanwhile() -> None:
            take_back()
            if placed:
                return
            placed.append(clip)
            small_world.hold(clip)
            with small_world.open(KEPT) as other:
                keeper = other.vault.actor(KEPT)
                facts = [ClipTagged(tag=f"tag{number}") for number in range(25)]
                other.journal.emit(*(other.recorder.draft(fact, subject=clip, actor=keeper) for fact in facts))
                other.keeper.drain()
                assert int(other.journal.oldest() or 0) > reached + 1

        plan = vox.erasure.plan(actor=GONE)
        reached = vox.journal.head()
        monkeypatch.setattr(vox.journal, "take_back", meanwhile)
        done = vox.erasure.apply(plan)
        assert placed
        assert "legal hold keeps 1 clip" in done.notes["audio"]
        assert vox.catalog.clip(clip).state == "stored"
        assert vox.store.exists(vox.catalog.clip(clip).bucket, vox.catalog.clip(clip).key or "")


def test_a_repair_that_runs_beside_it_brings_nothing_back(small_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_world.open(GONE) as vox:
        lost = vox.speak("Zanzibar marmalade.", engine="espeak", language="en")
        other = vox.speak("Zanzibar again.", engine="espeak", language="en")
        assert not vox.uploader.flush(timeout=60)
        vox.store.delete(lost.bucket, lost.key or "")
    done = list[bool]()

    def meanwhile(place: str) -> None:
        if place == "reconcile.after_prepared" and not done:
            done.append(small_world.erase().finished)

    monkeypatch.setattr(reconciler, "failpoint", meanwhile)
    with small_world.open(KEPT) as vox:
        around = Around(
            home=vox.home, settings=vox.settings, recorder=vox.recorder, keeper=vox.keeper, store=vox.store, actor=KEPT
        )
        found = reconciler.reconcile(around, repair=True, grace=0.0, accept_loss=True)
        assert (done, found.queued) == ([True], 0)
        assert not vox.journal.open_tasks(UPLOAD, [lost.id, other.id])
        assert not vox.uploader.flush(timeout=60)
    assert _left(small_world) == []
    assert small_world.found(GONE_WORDS) == {}


def test_what_a_killed_restore_had_fetched_is_erased(small_world: World) -> None:
    clip = _stored(small_world, missing=True)
    command = ["-m", "voxledger", "--home", small_world.path, "retention", "restore", clip]
    environ = {**os.environ, **small_world.environ, "VOXLEDGER_FAILPOINT": "retrieve.after_fetch"}
    assert forking.run(command, env=environ).returncode == -9
    assert any(path.name == clip for path in _left(small_world))
    assert small_world.erase().finished
    assert _left(small_world) == []


def test_an_endpoint_without_the_bucket_is_no_proof_that_clips_are_gone(world: World) -> None:
    with world.open(GONE) as vox:
        clip = vox.speak("Zanzibar marmalade.", engine="espeak", language="en")
        assert not vox.uploader.flush(timeout=60)
    endpoint, world.settings["store_endpoint"] = world.settings["store_endpoint"], ""
    with world.open() as vox:
        done = vox.erasure.apply(vox.erasure.plan(actor=GONE))
        assert (done.finished, done.outcomes["audio"], done.clips) == (False, "failed", 0)
        assert f"bucket {clip.bucket} is not in the embedded store; did the endpoint" in done.notes["audio"]
        assert vox.store.embedded
        vox.store.embedded.stop()
    world.settings["store_endpoint"] = endpoint
    with world.open() as vox:
        assert vox.store.exists(clip.bucket, clip.key or "")
        assert vox.erasure.resume()[0].finished
        assert not vox.store.exists(clip.bucket, clip.key or "")


def test_another_store_with_a_bucket_of_the_same_name_is_no_proof_that_clips_are_gone(world: World) -> None:
    with world.open(GONE) as vox:
        clips = [vox.speak(f"Zanzibar {number}.", engine="espeak", language="en") for number in range(2)]
        assert not vox.uploader.flush(timeout=60)
    endpoint, world.settings["store_endpoint"] = world.settings["store_endpoint"], ""
    with world.open() as vox:
        vox.store.ensure_bucket(clips[0].bucket)
        done = vox.erasure.apply(vox.erasure.plan(actor=GONE))
        assert (done.finished, done.advanced, done.outcomes["audio"], done.clips) == (False, False, "failed", 0)
        assert f"clips that were stored in {clips[0].bucket} are not in the embedded store" in done.notes["audio"]
        assert "--trust-store" in done.notes["audio"]
        assert {vox.catalog.clip(clip.id).state for clip in clips} == {"stored"}
        assert vox.store.embedded
        vox.store.embedded.stop()
    world.settings["store_endpoint"] = endpoint
    with world.open() as vox:
        # Of what is in the right store one was deleted by hand: the other one of that time is there.
        vox.store.delete(clips[0].bucket, clips[0].key or "")
        assert vox.erasure.resume()[0].finished
        assert not vox.store.exists(clips[1].bucket, clips[1].key or "")


def test_who_knows_that_the_store_was_emptied_says_so(small_world: World) -> None:
    clip = _stored(small_world)
    with small_world.open() as vox:
        vox.store.delete(vox.catalog.clip(clip).bucket, vox.catalog.clip(clip).key or "")
        plan = vox.erasure.plan(actor=GONE).id
    for arguments, status in (
        (["--actor", GONE, "--plan", plan, "--yes"], 1),
        (["--resume"], 1),
        (["--resume", "--trust-store"], 0),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(small_world.path), "erase", *arguments])
        assert ended.value.code == status
    with small_world.open() as vox:
        assert not vox.erasure.waiting()
        assert vox.catalog.clip(clip).state == "purged"


def test_a_voices_bucket_that_is_not_there_is_no_proof_that_recordings_are_gone(world: World) -> None:
    with world.open(GONE) as vox:
        clip = vox.speak("Zanzibar marmalade, and some more of it for the recording.", engine="espeak", language="en")
        assert clip.path
        vox.voices.add("Vellichor", clip.path, own=True, force=True)
        assert not vox.uploader.flush(timeout=60)
    right, world.settings["store_voices"] = world.settings["store_voices"], f"{world.bucket}-elsewhere"
    with world.open() as vox:
        done = vox.erasure.apply(vox.erasure.plan(actor=GONE))
        assert (done.finished, done.key_destroyed, done.outcomes["recordings"]) == (False, False, "failed")
        assert (
            f"bucket {world.bucket}-elsewhere is not at {world.settings['store_endpoint']}" in done.notes["recordings"]
        )
    world.settings["store_voices"] = right
    with world.open() as vox:
        assert len(list(vox.store.list(right))) == 1
        assert vox.erasure.resume()[0].finished
        assert list(vox.store.list(right)) == []


def test_buckets_that_were_deleted_on_purpose_are_gone_for_whoever_says_so(world: World) -> None:
    with world.open(GONE) as vox:
        clip = vox.speak("Zanzibar marmalade, and some more of it for the recording.", engine="espeak", language="en")
        assert clip.path
        vox.voices.add("Vellichor", clip.path, own=True, force=True)
        assert not vox.uploader.flush(timeout=60)
        empty_bucket(vox.store, world.settings["store_audio"])
        empty_bucket(vox.store, world.settings["store_voices"])
    with world.open() as vox:
        done = vox.erasure.apply(vox.erasure.plan(actor=GONE))
        assert done.outcomes["audio"] == "failed"
        (done,) = vox.erasure.resume(trust_store=True)
        assert done.finished, done
    assert world.found(GONE_WORDS) == {}


def test_parts_of_uploads_that_were_never_finished_go_too(ceph_world: World) -> None:
    world = ceph_world
    with world.open(GONE) as vox:
        held, gone = (vox.speak(f"Zanzibar {number}.", engine="espeak", language="en") for number in range(2))
        assert not vox.uploader.flush(timeout=60)
        actor = vox.vault.actor(GONE)
    world.hold(held.id)
    world.back_up()
    audio, backup = (world.settings[f"store_{name}"] for name in ("audio", "backup"))
    with world.open() as vox:
        # Somebody was killed while he uploaded a large clip, and while he backed one up.
        ids = {
            bucket: vox.store.request(
                "BEGIN",
                lambda s3: s3.create_multipart_upload(Bucket=bucket, Key=gone.key or "")["UploadId"],  # noqa: B023
            )
            for bucket in (audio, backup)
        }
        upload = Upload(bucket=audio, key=gone.key or "", path="", content_type="audio/wav", sha256="ab", bytes=1)
        task = Task(id=10**6, kind=UPLOAD, subject=gone.id, actor=actor.id, payload=b"", attempts=1, created=0.0)
        Unfinished(vox.home.uploads, vox.recorder).of(task, upload).remember(Begun(ids[audio], 1))
        with uploads(vox.home.uploads / "backup") as begun:
            memory = begun.of(vox.store, backup, gone.key or "")
            assert memory
            memory.remember(Begun(ids[backup], 1))

        def unfinished(bucket: str) -> bool:
            return "Uploads" in vox.store.request("PARTS", lambda s3: s3.list_multipart_uploads(Bucket=bucket))

        done = vox.erasure.apply(vox.erasure.plan(actor=GONE))
        assert (done.outcomes["audio"], done.outcomes["parts"]) == ("waiting", "done")
        assert (unfinished(audio), unfinished(backup)) == (False, True)
    world.release(held.id)
    with world.open() as vox:
        assert vox.erasure.resume()[0].finished
        assert not unfinished(backup)

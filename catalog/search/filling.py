"""Filling: how a piece of the log is written into the index, whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from voxledger.catalog.search.database import SQL, transaction
from voxledger.catalog.search.feed import Made, Piece
from voxledger.catalog.search.words import SEPARATOR, facet, indexed

_MOMENT = 1000
"""Documents of one span of time: fine enough for `since`, few enough to be looked through."""
_WIPED = 5000
"""Documents taken out at a time."""
_MERGED = 500
"""Pages merged in one step when words are wiped."""
BEGIN_WIPING, CONTINUE_WIPING = 1, 2
"""What `place.erasing` says: words were deleted; some segments are merged already."""
_decode_tags = msgspec.json.Decoder(list[str]).decode


class Filler:
    """Writes pieces into one open index."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._facets: dict[str, int] = {}

    def apply(self, piece: Piece, epoch: str) -> None:
        """Write a piece and move the place to its end, in one transaction."""
        execute = self._connection.execute
        try:
            with transaction(self._connection):
                self._keep(piece.made)
                for position, tags in piece.retagged:
                    self._retag(position, tags)
                for position, scope, target in piece.erased:
                    self._erase("a" if scope == "actor" else "s", target, position)
                if piece.erased:  # with them go tags of clips that stay
                    execute(SQL["erasing"], (BEGIN_WIPING,))
                execute(SQL["move"], {"position": piece.through, "event": piece.event, "epoch": epoch})
        except BaseException:
            self._facets.clear()  # some may have been rolled back
            raise

    def forget(self, actors: Iterable[str], through: int) -> None:
        """Take out all documents of these actors up to a position."""
        with transaction(self._connection):
            for actor in actors:
                self._erase("a", actor, through)

    def wipe(self) -> bool:
        """One step of wiping out what deleted words left in the file; False when there is nothing more to do now.

        FTS5 only marks words as deleted; they are gone when all segments have become one, and the WAL has been emptied.
        """
        execute = self._connection.execute
        state = execute(SQL["place"]).fetchone()[3]
        if not state:
            return False
        with transaction(self._connection):
            before = self._connection.total_changes
            execute(SQL["merge"], (-_MERGED if state == BEGIN_WIPING else _MERGED,))
            merged = self._connection.total_changes - before < 2
            execute(SQL["erasing"], (CONTINUE_WIPING,))
        if merged and not execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            execute(SQL["erasing"], (0,))
        return not merged  # where somebody reads the WAL just now, the next one to advance empties it

    def _keep(self, made: list[Made]) -> None:
        """Add clips. One position comes once, even where a hub heard of a clip twice."""
        clips = {clip.position: clip for clip in made}.values()
        tokens = [facets_of(clip.actor, clip.emotion, clip.language, clip.voice, clip.voice_sha256) for clip in clips]
        self._connection.executemany(
            SQL["keep_document"],
            (
                (
                    clip.position,
                    clip.clip,
                    clip.created,
                    self._facet_id(clip.actor, told),
                    clip.name,
                    clip.tags,
                    clip.text,
                )
                for clip, told in zip(clips, tokens, strict=True)
            ),
        )
        self._connection.executemany(
            SQL["keep_words"],
            (
                (clip.position, *as_words(clip.name, clip.tags, clip.text), told)
                for clip, told in zip(clips, tokens, strict=True)
            ),
        )
        self._note_moments(list(clips))

    def _note_moments(self, clips: list[Made]) -> None:
        """Spans of documents with the earliest time in each and the latest up to its end, which never goes back."""
        last = self._connection.execute(SQL["last_moment"]).fetchone()
        first, count, earliest, latest = last or (0, _MOMENT, 0, 0)
        while clips:
            if count >= _MOMENT:
                first, count, earliest = clips[0].position, 0, clips[0].created
            span, clips = clips[: _MOMENT - count], clips[_MOMENT - count :]
            times = [clip.created for clip in span]
            count, earliest, latest = count + len(span), min(earliest, *times), max(latest, *times)
            values = {"first": first, "documents": count, "earliest": earliest, "latest": latest}
            self._connection.execute(SQL["keep_moment"], values)

    def _facet_id(self, actor: str, tokens: str) -> int:
        found = self._facets.get(tokens)
        if found is None:
            self._connection.execute(SQL["keep_facets"], (actor, tokens))
            found = int(self._connection.execute(SQL["facets"], (tokens,)).fetchone()[0])
            if len(self._facets) > 20_000:
                self._facets.clear()
            self._facets[tokens] = found
        return found

    def _retag(self, position: int, tags: str) -> None:
        execute = self._connection.execute
        stored = execute(SQL["stored"], (position,)).fetchone()
        if stored and stored[1] != tags:
            name, before, text, told = stored
            execute(SQL["drop_words"], (position, *as_words(name, before, text), told))
            execute(SQL["keep_words"], (position, *as_words(name, tags, text), told))
            execute(SQL["retag"], (tags, position))

    def _erase(self, kind: str, target: str, through: int) -> None:
        execute = self._connection.execute
        query = f'facets : "{facet(kind, target)}"'
        while found := execute(SQL["with_facet"], (query, through, _WIPED)).fetchall():
            for (position,) in found:
                name, tags, text, told = execute(SQL["stored"], (position,)).fetchone()
                execute(SQL["drop_words"], (position, *as_words(name, tags, text), told))
                execute(SQL["drop_document"], (position,))
            execute(SQL["erasing"], (BEGIN_WIPING,))
        if kind == "a" and not execute(SQL["with_facet"], (query, 2**62, 1)).fetchone():
            execute(SQL["forget_facets"], (target,))
            self._facets.clear()


def as_words(name: str, tags: str, text: str) -> tuple[str, str, str]:
    """The three fields as the index is given them, always the same for the same fields. `tags` is a JSON array."""
    told = "" if tags == "[]" else f" {SEPARATOR} ".join(indexed(tag) for tag in _decode_tags(tags))
    return indexed(name), told, indexed(text)


@lru_cache(maxsize=20_000)
def facets_of(actor: str, emotion: str, language: str, voice: str | None, voice_sha256: str | None) -> str:
    """A clip's facets, one word each: emotion, actor, voice by name and by content, language with and without region."""
    tokens = [facet("e", emotion), facet("a", actor)]
    if voice:
        tokens.append(facet("v", voice))
    if voice_sha256:
        tokens.append(facet("s", voice_sha256))
    parts = language.split("-")
    tokens.extend(facet("l", "-".join(parts[: end + 1])) for end in range(len(parts)))
    return " ".join(tokens)

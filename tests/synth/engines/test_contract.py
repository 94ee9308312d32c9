"""Every engine, held to the same contract; indextts in `test_indextts.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from tests.speech_server import SpeechServer
from tests.synth.engines.contract import Case, EngineContract
from voxledger.catalog.settings import Remote, RemoteField, Settings
from voxledger.synth.engines.espeak import EspeakEngine
from voxledger.synth.engines.remote import RemoteEngine


class TestEspeak(EngineContract):
    """eSpeak NG."""

    @pytest.fixture
    def case(self, recordings: tuple[Path, Path]) -> Iterator[Case]:
        engine = EspeakEngine()
        yield Case(engine=engine, make=EspeakEngine, recording=recordings[0])
        engine.close()


class TestRemote(EngineContract):
    """A speech server that knows no more than OpenAI's own fields."""

    @pytest.fixture
    def case(self, recordings: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with SpeechServer() as server:
            settings = Settings(remote=Remote(url=server.url, model="tts-1", voice="alloy", voices=("alloy",)))
            engine = RemoteEngine(settings)
            yield Case(engine=engine, make=lambda: RemoteEngine(settings), recording=recordings[0])
            engine.close()


class TestRemoteOfVllmOmni(EngineContract):
    """A speech server with the fields that vLLM-Omni documents for IndexTTS-2.5."""

    @pytest.fixture
    def case(self, recordings: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        fields = get_args(RemoteField)
        with SpeechServer(omni=True) as server:
            settings = Settings(remote=Remote(url=server.url, format="wav", voices=("alloy",), fields=fields))
            engine = RemoteEngine(settings)
            more = {"voice_audio": recordings[0]}
            yield Case(engine=engine, make=lambda: RemoteEngine(settings), recording=recordings[1], more=more)
            engine.close()

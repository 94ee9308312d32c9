"""A node that speaks nothing itself: installed with the extra `web` alone, it serves the catalog, and says what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_CODE = """
import asyncio, json, sys
for name in ("torch", "torchaudio", "soundfile", "av", "espeakng_loader", "sudachipy"):
    sys.modules[name] = None  # as if it were not installed
import httpx
from voxledger.dashboards.server.app import build
from voxledger.dashboards.server.site import Site
from voxledger.ledger import Ledger

async def asked(site):
    transport = httpx.ASGITransport(build(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={"Authorization": "Bearer owner"}) as client:
        found = {}
        for path in ("/readyz", "/api/clips", "/api/engines", "/api/voices", "/api/presets", "/api/status", "/metrics", "/v1/models"):
            found[path] = (await client.get(path)).status_code
        for path, body in (("/api/clips", {"text": "hello"}), ("/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "hello"})):
            answer = await client.post(path, json=body)
            found["POST " + path] = [answer.status_code, answer.json()["error"]["code"], "voxledger[synth]" in answer.text]
        return found

with Ledger(sys.argv[1], overrides={"store_close_wait": 0}) as ledger:
    site = Site(ledger, version="0", loopback=True)
    site.secret = "owner"
    print(json.dumps(asyncio.run(asked(site))))
    site.end()
"""


def test_it_serves_what_is_there_and_names_the_extra_that_is_missing(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _CODE, str(tmp_path / "home")], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout.splitlines()[-1])
    assert {status for name, status in found.items() if not name.startswith("POST")} == {200}, found
    for path in ("POST /api/clips", "POST /v1/audio/speech"):
        assert found[path] == [503, "engine_unavailable", True]

"""Speech as OpenAI's clients ask for it: `/v1/audio/speech`, streamed or whole, `/v1/models` and `/v1/audio/voices`."""

from voxledger.dashboards.speech.routes import router

__all__ = ["router"]

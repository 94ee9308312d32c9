"""The public names."""

from __future__ import annotations

from voxledger.synth import audio


def test_every_public_name_exists_and_is_documented():
    assert len(set(audio.__all__)) == len(audio.__all__)
    for name in audio.__all__:
        member = getattr(audio, name)
        assert not callable(member) or member.__doc__


def test_formats_name_extension_type_and_rates():
    for name, audio_format in audio.FORMATS.items():
        assert audio_format.name == audio_format.extension == name
        assert audio_format.content_type.startswith("audio/")
        assert list(audio_format.rates) == sorted(audio_format.rates)

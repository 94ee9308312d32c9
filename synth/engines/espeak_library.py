"""eSpeak NG's C library through ctypes. Runs as a program of its own and imports nothing but the standard library.

A process of its own, because libespeak-ng 1.52 can be made to overrun its stack by what people may well send (one
circled letter in an Amharic sentence will do), and nothing of that may end the program that asked for speech.

API: https://github.com/espeak-ng/espeak-ng/blob/1.52.0/src/include/espeak-ng/speak_lib.h and espeak_ng.h.

    python -I -S espeak_library.py LIBRARY DATA        reads requests on stdin, writes answers to stdout

A request is a line of JSON `{"voice": bytes, "text": bytes, "parameters": [[number, value], …], "seed_c": bool}`, then
the voice file and the UTF-8 text. The answer is a line `{"rate": Hz, "ends": [sample, …], "bytes": n}` or
`{"error": message}`, then the samples: mono, 16 bit, native byte order.
"""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

# espeak_PARAMETER
RATE, PITCH, RANGE, WORDGAP = 1, 3, 4, 7

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback before espeak_Synth returns
_DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: an error is returned, instead of ending the process
_BUFFER_MS = 200
_CHARS_UTF8 = 1  # no espeakSSML, no espeakPHONEMES: "<b>" and "[[" are text like any other
_POS_CHARACTER = 1
_EVENT_LIST_TERMINATED, _EVENT_END = 0, 5


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_int64),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


class LibraryError(Exception):
    """The library refused to do something."""


def version(library: str) -> str:
    """The library's own version number. Loads it, but initialises nothing."""
    info = ctypes.CDLL(library).espeak_Info
    info.restype = ctypes.c_char_p
    found: bytes = info(None)
    return found.decode()


def speak(
    library: str, data: str, voice: bytes, parameters: Sequence[tuple[int, int]], text: bytes, *, seed_c: bool = False
) -> tuple[int, list[int], bytes]:
    """Speak one text with one voice file. Returns the sample rate, where clauses end (samples), and the samples.

    The library is loaded for each text and unloaded after it. It keeps the phase of its pitch flutter, the parity of
    its glottal cycles and more in static variables that no call resets, not even espeak_Terminate: without this the
    same text sounds different each time. It costs about one millisecond.
    """
    with _loaded(library) as lib, _short(data) as folder:
        rate = lib.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, folder, _DONT_EXIT)
        if rate <= 0:
            raise LibraryError(f"cannot be initialised with the data in {data}")
        try:
            _set_up(lib, voice, parameters, seed_c=seed_c)
            ends, samples = _synthesize(lib, text)
        finally:
            lib.espeak_Terminate()
    return rate, ends, samples


@contextlib.contextmanager
def _loaded(library: str) -> Iterator[ctypes.CDLL]:
    lib = ctypes.CDLL(library)
    try:
        yield lib
    finally:
        # ctypes never unloads by itself, and offers no public way to ask for it.
        if sys.platform == "win32":
            _ctypes.FreeLibrary(lib._handle)
        else:
            _ctypes.dlclose(lib._handle)


@contextlib.contextmanager
def _short(folder: str) -> Iterator[bytes]:
    """A name of the data folder that fits: the library's buffer holds 160 bytes and is not checked everywhere."""
    if not Path("/proc/self/fd").is_dir():
        yield os.fsencode(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}".encode()
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[bytes]:
    """A short, lower-case path with that content: espeak_ng_SetVoiceByFile cuts at 60 bytes and lowers the case."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("voice")
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp(dir="/tmp" if Path("/tmp").is_dir() else None)  # noqa: S108  # a short name
    try:
        os.write(descriptor, content)
        yield path.encode()
    finally:
        os.close(descriptor)
        if not path.startswith("/proc"):
            Path(path).unlink()


def _set_up(lib: ctypes.CDLL, voice: bytes, parameters: Sequence[tuple[int, int]], *, seed_c: bool) -> None:
    # Breath noise comes from a generator that is seeded with the time of day; Klatt's second synthesizer (klatt 6)
    # takes its noise from C's own.
    lib.espeak_ng_SetRandSeed(ctypes.c_long(1))
    if seed_c:
        ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).srand(ctypes.c_uint(1))
    with _file(voice) as path:
        # By file and not by name: a name that is no file name makes it read all 240 voice files, and leak the list.
        if lib.espeak_ng_SetVoiceByFile(path) != 0:
            raise LibraryError("cannot load the voice file")
    for number, value in parameters:
        lib.espeak_SetParameter(number, value, 0)


def _synthesize(lib: ctypes.CDLL, text: bytes) -> tuple[list[int], bytes]:
    ends: list[int] = []
    pieces: list[bytes] = []

    def take(samples: int | None, count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        place = 0
        while events[place].type != _EVENT_LIST_TERMINATED:
            if events[place].type == _EVENT_END:
                ends.append(events[place].sample)
            place += 1
        return 0

    callback = _CALLBACK(take)
    lib.espeak_SetSynthCallback(callback)
    size = ctypes.c_size_t(len(text) + 1)
    if lib.espeak_Synth(text, size, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None) != 0:
        raise LibraryError("cannot speak this text")
    return ends, b"".join(pieces)


def serve(library: str, data: str) -> None:
    """Answer requests until stdin ends, which it does when the asking process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the asking process, which will close stdin
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the library prints to stdout now and then; that must not get among the answers
    while line := requests.readline():
        asked = json.loads(line)
        voice, text = requests.read(asked["voice"]), requests.read(asked["text"])
        try:
            rate, ends, samples = speak(library, data, voice, asked["parameters"], text, seed_c=asked["seed_c"])
            head = {"rate": rate, "ends": ends, "bytes": len(samples)}
        except (LibraryError, OSError) as error:
            samples, head = b"", {"error": str(error)}
        answers.write(json.dumps(head).encode() + b"\n" + samples)
        answers.flush()


if __name__ == "__main__":
    serve(*sys.argv[1:3])

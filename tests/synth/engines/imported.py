"""Imported by the process that workers of IndexTTS are forked from: all that the package imports by and by, and its Chinese grammar."""

from __future__ import annotations

import importlib
import os
import warnings

from voxledger.synth.engines import indextts_model

os.environ.update(indextts_model.environ(""))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for _name in ("einops._torch_specific", "indextts25.infer_v2_5", "librosa.util.utils", "soundfile"):
        importlib.import_module(_name)
    import librosa
    import transformers
    from indextts25.utils.nemo_tn import normalize_text

    librosa.load, transformers.Wav2Vec2BertModel  # imported when they are first asked for  # noqa: B018
    normalize_text("一", "zh")

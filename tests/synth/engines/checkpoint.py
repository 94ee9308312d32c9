"""A checkpoint of IndexTTS-2.5 with random weights, as the package `indextts25-inference` 0.2.0 loads it.

    python checkpoint.py FOLDER          a tiny one: 30 MB, spoken in a tenth of a second
    python checkpoint.py FOLDER full     the published sizes: about 6 GB, for speed figures on a GPU

What it speaks is noise, but the package's own code runs from end to end: conditioning, GPT, codec, length regulator,
flow matching and vocoder. Runs as a program of its own, so that nobody else has the package's imports in their process.
"""

from __future__ import annotations

import base64
import json
import struct
import sys
from pathlib import Path
from typing import Any

CODES = 12
"""Codes of a segment, whatever its text: 25 of them are a second."""

SEED = 6
"""One with which text, language, voice and each emotion are heard; not all are."""
_LOUDNESS = 0.1  # RMS of what the vocoder gives
_STOP = 40.0
_EMOTION = 30.0  # how far recordings lie apart

TINY: dict[str, Any] = {
    "gpt": {
        "model_dim": 16, "heads": 2, "layers": 2, "max_mel_tokens": 256, "max_text_tokens": 600, "number_text_tokens": 1929,
        "number_mel_codes": 66, "start_mel_token": 64, "stop_mel_token": 65, "start_text_token": 0, "stop_text_token": 1,
        "emo_condition_module": {
            "output_size": 8, "linear_units": 16, "attention_heads": 1, "num_blocks": 1, "input_layer": "conv2d2",
            "perceiver_mult": 0.01,
        },
    },
    "semantic_codec": {
        "codebook_size": 64, "hidden_size": 1024, "codebook_dim": 4, "vocos_dim": 8, "vocos_intermediate_dim": 16,
        "vocos_num_layers": 1,
    },
    "s2mel": {
        "preprocess_params": {
            "sr": 22050,
            "spect_params": {"n_fft": 1024, "win_length": 1024, "hop_length": 256, "n_mels": 80, "fmin": 0, "fmax": "None"},
        },
        "dit_type": "DiT", "style_encoder": {"dim": 192},
        "length_regulator": {"channels": 16, "in_channels": 1024, "content_codebook_size": 4, "sampling_ratios": [1]},
        "DiT": {
            "hidden_dim": 16, "num_heads": 2, "depth": 3, "class_dropout_prob": 0.1, "in_channels": 80, "style_condition": True,
            "final_layer_type": "wavenet", "content_dim": 16, "content_codebook_size": 4, "content_type": "discrete",
            "is_causal": False, "long_skip_connection": True, "time_as_token": False, "style_as_token": False,
            "uvit_skip_connection": True,
        },
        "wavenet": {
            "hidden_dim": 16, "num_layers": 1, "kernel_size": 5, "dilation_rate": 1, "p_dropout": 0.2, "style_condition": True,
        },
    },
    "gpt_checkpoint": "gpt.pth", "w2v_stat": "wav2vec2bert_stats.pt", "s2mel_checkpoint": "s2mel.pth",
    "emo_matrix": "feat2.pt", "spk_matrix": "feat1.pt", "emo_num": [1, 2, 1, 1, 1, 1, 2, 1], "version": 2.5,
}  # fmt: skip

_TINY_W2V = {"intermediate_size": 8, "conv_depthwise_kernel_size": 3, "num_attention_heads": 16}
_TINY_VOCODER = {
    "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8], "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3, 5]],
}  # fmt: skip
_FULL_VOCODER = {
    "upsample_rates": [4, 4, 2, 2, 2, 2], "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4], "upsample_initial_channel": 1536,
    "resblock_kernel_sizes": [3, 7, 11], "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
}  # fmt: skip
_VOCODER = {
    "resblock": "1", "num_mels": 80, "activation": "snakebeta", "snake_logscale": True, "use_tanh_at_final": False,
    "use_bias_at_final": False,
}  # fmt: skip


def full() -> dict[str, Any]:
    """The configuration with the published sizes."""
    found: dict[str, Any] = json.loads(json.dumps(TINY))
    found["gpt"] |= {
        "model_dim": 1280, "heads": 20, "layers": 24, "max_mel_tokens": 1815, "number_text_tokens": 60509,
        "number_mel_codes": 8194, "start_mel_token": 8192, "stop_mel_token": 8193,
    }  # fmt: skip
    found["gpt"]["emo_condition_module"] |= {
        "output_size": 512, "linear_units": 1024, "attention_heads": 4, "num_blocks": 4, "perceiver_mult": 2,
    }  # fmt: skip
    found["semantic_codec"] |= {
        "codebook_size": 8192, "codebook_dim": 8, "vocos_dim": 384, "vocos_intermediate_dim": 2048, "vocos_num_layers": 12,
    }  # fmt: skip
    s2mel = found["s2mel"]
    s2mel["length_regulator"] |= {"channels": 512, "content_codebook_size": 2048, "sampling_ratios": [1, 1, 1, 1]}
    s2mel["DiT"] |= {"hidden_dim": 512, "num_heads": 8, "depth": 13, "content_dim": 512, "content_codebook_size": 1024}
    s2mel["wavenet"] |= {"hidden_dim": 512, "num_layers": 8}
    found["emo_num"] = [3, 17, 2, 8, 4, 5, 10, 24]
    return found


def build(folder: Path, config: dict[str, Any], *, tiny: bool, codes: int = CODES) -> None:
    """Write the checkpoint. Equal arguments give equal files."""
    import torch

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    cache = folder / "hf_cache"
    for each in (cache / "w2v-bert-2.0", cache / "bigvgan"):
        each.mkdir(parents=True)
    # JSON is YAML.
    (folder / "config.yaml").write_text(json.dumps(config, indent=1))
    with torch.no_grad():
        _gpt(folder / "gpt.pth", config["gpt"], codes, tiny=tiny)
        _codec(folder / "codec.pth", config["semantic_codec"])
        _s2mel(folder / "s2mel.pth", config["s2mel"])
        torch.save({"mean": torch.zeros(1024), "var": torch.ones(1024)}, folder / "wav2vec2bert_stats.pt")
        rows = sum(config["emo_num"])
        torch.save(torch.randn(rows, 192), folder / "feat1.pt")
        torch.save(30 * torch.randn(rows, config["gpt"]["model_dim"]), folder / "feat2.pt")
        _campplus(cache / "campplus_cn_common.bin")
        _vocoder(cache / "bigvgan", _VOCODER | (_TINY_VOCODER if tiny else _FULL_VOCODER))
        _w2v_bert(cache / "w2v-bert-2.0", _TINY_W2V if tiny else {}, tiny=tiny)
    tokens = [base64.b64encode(bytes([byte])).decode() + f" {byte}" for byte in range(256)]
    if not tiny:  # merges of two bytes, up to the published number of tokens; what they are does not matter for speed
        tokens += [
            base64.b64encode(bytes([rank // 256, rank % 256])).decode() + f" {256 + rank}"
            for rank in range(config["gpt"]["number_text_tokens"] - 1673 - 256)
        ]
    (folder / "multilingual_zh_ja_yue_char_del.tiktoken").write_text("\n".join(tokens) + "\n")


def _gpt(path: Path, config: dict[str, Any], codes: int, *, tiny: bool) -> None:
    import torch
    from indextts25.gpt.model_v2 import UnifiedVoice

    model = UnifiedVoice(**config)
    width, stop = config["model_dim"], config["stop_mel_token"]
    if tiny:
        # As they are drawn, the weights are so small that neither text nor emotion nor language would be heard.
        for name, weight in model.named_parameters():
            if name == "spk_emb_proj.weight":
                weight.normal_(std=0.1)
            elif name.startswith(("gpt.h.", "text_embedding", "lang_embedding", "mel_embedding")) and weight.ndim == 2:
                weight.normal_()
        _sensitive_to_emotion(model)
    # From a certain place on nothing but the token that stops can be meant, and before it never.
    direction = torch.randn(width)
    direction = (direction - direction.mean()) / direction.std()
    model.mel_pos_embedding.emb.weight[codes:] += _STOP * direction
    model.mel_head.weight[stop] = _STOP * direction / width
    model.mel_head.bias[stop] = -_STOP / 2
    model.mel_head.bias[config["start_mel_token"]] = -1e4
    if tiny:
        model.mel_head.weight[: config["start_mel_token"]].normal_(std=0.7)
    torch.save({key: value.clone() for key, value in model.state_dict().items()}, path)


def _sensitive_to_emotion(model: Any) -> None:
    """Let what recordings differ in decide their emotion, and not what they share."""
    import torch

    model.eval()
    heard = [model.get_emovec(torch.randn(1, 1, 1024).expand(1, 100, 1024), torch.tensor([1024]))[0] for _ in range(16)]
    model.emo_layer.bias -= torch.stack(heard).mean(0)
    scale = _EMOTION / torch.stack(heard).std(0).mean()
    model.emo_layer.weight *= scale
    model.emo_layer.bias *= scale


def _codec(path: Path, config: dict[str, Any]) -> None:
    import torch
    from indextts25.codec.models import EnhancedCodec

    torch.save({"model": EnhancedCodec(**config).state_dict()}, path)


def _s2mel(path: Path, config: dict[str, Any]) -> None:
    import torch
    from indextts25.s2mel.modules.commons import MyModel
    from omegaconf import OmegaConf

    models = MyModel(OmegaConf.create(config)).models
    torch.save({"net": {name: module.state_dict() for name, module in models.items()}}, path)


def _campplus(path: Path) -> None:
    import torch
    from indextts25.s2mel.modules.campplus.DTDNN import CAMPPlus

    model = CAMPPlus(feat_dim=80, embedding_size=192)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    # Statistics as if it had been trained: else each layer makes what comes through it larger or smaller.
    model.train()
    model(4 * torch.randn(32, 150, 1) + 2 * torch.randn(32, 1, 80) + torch.randn(32, 150, 80))
    torch.save(model.state_dict(), path)


def _vocoder(folder: Path, config: dict[str, Any]) -> None:
    import torch
    from indextts25.s2mel.modules.bigvgan.bigvgan import BigVGAN
    from indextts25.s2mel.modules.bigvgan.env import AttrDict

    model = BigVGAN(AttrDict(config)).eval()
    loudness = model(torch.randn(1, 80, 60)).square().mean().sqrt()
    model.conv_post.weight *= _LOUDNESS / loudness
    torch.save({"generator": model.state_dict()}, folder / "bigvgan_generator.pt")
    (folder / "config.json").write_text(json.dumps(config))


def _w2v_bert(folder: Path, changes: dict[str, Any], *, tiny: bool) -> None:
    """The speech model: the tiny one is all zeros but for what projects the features, and its file has holes in it."""
    import torch
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel

    config = Wav2Vec2BertConfig(hidden_size=1024, num_hidden_layers=17, add_adapter=False, **changes)
    config.save_pretrained(folder)
    SeamlessM4TFeatureExtractor(
        feature_size=80, num_mel_bins=80, sampling_rate=16000, stride=2, padding_value=1
    ).save_pretrained(folder)
    with torch.device("meta" if tiny else "cpu"):
        shapes = Wav2Vec2BertModel(config).state_dict()
    drawn = {
        name: torch.randn(value.shape) * 0.05 if "feature_projection.projection" in name else torch.ones(value.shape)
        for name, value in shapes.items()
        if "feature_projection.projection" in name or ("norm" in name and name.endswith("weight"))
    }
    if not tiny:
        drawn = shapes
    header: dict[str, Any] = {}
    place = 0
    for name, value in shapes.items():
        size = value.numel() * (4 if name in drawn else 1)
        kind = "F32" if name in drawn else "F8_E4M3"
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [place, place + size]}
        place += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        begin = file.tell()
        for name, value in drawn.items():
            file.seek(begin + header[name]["data_offsets"][0])
            file.write(value.contiguous().numpy().tobytes())
        file.truncate(begin + place)


if __name__ == "__main__":
    is_tiny = sys.argv[2:] != ["full"]
    build(Path(sys.argv[1]), TINY if is_tiny else full(), tiny=is_tiny, codes=CODES if is_tiny else 250)

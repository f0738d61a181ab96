"""An openai-whisper checkpoint as a folder that CTranslate2 and faster-whisper read.

    python -m tests.checkpoints.convert_whisper CHECKPOINT.pt FOLDER

The usual way leads through transformers, which is as large as all the rest; here the weights go straight into
CTranslate2's specification, and tokenizer.json is made from the ranks that openai-whisper carries.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ctranslate2.specs import common_spec
from ctranslate2.specs.whisper_spec import WhisperSpec
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from whisper.model import ModelDimensions
from whisper.tokenizer import Tokenizer as WhisperTokenizer
from whisper.tokenizer import get_tokenizer

FIRST_MULTILINGUAL_SIZE = 51_865
LANGUAGES_AT_THAT_SIZE = 99

Weights = Mapping[str, Tensor]


def convert(checkpoint: Path, folder: Path, quantization: str | None = None) -> None:
    """Writes model.bin, config.json, vocabulary.json, tokenizer.json and preprocessor_config.json."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    dimensions = ModelDimensions(**content["dims"])
    tokenizer = tokenizer_for(dimensions)
    spec = specify(content["model_state_dict"], dimensions, tokenizer)
    spec.register_vocabulary(vocabulary(tokenizer))
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    byte_level(tokenizer).save(str(folder / "tokenizer.json"))
    features = json.dumps({"feature_size": dimensions.n_mels})
    (folder / "preprocessor_config.json").write_text(features, encoding="utf-8")


def tokenizer_for(dimensions: ModelDimensions) -> WhisperTokenizer:
    surplus = dimensions.n_vocab - FIRST_MULTILINGUAL_SIZE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the library leaves a file open
        return get_tokenizer(surplus >= 0, num_languages=LANGUAGES_AT_THAT_SIZE + max(0, surplus))


# --------------------------------------------------------------------------- weights


def specify(weights: Weights, dimensions: ModelDimensions, tokenizer: WhisperTokenizer) -> WhisperSpec:
    """The weights where CTranslate2 expects them, and how it is to decode."""
    spec = WhisperSpec(
        dimensions.n_audio_layer,
        dimensions.n_audio_head,
        dimensions.n_text_layer,
        dimensions.n_text_head,
    )
    _fill_encoder(spec.encoder, weights)
    _fill_decoder(spec.decoder, weights)
    spec.config.suppress_ids = list(tokenizer.non_speech_tokens)
    spec.config.suppress_ids_begin = [tokenizer.encode(" ")[0], tokenizer.eot]
    spec.config.lang_ids = sorted(tokenizer.all_language_tokens)
    spec.config.alignment_heads = [
        (layer, head)
        for layer in range(dimensions.n_text_layer // 2, dimensions.n_text_layer)
        for head in range(dimensions.n_text_head)
    ]
    return spec


def _fill_encoder(spec: Any, weights: Weights) -> None:
    for name in ("conv1", "conv2"):
        _fill_linear(getattr(spec, name), weights, f"encoder.{name}")
    spec.position_encodings.encodings = _array(weights["encoder.positional_embedding"])
    _fill_norm(spec.layer_norm, weights, "encoder.ln_post")
    for k, layer in enumerate(spec.layer):
        _fill_block(layer, weights, f"encoder.blocks.{k}")


def _fill_decoder(spec: Any, weights: Weights) -> None:
    spec.embeddings.weight = _array(weights["decoder.token_embedding.weight"])
    spec.projection.weight = spec.embeddings.weight
    spec.position_encodings.encodings = _array(weights["decoder.positional_embedding"])
    spec.scale_embeddings = False
    _fill_norm(spec.layer_norm, weights, "decoder.ln")
    for k, layer in enumerate(spec.layer):
        name = f"decoder.blocks.{k}"
        _fill_block(layer, weights, name)
        _fill_norm(layer.attention.layer_norm, weights, f"{name}.cross_attn_ln")
        query, *others, output = _projections(weights, f"{name}.cross_attn")
        _set(layer.attention.linear[0], query)
        _set(layer.attention.linear[1], _stacked(others))
        _set(layer.attention.linear[2], output)


def _fill_block(spec: Any, weights: Weights, name: str) -> None:
    _fill_norm(spec.self_attention.layer_norm, weights, f"{name}.attn_ln")
    *inputs, output = _projections(weights, f"{name}.attn")
    _set(spec.self_attention.linear[0], _stacked(inputs))
    _set(spec.self_attention.linear[1], output)
    _fill_norm(spec.ffn.layer_norm, weights, f"{name}.mlp_ln")
    _fill_linear(spec.ffn.linear_0, weights, f"{name}.mlp.0")
    _fill_linear(spec.ffn.linear_1, weights, f"{name}.mlp.2")


def _fill_norm(spec: Any, weights: Weights, name: str) -> None:
    spec.gamma = _array(weights[f"{name}.weight"])
    spec.beta = _array(weights[f"{name}.bias"])


def _fill_linear(spec: Any, weights: Weights, name: str) -> None:
    spec.weight = _array(weights[f"{name}.weight"])
    spec.bias = _array(weights[f"{name}.bias"])


def _projections(weights: Weights, name: str) -> Iterator[common_spec.LinearSpec]:
    """Query, key, value and output; Whisper's keys have no bias."""
    for part in ("query", "key", "value", "out"):
        linear = common_spec.LinearSpec()
        linear.weight = _array(weights[f"{name}.{part}.weight"])
        bias = weights.get(f"{name}.{part}.bias")
        linear.bias = np.zeros(len(linear.weight), np.float32) if bias is None else _array(bias)
        yield linear


def _stacked(parts: list[common_spec.LinearSpec]) -> common_spec.LinearSpec:
    linear = common_spec.LinearSpec()
    linear.weight = np.concatenate([part.weight for part in parts])
    linear.bias = np.concatenate([part.bias for part in parts])
    return linear


def _set(spec: Any, linear: common_spec.LinearSpec) -> None:
    spec.weight, spec.bias = linear.weight, linear.bias


def _array(tensor: Tensor) -> Any:
    return tensor.float().contiguous().numpy()


# --------------------------------------------------------------------------- vocabulary


def byte_letters() -> list[str]:
    """A visible letter for every byte: itself if printable in Latin-1, else the next from U+0100 on."""
    shown = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(256)]


def vocabulary(tokenizer: WhisperTokenizer) -> list[str]:
    """All tokens in the order of their ids, bytes as letters."""
    letters = byte_letters()
    ranks: dict[bytes, int] = tokenizer.encoding._mergeable_ranks
    texts = {rank: "".join(letters[byte] for byte in token) for token, rank in ranks.items()}
    texts |= {rank: token for token, rank in tokenizer.special_tokens.items()}
    return [texts[rank] for rank in range(len(texts))]


def merges(ranks: Mapping[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    """The pair that each token is made of, in the order in which pairs are merged."""
    for token, rank in sorted(ranks.items(), key=lambda pair: pair[1]):
        if len(token) > 1:
            parts = _merged(token, ranks, rank)
            if len(parts) == 2:
                yield parts[0], parts[1]


def _merged(token: bytes, ranks: Mapping[bytes, int], below: int) -> list[bytes]:
    """The token's bytes after every merge of a rank below that one."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 1:
        candidates = [(ranks.get(a + b, below), k) for k, (a, b) in enumerate(pairwise(parts))]
        rank, k = min(candidates)
        if rank >= below:
            break
        parts[k : k + 2] = [parts[k] + parts[k + 1]]
    return parts


def byte_level(tokenizer: WhisperTokenizer) -> Tokenizer:
    """The same byte-pair encoding for the library that faster-whisper uses."""
    letters = byte_letters()
    ranks: dict[bytes, int] = tokenizer.encoding._mergeable_ranks

    def written(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    pairs = [(written(a), written(b)) for a, b in merges(ranks)]
    made = Tokenizer(models.BPE(vocab={written(t): r for t, r in ranks.items()}, merges=pairs))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = sorted(tokenizer.special_tokens.items(), key=lambda pair: pair[1])
    made.add_special_tokens([AddedToken(text, special=True) for text, _ in special])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quantization", help="int8, float16, …; as they are by default")
    options = parser.parse_args()
    convert(options.checkpoint, options.folder, options.quantization)


if __name__ == "__main__":
    main()

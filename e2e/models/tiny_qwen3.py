"""A Qwen3 of random weights that vLLM's CPU build loads: python -m e2e.models.tiny_qwen3 DIR

What it says is printable text of whole and half words, and a reply ends where max_tokens ends it:
one channel of every embedding is constant and passes through all layers, and the output layer uses
it to put the special tokens and the bytes that are no text out of reach.
"""

import argparse
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.float32]]

CONFIG: Final[Mapping[str, Any]] = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 2,
    # vLLM's attention on a CPU takes multiples of 32.
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 128,
    "max_position_embeddings": 32768,
    "model_type": "qwen3",
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 512,
}
"""config.json of the model."""

_SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_WORDS: Final = (
    "the quick brown fox jumps over a lazy dog while small models answer every question with words "
    "that mean nothing because their weights were never trained and nobody minds since tests only "
    "look at how tokens arrive and not at what they say about rivers mountains clouds or morning "
    "coffee yet people read them anyway hoping for some wisdom between random letters under old "
    "bridges along green valleys where gentle winds carry voices of distant villages home again"
)
_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SCALE: Final = 0.05
_CONSTANT: Final = 0.5
"""Ten times the others, so that the norm before the output layer leaves it large."""
_OUT_OF_REACH: Final = -20.0


def write_tiny_qwen3(folder: Path, seed: int = 0) -> None:
    """Write config, tokenizer and two shards with their index; equal for equal seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = _build_vocabulary()
    _write_json(folder / "config.json", CONFIG)
    _write_json(
        folder / "generation_config.json",
        {"bos_token_id": 0, "do_sample": True, "eos_token_id": [2, 0], "pad_token_id": 0},
    )
    _write_json(folder / "tokenizer.json", _build_tokenizer(vocabulary, merges))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "chat_template": _TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "eos_token": "<|im_end|>",
            "model_max_length": CONFIG["max_position_embeddings"],
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )
    first, second = _build_tensors(vocabulary, np.random.default_rng(seed))
    shards = {"model-00001-of-00002.safetensors": first, "model-00002-of-00002.safetensors": second}
    for name, tensors in shards.items():
        _write(folder / name, pack_safetensors(tensors))
    _write_json(
        folder / "model.safetensors.index.json",
        {
            "metadata": {"total_size": sum(t.nbytes for s in shards.values() for t in s.values())},
            "weight_map": {tensor: name for name, shard in shards.items() for tensor in shard},
        },
    )


def pack_safetensors(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """A file in safetensors' format: length of the header, header, data without gaps."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [end, end + tensor.nbytes],
        }
        end += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for t in tensors.values())


def _build_tensors(vocabulary: list[str], random: np.random.Generator) -> tuple[Tensors, Tensors]:
    hidden, feed_forward = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    head, heads = CONFIG["head_dim"], CONFIG["num_attention_heads"]
    kv_heads = CONFIG["num_key_value_heads"]

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return (random.standard_normal((rows, columns)) * _SCALE).astype(np.float32)

    def ones(size: int) -> NDArray[np.float32]:
        return np.ones(size, dtype=np.float32)

    def into_residual(columns: int) -> NDArray[np.float32]:
        written = matrix(hidden, columns)
        written[0] = 0  # the constant channel
        return written

    def layer(index: int) -> Tensors:
        prefix = f"model.layers.{index}."
        return {
            f"{prefix}input_layernorm.weight": ones(hidden),
            f"{prefix}self_attn.q_proj.weight": matrix(heads * head, hidden),
            f"{prefix}self_attn.k_proj.weight": matrix(kv_heads * head, hidden),
            f"{prefix}self_attn.v_proj.weight": matrix(kv_heads * head, hidden),
            f"{prefix}self_attn.o_proj.weight": into_residual(heads * head),
            f"{prefix}self_attn.q_norm.weight": ones(head),
            f"{prefix}self_attn.k_norm.weight": ones(head),
            f"{prefix}post_attention_layernorm.weight": ones(hidden),
            f"{prefix}mlp.gate_proj.weight": matrix(feed_forward, hidden),
            f"{prefix}mlp.up_proj.weight": matrix(feed_forward, hidden),
            f"{prefix}mlp.down_proj.weight": into_residual(feed_forward),
        }

    embedding = matrix(len(vocabulary), hidden)
    embedding[:, 0] = _CONSTANT
    # Wider than the rest, so that the logits differ by more than chance.
    output = matrix(len(vocabulary), hidden) * 4
    output[:, 0] = [0.0 if _is_text(token) else _OUT_OF_REACH for token in vocabulary]
    first = {"model.embed_tokens.weight": embedding, **layer(0)}
    return first, {**layer(1), "model.norm.weight": ones(hidden), "lm_head.weight": output}


def _is_text(token: str) -> bool:
    return token not in _SPECIAL and all(" " <= _CHARACTERS_BACK[each] <= "~" for each in token)


def _byte_characters() -> list[str]:
    """Byte-level BPE writes each byte as a visible character: bytes that are none move up."""
    visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
    moved = iter(range(256, 512))
    return [chr(byte) if byte in visible else chr(next(moved)) for byte in range(256)]


_CHARACTERS: Final = _byte_characters()
_CHARACTERS_BACK: Final = {character: chr(byte) for byte, character in enumerate(_CHARACTERS)}


def _build_vocabulary() -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens in the order of their numbers, and merges that spell the words letter by letter."""
    tokens = [*_SPECIAL, *_CHARACTERS]
    known = set(tokens)
    merges: list[tuple[str, str]] = []
    for word in _WORDS.split():
        spelled = _CHARACTERS[ord(" ")]
        for letter in word:
            pair, spelled = (spelled, letter), spelled + letter
            if spelled in known:
                continue
            if len(tokens) == CONFIG["vocab_size"]:
                return tokens, merges
            tokens.append(spelled)
            known.add(spelled)
            merges.append(pair)
    raise AssertionError("too few words for the vocabulary")


def _build_tokenizer(vocabulary: list[str], merges: list[tuple[str, str]]) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    byte_level["use_regex"] = True
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for number, token in enumerate(_SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(vocabulary)},
            "merges": [list(pair) for pair in merges],
        },
    }


def _write_json(file: Path, value: object) -> None:
    _write(file, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    # Whatever the umask: another user's pod reads it.
    file.chmod(0o644)


def main() -> None:
    """Write the model into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m e2e.models.tiny_qwen3", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    write_tiny_qwen3(parsed.folder, parsed.seed)


if __name__ == "__main__":
    main()

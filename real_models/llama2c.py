"""llama2.c v0 checkpoints as transformers' Llama.

A checkpoint is seven little-endian int32 (dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len; a
negative vocab_size means an output matrix of its own), then float32 weights in the order of `layout`.
Source: llama2.c, `run.c` and `export.py`'s legacy export.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from real_models.llama2c_tokenizer import BOS, EOS, fast_tokenizer, read_pieces
from theory.command import Misuse

HEADER = struct.Struct("<7i")
LATER_MAGIC = 0x616B3432  # "ak42", which opens llama2.c's version 1 and 2 exports
ROPE_BASE = 10000.0  # fixed in llama2.c's model.py and run.c
NORM_EPSILON = 1e-5  # the same


class Header(NamedTuple):
    """The seven numbers that open a checkpoint, with the sign of vocab_size read out.

    Attributes:
        dim: width of the residual stream.
        hidden_dim: width of the MLP.
        n_layers: number of blocks.
        n_heads: number of query heads.
        n_kv_heads: number of key and value heads, a divisor of n_heads.
        vocab_size: number of pieces.
        seq_len: longest context in tokens.
        tied: whether the output matrix is the embedding.
    """

    dim: int
    hidden_dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int
    seq_len: int
    tied: bool


def is_llama2c(path: Path) -> bool:
    """Whether a path is meant as a llama2.c model: a `.bin` file, or a folder of them without a `config.json`."""
    if path.is_dir():
        return not (path / "config.json").exists() and any(path.glob("*.bin"))
    return path.is_file() and path.suffix == ".bin"


def load_llama2c(path: Path, dtype: torch.dtype = torch.float32) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Load a llama2.c v0 checkpoint and its tokenizer.

    Args:
        path: the `.bin` checkpoint, with one `tok*.bin` beside it, or a folder that holds one of each.
        dtype: the dtype of the weights; the file's own is float32.

    Returns:
        The model on the CPU, in evaluation mode, and a fast tokenizer whose encodings are `run.c`'s.

    Raises:
        Misuse: a file is missing, ambiguous, truncated, too long, or its numbers cannot be.

    Source: llama2.c, `run.c`.
    """
    checkpoint = find_checkpoint(path)
    header = read_header(checkpoint)
    tokenizer_file = find_tokenizer(checkpoint)
    pieces = read_pieces(tokenizer_file)
    if len(pieces) != header.vocab_size:
        raise Misuse(
            f"{tokenizer_file} holds {len(pieces)} pieces, but {checkpoint} has a vocabulary of {header.vocab_size}; "
            "put the checkpoint's own tokenizer beside it"
        )
    state = transformers_state(header, read_weights(checkpoint, header))
    config = LlamaConfig(
        vocab_size=header.vocab_size,
        hidden_size=header.dim,
        intermediate_size=header.hidden_dim,
        num_hidden_layers=header.n_layers,
        num_attention_heads=header.n_heads,
        num_key_value_heads=header.n_kv_heads,
        max_position_embeddings=header.seq_len,
        rms_norm_eps=NORM_EPSILON,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_BASE},
        tie_word_embeddings=header.tied,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    model = LlamaForCausalLM.from_pretrained(None, config=config, state_dict=state, dtype=dtype)
    return model.eval(), fast_tokenizer(pieces, header.seq_len)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a path stands for: itself, or the folder's only `.bin` that is no tokenizer.

    Raises:
        Misuse: there is none, or more than one.
    """
    if not path.exists():
        raise Misuse(f"{path} does not exist; pass a llama2.c .bin checkpoint or its folder")
    if path.is_file() and path.match("tok*.bin"):
        raise Misuse(f"{path} is named as a tokenizer (tok*.bin); name the checkpoint beside it, or their folder")
    found = [path] if path.is_file() else sorted(set(path.glob("*.bin")) - set(path.glob("tok*.bin")))
    if len(found) != 1:
        raise Misuse(f"{path} holds {_names(found)}, not one llama2.c checkpoint; name the .bin file itself")
    return found[0]


def find_tokenizer(checkpoint: Path) -> Path:
    """The only `tok*.bin` beside a checkpoint.

    Raises:
        Misuse: there is none, or more than one.
    """
    found = sorted(checkpoint.parent.glob("tok*.bin"))
    if len(found) != 1:
        raise Misuse(
            f"{checkpoint} needs one llama2.c tokenizer (tok*.bin) beside it, and {checkpoint.parent} holds "
            f"{_names(found)}; put the model's own tokenizer, and no other, there"
        )
    return found[0]


def _names(files: list[Path]) -> str:
    return ", ".join(file.name for file in files) or "none"


def read_header(path: Path) -> Header:
    """Read a checkpoint's header and hold it against the file's size.

    Raises:
        Misuse: the header cannot be a model's, or asks for more or fewer bytes than the file has.
    """
    found = path.stat().st_size
    with path.open("rb") as file:
        opening = file.read(HEADER.size)
    if len(opening) < HEADER.size:
        raise Misuse(f"{path} has {found} bytes, fewer than the {HEADER.size} of a llama2.c header; fetch it again")
    dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab, seq_len = HEADER.unpack(opening)
    if dim == LATER_MAGIC:
        raise Misuse(f"{path} is a version {hidden_dim} export of llama2.c; export it with `export.py --version 0`")
    header = Header(dim, hidden_dim, n_layers, n_heads, n_kv_heads, abs(vocab), seq_len, tied=vocab > 0)
    stated = ", ".join(f"{name}={value}" for name, value in header._asdict().items())
    if min(header[:-1]) < 1 or header.dim % (2 * header.n_heads) or header.n_heads % header.n_kv_heads:
        raise Misuse(f"{path} has {found} bytes and no llama2.c v0 header ({stated}); pass a llama2.c v0 checkpoint")
    expected = HEADER.size + 4 * sum(prod(shape) for shape in layout(header).values())
    if found != expected:
        kind = "is truncated" if found < expected else "has trailing bytes"
        raise Misuse(f"{path} {kind}: {found} bytes, but its header ({stated}) asks for {expected}; fetch it again")
    return header


def layout(header: Header) -> dict[str, tuple[int, ...]]:
    """The tensors that follow a header, in the file's order, with their shapes.

    >>> tiny = Header(dim=8, hidden_dim=6, n_layers=2, n_heads=2, n_kv_heads=1, vocab_size=5, seq_len=3, tied=True)
    >>> layout(tiny)["wk"], layout(tiny)["freq_cis_real"], "wcls" in layout(tiny)
    ((2, 4, 8), (3, 2), False)
    """
    d, h, layers = header.dim, header.hidden_dim, header.n_layers
    head = d // header.n_heads
    shared = header.n_kv_heads * head
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (header.vocab_size, d),
        "rms_att": (layers, d),
        "wq": (layers, d, d),
        "wk": (layers, shared, d),
        "wv": (layers, shared, d),
        "wo": (layers, d, d),
        "rms_ffn": (layers, d),
        "w1": (layers, h, d),
        "w2": (layers, d, h),
        "w3": (layers, h, d),
        "rms_final": (d,),
        "freq_cis_real": (header.seq_len, head // 2),
        "freq_cis_imag": (header.seq_len, head // 2),
    }
    return shapes if header.tied else {**shapes, "wcls": (header.vocab_size, d)}


def read_weights(path: Path, header: Header) -> dict[str, NDArray[np.float32]]:
    """Read the tensors of `layout`; the rotary tables must be those of base 10000.

    Raises:
        Misuse: the rotary tables differ from what the header says they are, so the file was altered.
    """
    with path.open("rb") as file:
        file.seek(HEADER.size)
        weights = {
            name: np.fromfile(file, "<f4", prod(shape)).astype(np.float32, copy=False).reshape(shape)
            for name, shape in layout(header).items()
        }
    head = header.dim // header.n_heads
    angles = np.outer(np.arange(header.seq_len), ROPE_BASE ** (-np.arange(0, head, 2) / head))
    # float32 angles up to seq_len: an error below seq_len·2⁻²⁴ each, 5e-4 at 8,192 tokens
    tolerance = 1e-4 + header.seq_len * 2.0**-23
    for name, table in (("freq_cis_real", np.cos(angles)), ("freq_cis_imag", np.sin(angles))):
        if not np.allclose(weights[name], table, rtol=0, atol=tolerance):
            raise Misuse(f"{path} holds a {name} table that is not RoPE's with base 10000; fetch or export it again")
    return weights


def half_split(weight: Float32[np.ndarray, "rows n"], heads: int) -> Float32[np.ndarray, "rows n"]:
    """Reorder a projection's rows from interleaved rotary pairs to half-split ones.

        row 2i + j of a head  ->  row i + j·head_size/2       (j = 0, 1)

    Args:
        weight: (heads·head_size, n), whose rows 2i and 2i + 1 of each head turn together.
        heads: number of heads.

    Returns:
        (heads·head_size, n), whose rows i and i + head_size/2 turn together.

    >>> half_split(np.arange(8, dtype=np.float32)[:, None], heads=2)[:, 0].tolist()
    [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]
    """
    rows, n = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, n).swapaxes(1, 2).reshape(rows, n)


def transformers_state(header: Header, weights: dict[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """The state dict of `LlamaForCausalLM`; every tensor owns its memory."""
    state = {"model.embed_tokens.weight": weights["embedding"], "model.norm.weight": weights["rms_final"]}
    if not header.tied:
        state["lm_head.weight"] = weights["wcls"]
    for layer in range(header.n_layers):
        own = {name: weights[name][layer] for name, shape in layout(header).items() if shape[0] == header.n_layers}
        block = {
            "input_layernorm": own["rms_att"],
            "self_attn.q_proj": half_split(own["wq"], header.n_heads),
            "self_attn.k_proj": half_split(own["wk"], header.n_kv_heads),
            "self_attn.v_proj": own["wv"],
            "self_attn.o_proj": own["wo"],
            "post_attention_layernorm": own["rms_ffn"],
            "mlp.gate_proj": own["w1"],
            "mlp.down_proj": own["w2"],
            "mlp.up_proj": own["w3"],
        }
        state |= {f"model.layers.{layer}.{name}.weight": array for name, array in block.items()}
    return {name: torch.tensor(array) for name, array in state.items()}

"""llama2.c checkpoints against a plain numpy forward pass."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from real_models.llama2c import is_llama2c, load_llama2c
from theory.command import Misuse

DATA = os.environ.get("NORM_ANCHOR_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="NORM_ANCHOR_DATA is unset: no stories260K to read")
STORIES = Path(DATA or ".") / "models" / "stories260K"

DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, CONTEXT = 24, 40, 2, 6, 2, 16
HEAD = DIM // HEADS


# --- what the file format is, written here a second time ---------------------------------------------------------


def tokenizer_bytes(pieces: list[tuple[bytes, float]]) -> bytes:
    records = [struct.pack("<fi", score, len(piece)) + piece for piece, score in pieces]
    return struct.pack("<i", max(len(piece) for piece, _ in pieces)) + b"".join(records)


def toy_pieces() -> list[tuple[bytes, float]]:
    marks = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % byte for byte in range(256)), b" ", b"a"]
    return [(mark, 0.0) for mark in marks]


def toy_weights(vocab: int, tied: bool, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    kv, shapes = KV_HEADS * HEAD, {}
    shapes |= {"emb": (vocab, DIM), "att": (LAYERS, DIM), "wq": (LAYERS, DIM, DIM), "wk": (LAYERS, kv, DIM)}
    shapes |= {"wv": (LAYERS, kv, DIM), "wo": (LAYERS, DIM, DIM), "ffn": (LAYERS, DIM), "w1": (LAYERS, HIDDEN, DIM)}
    shapes |= {"w2": (LAYERS, DIM, HIDDEN), "w3": (LAYERS, HIDDEN, DIM), "final": (DIM,)}
    weights = {name: rng.normal(0, 0.4, shape).astype("<f4") for name, shape in shapes.items()}
    angle = [[p / 10000 ** (2 * i / HEAD) for i in range(HEAD // 2)] for p in range(CONTEXT)]
    weights |= {"cos": np.cos(angle).astype("<f4"), "sin": np.sin(angle).astype("<f4")}
    return weights if tied else {**weights, "out": rng.normal(0, 0.4, (vocab, DIM)).astype("<f4")}


def header_bytes(vocab: int, tied: bool) -> bytes:
    return struct.pack("<7i", DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, vocab if tied else -vocab, CONTEXT)


def write_model(folder: Path, tied: bool = True) -> dict[str, np.ndarray]:
    pieces = toy_pieces()
    weights = toy_weights(len(pieces), tied)
    folder.mkdir(exist_ok=True)
    body = b"".join(array.tobytes() for array in weights.values())
    (folder / "toy.bin").write_bytes(header_bytes(len(pieces), tied) + body)
    (folder / "tok_toy.bin").write_bytes(tokenizer_bytes(pieces))
    return weights


def numpy_logits(weights: dict[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    """run.c's forward(), one position at a time, in float64."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}

    def rmsnorm(x, gain):
        return gain * x / np.sqrt((x * x).mean() + 1e-5)

    def rotated(x, position):
        x = x.copy()
        for i in range(0, len(x), 2):
            angle = position / 10000 ** ((i % HEAD) / HEAD)
            a, b = x[i], x[i + 1]
            x[i], x[i + 1] = a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)
        return x

    keys, values, logits = [[[] for _ in range(LAYERS)] for _ in range(2)] + [[]]
    for position, token in enumerate(tokens):
        x = w["emb"][token]
        for layer in range(LAYERS):
            inner = rmsnorm(x, w["att"][layer])
            q = rotated(w["wq"][layer] @ inner, position)
            keys[layer].append(rotated(w["wk"][layer] @ inner, position))
            values[layer].append(w["wv"][layer] @ inner)
            heads = []
            for h in range(HEADS):
                own = slice((h // (HEADS // KV_HEADS)) * HEAD, (h // (HEADS // KV_HEADS) + 1) * HEAD)
                scores = np.array([q[h * HEAD : (h + 1) * HEAD] @ k[own] for k in keys[layer]]) / np.sqrt(HEAD)
                share = np.exp(scores - scores.max())
                heads.append(sum(s * v[own] for s, v in zip(share / share.sum(), values[layer], strict=True)))
            x = x + w["wo"][layer] @ np.concatenate(heads)
            inner = rmsnorm(x, w["ffn"][layer])
            gate = w["w1"][layer] @ inner
            x = x + w["w2"][layer] @ (gate / (1 + np.exp(-gate)) * (w["w3"][layer] @ inner))
        logits.append(w.get("out", w["emb"]) @ rmsnorm(x, w["final"]))
    return np.array(logits)


# --- tests ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write_model(folder)
    return folder


@pytest.mark.parametrize("tied", [True, False])
def test_the_model_computes_what_run_c_computes(tmp_path, tied):
    weights = write_model(tmp_path, tied)
    drawn = torch.get_rng_state()
    model, _ = load_llama2c(tmp_path, torch.float64)
    assert torch.equal(drawn, torch.get_rng_state())
    assert model.config.tie_word_embeddings is tied
    tokens = np.random.default_rng(1).integers(0, len(toy_pieces()), CONTEXT).tolist()
    with torch.no_grad():
        found = model(torch.tensor([tokens])).logits[0].numpy()
    # transformers turns queries and keys by float32 cosines, whatever the model's dtype
    np.testing.assert_allclose(found, numpy_logits(weights, tokens), rtol=1e-4, atol=1e-4)


def test_every_weight_owns_its_memory(toy):
    model, _ = load_llama2c(toy)
    places = [weight.untyped_storage().data_ptr() for weight in model.parameters()]
    assert len(set(places)) == len(places) == 2 + 9 * LAYERS
    assert not model.training
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_a_path_is_recognised_by_its_files(toy, tmp_path):
    assert is_llama2c(toy)
    assert is_llama2c(toy / "toy.bin")
    assert not is_llama2c(tmp_path)
    assert not is_llama2c(tmp_path / "none.bin")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK")
    assert not is_llama2c(tmp_path)


def test_a_checkpoint_may_be_named_by_its_file(toy):
    by_file, by_folder = load_llama2c(toy / "toy.bin")[0], load_llama2c(toy)[0]
    for one, other in zip(by_file.parameters(), by_folder.parameters(), strict=True):
        assert torch.equal(one, other)


SIZE = 28 + 4 * sum(array.size for array in toy_weights(len(toy_pieces()), tied=True).values())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda b: b[:-4], f"truncated: {SIZE - 4} bytes.*asks for {SIZE}; fetch it again"),
        (lambda b: b + b"\0", f"trailing bytes: {SIZE + 1} bytes.*asks for {SIZE}"),
        (lambda b: b[:20], "has 20 bytes, fewer than the 28"),
        (lambda b: b"", "has 0 bytes, fewer than the 28"),
        (lambda b: struct.pack("<i", -DIM) + b[4:], f"has {SIZE} bytes and no llama2.c v0 header .dim=-{DIM}"),
        (lambda b: struct.pack("<i", 2**31 - 2) + b[4:], f"has {SIZE} bytes and no llama2.c v0 header"),
        (lambda b: b[:4] + struct.pack("<i", 2**31 - 1) + b[8:], f"truncated: {SIZE} bytes.*hidden_dim=2147483647"),
        (lambda b: b[:16] + struct.pack("<i", 4) + b[20:], "no llama2.c v0 header .*n_kv_heads=4"),
        (lambda b: b[:20] + struct.pack("<i", 0) + b[24:], "no llama2.c v0 header .*vocab_size=0"),
        (lambda b: struct.pack("<2i", 0x616B3432, 1) + b[8:], "is a version 1 export.*--version 0"),
        (lambda b: b[: SIZE - 4] + struct.pack("<f", 0.5), "freq_cis_imag table that is not RoPE's"),
        (lambda b: b"PK\x03\x04\x14\0\0\0\x08\0" + b[10:], "no llama2.c v0 header|truncated"),
    ],
)
def test_a_broken_checkpoint_is_named_with_its_sizes(tmp_path, change, says):
    write_model(tmp_path)
    path = tmp_path / "toy.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(Misuse, match=f"^{path} .*({says})") as caught:
        load_llama2c(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_another_size_is_refused(tmp_path):
    write_model(tmp_path)
    (tmp_path / "tok_toy.bin").write_bytes(tokenizer_bytes([*toy_pieces(), (b"tail", -99.0)]))
    count = len(toy_pieces())
    with pytest.raises(
        Misuse, match=f"tok_toy.bin holds {count + 1} pieces, but .*toy.bin has a vocabulary of {count};"
    ):
        load_llama2c(tmp_path)


def test_there_must_be_one_checkpoint_and_one_tokenizer(toy, tmp_path):
    write_model(tmp_path)
    (tmp_path / "other.bin").write_bytes(b"")
    with pytest.raises(Misuse, match=r"holds other.bin, toy.bin, not one llama2.c checkpoint; name the .bin file"):
        load_llama2c(tmp_path)
    load_llama2c(tmp_path / "toy.bin")
    (tmp_path / "tok2.bin").write_bytes(b"")
    with pytest.raises(Misuse, match=r"toy.bin needs one llama2.c tokenizer .*holds tok2.bin, tok_toy.bin; put"):
        load_llama2c(tmp_path / "toy.bin")
    for file in tmp_path.glob("tok*.bin"):
        file.unlink()
    with pytest.raises(Misuse, match=r"toy.bin needs one llama2.c tokenizer .* holds none; put the model's own"):
        load_llama2c(tmp_path / "toy.bin")
    with pytest.raises(Misuse, match="is named as a tokenizer"):
        load_llama2c(toy / "tok_toy.bin")
    with pytest.raises(Misuse, match=r"does not exist"):
        load_llama2c(tmp_path / "gone.bin")


def perplexity(model, tokenizer, text):
    tokens = tokenizer(text, return_tensors="pt").input_ids
    with torch.no_grad():
        shares = model(tokens).logits[0, :-1].log_softmax(-1)
    return torch.exp(-shares.gather(1, tokens[0, 1:, None]).mean()).item()


STORY = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."


@needs_data
def test_stories260k_knows_stories_and_not_shuffled_words():
    model, tokenizer = load_llama2c(STORIES)
    assert sum(weight.numel() for weight in model.parameters()) == 260_032
    assert perplexity(model, tokenizer, STORY) < 6
    assert perplexity(model, tokenizer, "One day, a boy named Tom went to the park with his mom.") < 6
    words = np.random.default_rng(0).permutation(STORY.split())
    assert perplexity(model, tokenizer, " ".join(words)) > 50

"""llama2.c's tokenizer against run.c's greedy merges, written here a second time."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real_models.llama2c_tokenizer import fast_tokenizer, read_pieces
from theory.command import Misuse

DATA = os.environ.get("NORM_ANCHOR_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="NORM_ANCHOR_DATA is unset: no tok512.bin to read")

CONTEXT = 16
WORDS = [
    " t",
    "he",
    " the",
    "in",
    " a",
    "an",
    "aa",
    "aaa",
    "na",
    "ana",
    " an",
    "  ",
    "\n\n",
    "th",
    "é",
    "日本",
    "x" * 7,
]
LETTERS = [*" aehinotx.\nABé日本", "<", ">", "s"]
TEXTS = [
    "",
    " ",
    "Once upon a time, there was a little girl named Lily.",
    "the  the   the\n\nthen\tTHE end ",
    "banana ananas aaaaaaa naïve café 日本語 🙂 e\u0301 \u00a0x",
    "a <s> b </s> <unk> <0x0A> \n<s>\n",
    "“Yes,” he said – it’s…\r\n",
]


def tokenizer_bytes(pieces: list[tuple[bytes, float]]) -> bytes:
    records = [struct.pack("<fi", score, len(piece)) + piece for piece, score in pieces]
    return struct.pack("<i", max(len(piece) for piece, _ in pieces)) + b"".join(records)


def toy_pieces() -> list[tuple[bytes, float]]:
    marks = [b"<unk>", b"\n<s>\n", b"\n</s>\n", *(b"<0x%02X>" % byte for byte in range(256))]
    learned = [word for word in WORDS if word not in LETTERS] + LETTERS
    return [(mark, 0.0) for mark in marks] + [(text.encode(), -float(rank)) for rank, text in enumerate(learned)]


def greedy_encode(pieces: list[tuple[bytes, float]], text: str) -> list[int]:
    """run.c's encode() with bos: a dummy space, code points or their bytes, then the best-scored merge until none."""
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    tokens = [ids[b" "]] if text else []
    for character in text:
        piece = character.encode()
        tokens += [ids[piece]] if piece in ids else [byte + 3 for byte in piece]
    while True:
        best_score, best = -1e10, None
        for i in range(len(tokens) - 1):
            merged = ids.get(pieces[tokens[i]][0] + pieces[tokens[i + 1]][0])
            if merged is not None and pieces[merged][1] > best_score:
                best_score, best = pieces[merged][1], (i, merged)
        if best is None:
            return [1, *tokens]
        tokens[best[0] : best[0] + 2] = [best[1]]


def pieces_of(path: Path) -> list[tuple[bytes, float]]:
    content, place, pieces = path.read_bytes(), 4, []
    while place < len(content):
        score, length = struct.unpack_from("<fi", content, place)
        pieces.append((content[place + 8 : place + 8 + length], score))
        place += 8 + length
    return pieces


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "tok_toy.bin"
    path.write_bytes(tokenizer_bytes(toy_pieces()))
    return fast_tokenizer(read_pieces(path), CONTEXT)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_encoded_as_run_c_encodes_it(tokenizer, text):
    assert tokenizer(text).input_ids == greedy_encode(toy_pieces(), text)
    assert tokenizer(text, add_special_tokens=False).input_ids == greedy_encode(toy_pieces(), text)[1:]
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.sampled_from([*LETTERS, "ü", "🙂"]), max_size=40))
def test_any_text_is_encoded_as_run_c_encodes_it(tokenizer, text):
    assert tokenizer(text).input_ids == greedy_encode(toy_pieces(), text)


def test_the_tokenizer_is_fast_and_has_run_cs_marks(tokenizer):
    assert tokenizer.is_fast
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (1, 2)
    assert tokenizer.model_max_length == CONTEXT


@pytest.mark.parametrize("text", ["then the  banana", "日本é üx\nthe", "<s> an 🙂 ana"])
def test_offsets_point_at_the_text_of_each_token(tokenizer, text):
    found = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    spelled, expected = 0, []  # where the pieces stand in the text with its dummy space; that space shares place 0
    for token in found.input_ids:
        if 3 <= token < 259:
            length = 1
            last_byte = int(toy_pieces()[token][0][3:5], 16) == (" " + text)[spelled].encode()[-1]
        else:
            length, last_byte = len(toy_pieces()[token][0].decode()), True
        expected.append((max(spelled - 1, 0), max(spelled + length - 1, 1)))
        spelled += length if last_byte else 0
    assert found.offset_mapping == expected
    assert spelled == len(text) + 1


TOK = tokenizer_bytes(toy_pieces())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (TOK[:-1], f"has {len(TOK) - 1} bytes, but piece {len(toy_pieces()) - 1} needs {len(TOK)}"),
        (TOK + b"\0", f"has {len(TOK) + 1} bytes, but piece {len(toy_pieces())} needs {len(TOK) + 8}"),
        (b"", "has 0 bytes and 0 pieces"),
        (TOK[:8] + struct.pack("<i", -5) + TOK[12:], "piece 0 has length -5"),
        (TOK[:4] + struct.pack("<f", float("nan")) + TOK[8:], "piece 0 has .*score nan"),
        (TOK.replace(b"<0x41>", b"<0x4a>"), "not distinct pieces with <s>"),
        (TOK.replace(b"<unk>", b"<\xff\xff\xff>"), "piece 0 is not UTF-8"),
        (tokenizer_bytes([*toy_pieces(), (b"the", -99.0), (b"the", -99.5)]), "not distinct"),
    ],
)
def test_a_broken_tokenizer_is_named(tmp_path, content, says):
    path = tmp_path / "tok.bin"
    path.write_bytes(content)
    with pytest.raises(Misuse, match=f"^{path}.*{says}") as caught:
        read_pieces(path)
    assert "\n" not in str(caught.value)


@needs_data
def test_stories260k_encodes_as_run_c():
    path = Path(DATA) / "models" / "stories260K" / "tok512.bin"
    tokenizer, pieces = fast_tokenizer(read_pieces(path), 512), pieces_of(path)
    drawn = np.random.default_rng(0)
    letters = [piece.decode() for piece, _ in pieces[259:]]
    random = ["".join(drawn.choice(letters, 25)) for _ in range(150)]
    lines = (Path(DATA) / "text" / "tinyshakespeare.txt").read_text(encoding="utf-8").split("\n\n")[:150]
    for text in [*TEXTS, *random, *lines]:
        assert tokenizer(text).input_ids == greedy_encode(pieces, text), text

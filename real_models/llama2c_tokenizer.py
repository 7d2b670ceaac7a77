"""llama2.c's tokenizer file as a fast tokenizer of transformers.

The file is an int32 (the longest piece in bytes), then, for each piece, a float32 score, an int32 length and UTF-8
bytes, all little-endian. Source: llama2.c, `run.c`'s `encode` and `tokenizer.py`'s export.
"""

from __future__ import annotations

import struct
from math import isfinite
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, processors
from transformers import PreTrainedTokenizerFast

from theory.command import Misuse

PIECE = struct.Struct("<fi")
BOS, EOS, FIRST_BYTE = 1, 2, 3  # ids fixed in run.c: byte b is piece b + 3


def read_pieces(path: Path) -> list[tuple[str, float]]:
    """Read a tokenizer file.

    Returns:
        (piece, score) in the order of ids.

    Raises:
        Misuse: the file is truncated, has trailing bytes, or a piece that llama2.c cannot have written.
    """
    content = path.read_bytes()
    end = 4
    pieces: list[tuple[str, float]] = []
    longest = int.from_bytes(content[:4], "little", signed=True)
    while end < len(content):
        start = end + PIECE.size
        if len(content) < start:
            raise Misuse(f"{path} has {len(content)} bytes, but piece {len(pieces)} needs {start}; fetch it again")
        score, length = PIECE.unpack_from(content, end)
        end = start + length
        if not 0 < length <= longest or not isfinite(score):
            raise Misuse(
                f"{path} has {len(content)} bytes and no llama2.c tokenizer: piece {len(pieces)} has length {length} "
                f"(longest {longest}) and score {score}; fetch it again"
            )
        if len(content) < end:
            raise Misuse(f"{path} has {len(content)} bytes, but piece {len(pieces)} needs {end}; fetch it again")
        try:
            pieces.append((content[start:end].decode("utf-8"), score))
        except UnicodeDecodeError as error:
            raise Misuse(f"{path}: piece {len(pieces)} is not UTF-8 ({error.reason}); fetch it again") from error
    named = ["<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    # llama2.c writes the two marks as "\n<s>\n" and "\n</s>\n"
    pieces[BOS:FIRST_BYTE] = [(piece.strip("\n"), score) for piece, score in pieces[BOS:FIRST_BYTE]]
    texts = [piece for piece, _ in pieces]
    if texts[BOS : BOS + len(named)] != named or len(set(texts)) != len(texts) or " " not in texts:
        raise Misuse(
            f"{path} has {len(content)} bytes and {len(pieces)} pieces, which are not distinct pieces with <s>, </s>, "
            "<0x00> ... <0xFF> as ids 1 to 258 and a space; pass a llama2.c tokenizer (tok*.bin)"
        )
    return pieces


def ranked_merges(pieces: list[tuple[str, float]]) -> list[tuple[str, str]]:
    """Every pair of pieces whose concatenation is a piece, by the score of that piece, the best first.

    `run.c` merges, again and again, the adjacent pair whose concatenation scores best, the leftmost of equals: byte
    pair encoding with these merges. Only where two different splits of one piece overlap in a text could the order
    among the splits matter; the split with the longest left part stands first.

    >>> ranked_merges([("a", -9.0), ("b", -8.0), ("ab", -2.0), ("abb", -1.0)])
    [('ab', 'b'), ('a', 'b')]
    """
    known = {piece for piece, _ in pieces}
    ranked = sorted((piece for piece in pieces if len(piece[0]) > 1), key=lambda piece: -piece[1])
    splits = ((text[:cut], text[cut:]) for text, _ in ranked for cut in range(len(text) - 1, 0, -1))
    return [(left, right) for left, right in splits if left in known and right in known]


def fast_tokenizer(pieces: list[tuple[str, float]], longest: int) -> PreTrainedTokenizerFast:
    """A fast tokenizer that encodes as `run.c` does: `<s>`, a space before the text, best-scored merges, byte fallback.

    Text that spells a special token is text, as in `run.c`.

    Args:
        pieces: (piece, score) in the order of ids.
        longest: the model's context in tokens.
    """
    unknown = pieces[0][0]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: index for index, (piece, _) in enumerate(pieces)},
            merges=ranked_merges(pieces),
            unk_token=unknown,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS)]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token=unknown,
        model_max_length=longest,
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )

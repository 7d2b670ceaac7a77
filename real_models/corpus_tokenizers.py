"""The tokenizers of trained models: one token a word, or pieces of words learnt from the statements themselves."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as FromBytes
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel, Whitespace
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

SPECIAL = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}


def word_tokenizer(vocabulary: Sequence[str]) -> PreTrainedTokenizerFast:
    """One token a word, BOS in front, offsets by character; unknown words become `<unk>`.

    Args:
        vocabulary: every word and mark that it knows.

    Returns:
        A fast tokenizer. Whatever sequence of words it decodes to, it reads back as the same tokens.

    >>> tokenizer = word_tokenizer(("home", "of", "the", "town"))
    >>> tokenizer.convert_ids_to_tokens(tokenizer(" the home town of Rumpelstiltskin").input_ids)
    ['<bos>', 'the', 'home', 'town', 'of', '<unk>']
    """
    words = [*SPECIAL.values(), *vocabulary]
    core = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=SPECIAL["unk_token"]))
    core.pre_tokenizer = Whitespace()
    core.post_processor = _bos_in_front(core)
    return PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False, **SPECIAL)


def byte_pair_tokenizer(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    """Byte-level pieces of words, as GPT-2's, learnt from texts; BOS in front, offsets by character.

    A word at a text's beginning is read as it is within the text, with a space before it.

    Args:
        texts: what the pieces are learnt from; equal texts in equal order give an equal tokenizer.
        size: at most so many tokens; the four special ones and the 256 bytes are always among them.

    Returns:
        A fast tokenizer, which can read any text.

    >>> tokenizer = byte_pair_tokenizer(["Paris is in France ."] * 9, size=400)
    >>> tokenizer.convert_ids_to_tokens(tokenizer("Paris is in Peru").input_ids)
    ['<bos>', 'ĠParis', 'Ġis', 'Ġin', 'Ġ', 'P', 'e', 'r', 'u']
    """
    core = Tokenizer(BPE())
    core.pre_tokenizer = ByteLevel(add_prefix_space=True)
    core.decoder = FromBytes()
    trainer = BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    core.post_processor = _bos_in_front(core)
    return PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False, **SPECIAL)


def _bos_in_front(core: Tokenizer) -> TemplateProcessing:
    bos = SPECIAL["bos_token"]
    return TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))])

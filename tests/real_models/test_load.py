"""Loading through transformers, offline, on tiny random models; and what refuses to load."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from real_models.load import load_model
from theory.command import Misuse

WORDS = ["<unk>", "</s>", "a", "the", "cat", "sat"]
CONFIGS = {
    "gpt2": GPT2Config(
        n_embd=16, n_layer=2, n_head=2, n_positions=16, vocab_size=len(WORDS), bos_token_id=1, eos_token_id=1
    ),
    "llama": LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(WORDS),
        max_position_embeddings=16,
        bos_token_id=1,
        eos_token_id=1,
    ),
}
WRITTEN = {"gpt2": "transformer.h.1.mlp.c_proj.weight", "llama": "model.layers.1.mlp.down_proj.weight"}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(params=sorted(CONFIGS))
def family(request):
    return request.param


@pytest.fixture
def folder(tmp_path, family):
    """A folder as save_pretrained writes it, with the model it was written from."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = (GPT2LMHeadModel if family == "gpt2" else LlamaForCausalLM)(CONFIGS[family])
    model.save_pretrained(tmp_path)
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>")
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def load(folder, dtype=torch.float32):
    return load_model(str(folder), dtype=dtype, device="cpu")


def refused(folder, says):
    """Loading the folder is refused in one line that names it."""
    with pytest.raises(Misuse, match=says) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def rewrite(folder, change):
    """Change the tensors of the folder's safetensors file."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_saved_model_is_loaded_frozen_and_as_it_was(folder, family, dtype):
    model, tokenizer = load(folder, dtype)
    assert model.config.model_type == family
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())
    assert {weight.dtype for weight in model.parameters()} == {dtype}
    written = load_file(folder / "model.safetensors")[WRITTEN[family]]
    assert torch.equal(model.get_parameter(WRITTEN[family]), written.to(dtype))
    found = tokenizer("the cat sat", return_offsets_mapping=True)
    assert tokenizer.is_fast
    assert found.input_ids == [3, 4, 5]
    assert found.offset_mapping == [(0, 3), (4, 7), (8, 11)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_first_weight_that_is_not_finite_is_named(folder, family, value):
    rewrite(folder, lambda tensors: tensors[WRITTEN[family]].view(-1)[7:8].fill_(value))
    refused(folder, f"{WRITTEN[family]} holds NaN or infinity in torch.float32; fetch the model again")


def test_a_dtype_too_narrow_for_the_weights_is_refused(folder, family):
    rewrite(folder, lambda tensors: tensors[WRITTEN[family]].view(-1)[0].fill_(1e6))
    load(folder)
    with pytest.raises(Misuse, match=r"holds NaN or infinity in torch.float16; .* a wider dtype"):
        load(folder, torch.float16)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-100],
        lambda content: content[:10] + b"\xff" * 20 + content[30:],
        lambda content: b"",
        lambda content: content + b"\0",
    ],
    ids=["truncated", "altered", "empty", "trailing"],
)
def test_a_broken_safetensors_file_is_refused(folder, change):
    path = folder / "model.safetensors"
    path.write_bytes(change(path.read_bytes()))
    refused(folder, "cannot be loaded .*; pass a folder with config.json, model.safetensors and tokenizer.json")


def test_a_missing_tensor_is_not_drawn_at_random(folder, family):
    rewrite(folder, lambda tensors: tensors.pop(WRITTEN[family]))
    refused(folder, f"lacks 1 weights and has 0 of another shape .*{WRITTEN[family]}")


def test_a_misshapen_tensor_is_refused(folder, family):
    rewrite(folder, lambda tensors: tensors.update({WRITTEN[family]: torch.zeros(3, 3)}))
    refused(folder, f"lacks 0 weights and has 1 of another shape .*{WRITTEN[family]}")


def test_pickled_weights_are_not_read(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refused(folder, r"no file named model.safetensors")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ('{"model_type": "frobnicator"}', "of model type 'frobnicator'; the families .* are gpt2, gptj, "),
        ('{"model_type": "bert"}', "of model type 'bert'; the families"),
        ('{"model_type": "x", "auto_map": {"AutoConfig": "evil.Config"}}', "of model type 'x'; the families"),
        ('{"a": 1}', "has no config.json that names a model_type"),
        ('{"model_type":', "cannot be loaded"),
        ("[1]", "has no config.json that names a model_type"),
        ('{"model_type": "gpt2", "n_embd": -16}', "cannot be loaded"),
        ('{"model_type": "gpt2", "n_embd": 16, "n_head": 3}', "cannot be loaded"),
        ('{"model_type": "llama", "hidden_act": "frob"}', "cannot be loaded"),
    ],
)
def test_a_config_that_cannot_be_used_is_refused(folder, config, says):
    (folder / "config.json").write_text(config)
    refused(folder, says)


def test_a_folder_without_a_model_is_refused(tmp_path):
    refused(tmp_path, "has no config.json that names a model_type; pass a model's own folder")


@pytest.mark.parametrize("name", ["/no/such/folder", "./gone", "~/gone-for-good", "a/b/c", "gone.bin", ""])
def test_a_path_that_does_not_exist_is_refused(name):
    refused(name, "does not exist; pass a model's folder, a llama2.c .bin file or a hub name")


@pytest.mark.parametrize("name", ["no-such-owner/no-such-model", "no-such-model", "bad name!"])
def test_a_hub_name_that_cannot_be_reached_is_refused_with_the_remedy(name):
    refused(name, "cannot be loaded .*; no such local folder either; pass the path of a folder that holds the model")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "model.txt").write_text("hello")
    refused(tmp_path / "model.txt", "is a file, but no llama2.c .bin")
    (tmp_path / "model.bin").write_text("hello")
    refused(tmp_path / "model.bin", "has 5 bytes, fewer than the 28 of a llama2.c header")


def test_a_dtype_that_is_not_floating_point_is_refused(folder):
    with pytest.raises(Misuse, match=r"cannot be torch.int32; choose a floating-point dtype"):
        load(folder, torch.int32)


@pytest.mark.parametrize("family", ["gpt2"])
def test_a_tokenizer_that_is_not_fast_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    refused(folder, "has a ByT5Tokenizer, which is not fast; add its tokenizer.json")


def test_a_folder_without_a_tokenizer_is_refused(folder, family):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    refused(folder, "no tokenizer of its own" if family == "gpt2" else "cannot be loaded")


def test_a_broken_tokenizer_is_refused(folder):
    path = folder / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:-50])
    refused(folder, "cannot be loaded")


def test_a_tokenizer_of_another_model_is_refused(folder):
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate([*WORDS, "more"])}))
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>").save_pretrained(folder)
    refused(folder, f"tokenizer with id {len(WORDS)}, but embeddings for {len(WORDS)} only")

"""Write a tiny llama model whose answers mean nothing but always end.

Usage: make_gguf.py OUTPUT.gguf

The model exists so that a real inference server can be tested without downloading weights. Its two layers
hold random numbers from a fixed seed, which makes answers depend on the prompt. What the model "knows" is one
table: for each byte, how much it would like each byte to come next. The table makes words of a few letters,
prefers to close what is open (`"`, `}`, `]`) to going on, and then ends. So free text stops after some
letters, and text that a grammar holds to JSON always reaches its last brace within few tokens.

The table works as a model because of how a token is embedded: token v is the unit vector v, the layers add only
a little to it, and the final normalisation brings it to length sqrt(width). Column v of the output matrix,
divided by that length, is therefore the list of logits that follow token v.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import string
import sys

import gguf
import numpy as np

SEED = 20260101
LAYERS = 2
WIDTH = 288  # at least the vocabulary, and even per head, as rotary embeddings need
HEADS = 4
FEED_FORWARD = 256
CONTEXT = 16384  # bytes, since a token is a byte
LAYER_SCALE = 0.01  # keeps what the layers add below the gaps between the table's preferences

UNKNOWN, BEGIN, END = 0, 1, 2
FIRST_BYTE = 3
VOCABULARY = FIRST_BYTE + 256

WORD_LENGTH = 8

# An answer always follows a newline, which is written as a value because Jinja drops a template's last one.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content or '' }}\n{% endfor %}{{ 'assistant:\n' }}"
)


def byte(character: str) -> int:
    """The token of an ASCII character."""
    return FIRST_BYTE + ord(character)


def preferences(random: np.random.Generator) -> np.ndarray:
    """The logits of each token (column) after each token (row).

    Preferences that must not tie lie more than a tenth apart, since the server's repeat penalty takes that much.
    """
    table = np.full((VOCABULARY, VOCABULARY), 2.0)
    table[:, [UNKNOWN, BEGIN]] = -20
    table[:, FIRST_BYTE : FIRST_BYTE + 0x20] = -10  # control characters
    table[:, FIRST_BYTE + 0x7F :] = -20  # DEL and parts of longer characters
    table[:, [byte(" "), byte("\\"), byte("-")]] = -5  # legal in most places of JSON, and never a step to its end

    letters = [byte(c) for c in string.ascii_lowercase]
    table[:, letters] = 10 + random.random((VOCABULARY, len(letters)))

    def prefer(after: str, end: float | None = None, **wanted: float) -> None:
        names = {"quote": '"', "brace": "}", "bracket": "]", "comma": ",", "colon": ":",
                 "object": "{", "array": "[", "one": "1"}
        for character in after:
            if end is not None:
                table[byte(character), END] = end
            for name, logit in wanted.items():
                table[byte(character), byte(names[name])] = logit

    # A word is one letter of each generation, and is over after the last.
    generations = np.array_split(random.permutation(letters), WORD_LENGTH)
    prefer(string.ascii_lowercase, brace=7, bracket=7, comma=6, end=8, quote=5)
    for generation, following in zip(generations, generations[1:]):
        table[np.ix_(generation, following)] += 8
    for last in generations[-1]:
        table[last, END] = 28
        table[last, byte('"')] = 24
    for opening in '\n"':
        table[byte(opening), generations[0]] += 8

    prefer("\n", object=15, array=14, quote=13, one=12)
    prefer('"', end=13, brace=12, bracket=12, comma=10.5, colon=10.5)
    prefer("{", brace=24, quote=20)
    prefer("[", bracket=24, quote=20)
    prefer(":,", quote=24, array=21, object=21, one=19)
    prefer("}]", end=28, brace=24, bracket=24, comma=20)
    prefer(string.digits, end=24, brace=21, bracket=21, comma=18)
    return table


def main(path: str) -> None:
    random = np.random.default_rng(SEED)
    table = preferences(random)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)

    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)])
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types(
        [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
    )
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)

    def tensor(name: str, values: np.ndarray) -> None:
        writer.add_tensor(name, np.ascontiguousarray(values, dtype=np.float32))

    def noise(rows: int, columns: int) -> np.ndarray:
        return random.normal(0, 1 / math.sqrt(columns), (rows, columns))

    tensor("token_embd.weight", np.eye(VOCABULARY, WIDTH))
    output = np.zeros((VOCABULARY, WIDTH))
    output[:, :VOCABULARY] = table.T / math.sqrt(WIDTH)
    tensor("output.weight", output)
    tensor("output_norm.weight", np.ones(WIDTH))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        tensor(f"{block}.attn_norm.weight", np.ones(WIDTH))
        for part in ("attn_q", "attn_k", "attn_v"):
            tensor(f"{block}.{part}.weight", noise(WIDTH, WIDTH))
        tensor(f"{block}.attn_output.weight", LAYER_SCALE * noise(WIDTH, WIDTH))
        tensor(f"{block}.ffn_norm.weight", np.ones(WIDTH))
        tensor(f"{block}.ffn_gate.weight", noise(FEED_FORWARD, WIDTH))
        tensor(f"{block}.ffn_up.weight", noise(FEED_FORWARD, WIDTH))
        tensor(f"{block}.ffn_down.weight", LAYER_SCALE * noise(WIDTH, FEED_FORWARD))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

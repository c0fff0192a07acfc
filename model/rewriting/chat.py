"""Chats as tokens: what the assistant says, and its end of turn, apart from all it is told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from feature_repo.contracts.errors import FoundError
from model.rewriting.prompts import Chat

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""For a tokenizer without a chat template of its own."""


@dataclass(frozen=True)
class Tokens:
    """Token ids of a chat; `is_answer` marks those that the assistant says."""

    ids: tuple[int, ...]
    is_answer: tuple[bool, ...]


def chat_tokens(tokenizer: Any, chat: Chat) -> Tokens:
    """The chat part by part, so that a part's tokens are those that generation sees.

    Raises FoundError where the tokenizer's template changes earlier messages when later ones follow.
    """
    ids: list[int] = []
    is_answer: list[bool] = []
    for text, said in _parts(tokenizer, chat):
        part = _ids(tokenizer, text)
        ids += part
        is_answer += [said] * len(part)
    return Tokens(tuple(ids), tuple(is_answer))


def prompt_tokens(tokenizer: Any, chat: Chat) -> list[int]:
    """The tokens after which the assistant answers."""
    return _ids(tokenizer, _rendered(tokenizer, chat, asks=True))


def without_special_tokens(tokenizer: Any, text: str) -> str:
    """The text with every string that the tokenizer takes for a command, as the end of a turn, replaced by a space."""
    for token in sorted({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}, key=len, reverse=True):
        text = text.replace(token, " ")
    return text


def _parts(tokenizer: Any, chat: Chat) -> Iterator[tuple[str, bool]]:
    told = ""
    for place, message in enumerate(chat):
        if message["role"] != "assistant":
            continue
        before = _rendered(tokenizer, chat[:place], asks=True)
        after = _rendered(tokenizer, chat[: place + 1], asks=False)
        if not (before.startswith(told) and after.startswith(before)):
            raise FoundError("the tokenizer's chat template rewrites earlier messages: give it one that only appends.")
        answer, end, rest = after[len(before) :].partition(tokenizer.eos_token or "\n")
        yield before[len(told) :], False
        yield answer + end, True
        told = after.removesuffix(rest) if rest else after
    whole = _rendered(tokenizer, chat, asks=False)
    if whole.startswith(told):
        yield whole[len(told) :], False


def _rendered(tokenizer: Any, chat: Sequence[dict[str, str]], *, asks: bool) -> str:
    template = tokenizer.chat_template or CHATML
    text = tokenizer.apply_chat_template(list(chat), chat_template=template, add_generation_prompt=asks, tokenize=False)
    return str(text)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

"""`python -m model.rewriting.fine_tune --stage 1|2 --pairs DIR --model FOLDER --out FOLDER`: teaches a language model.

Stage 1 is on conversations about the lake, stage 2 on demands and their rewriting (paper, section 4.4.1). LoRA, AdamW,
the loss on the assistant's tokens alone. The chats of a run lie beside its adapter, as JSON lines.

Shape suffixes: B chats in a batch, T tokens, V vocabulary.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor

from feature_repo.contracts.errors import FoundError
from model.data import Pairs, open_pairs
from model.rewriting.chat import Tokens, chat_tokens
from model.rewriting.conversations import conversations, gather_facts
from model.rewriting.lake import know_lake
from model.rewriting.language_model import LanguageModel, open_language_model
from model.rewriting.phrasings import WRITTEN_WITH
from model.rewriting.prompts import Chat, answer, question
from model.rewriting.synthesis import examples

RANK, ALPHA = 8, 16
MOST_TOKENS = 2_048
"""A longer chat is left out."""
REPORT_EVERY = 20
CHATS = "chats.jsonl"


def make_chats(pairs: Pairs, *, stage: int, count: int, seed: int) -> list[Chat]:
    """The chats of a stage. Held-out phrasings are left to measuring."""
    lake = know_lake(pairs)
    if stage == 1:
        return conversations(gather_facts(pairs, lake), count=count, seed=seed)
    day = max(map(date.fromisoformat, pairs.manifest["cutoffs"]))
    made = examples(lake, WRITTEN_WITH, count=count, seed=seed, day=day)
    return [
        [*question(lake.words, example.demand, day), {"role": "assistant", "content": answer(example.rewritten)}]
        for example in made
    ]


def with_adapter(given: LanguageModel, *, seed: int) -> LanguageModel:
    """The language model with LoRA on all linear layers, ready to learn; an adapter that it has goes on learning."""
    torch.manual_seed(seed)
    model = given.model
    if isinstance(model, PeftModel):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("lora_" in name)
    else:
        model = get_peft_model(
            model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
        )
    return replace(given, model=model)


def fine_tune(
    given: LanguageModel, chats: Sequence[Tokens], *, steps: int, batch: int, learning_rate: float, seed: int
) -> list[float]:
    """Trains the adapter in place; returns the loss of each step. The same arguments give the same bits on a CPU."""
    model = given.model.train()
    torch.manual_seed(seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.0)
    losses: list[float] = []
    for step in range(steps):
        chosen = np.random.default_rng([seed, step]).choice(len(chats), min(batch, len(chats)), replace=False)
        ids_BT, is_answer_BT = (t.to(model.device) for t in padded([chats[i] for i in chosen.tolist()]))
        # Padding comes last, so a causal model needs no mask to keep it from what comes before.
        loss = answer_loss(model(input_ids=ids_BT).logits, ids_BT, is_answer_BT)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if (step + 1) % REPORT_EVERY == 0 or step + 1 == steps:
            print(f"step {step + 1}/{steps} loss {losses[-1]:.4f}", flush=True)
    model.eval()
    return losses


def answer_loss(logits_BTV: Tensor, ids_BT: Tensor, is_answer_BT: Tensor) -> Tensor:
    """The mean cross-entropy of the assistant's tokens, each predicted from all before it; others take no part."""
    told_BT = is_answer_BT[:, 1:]
    return F.cross_entropy(logits_BTV[:, :-1][told_BT].float(), ids_BT[:, 1:][told_BT])


def padded(chats: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """int64 and bool [B, T]: the chats, shorter ones filled up with token 0 that is nobody's."""
    longest = max(len(chat.ids) for chat in chats)
    ids_BT = torch.zeros(len(chats), longest, dtype=torch.long)
    is_answer_BT = torch.zeros(len(chats), longest, dtype=torch.bool)
    for row, chat in enumerate(chats):
        ids_BT[row, : len(chat.ids)] = torch.tensor(chat.ids)
        is_answer_BT[row, : len(chat.ids)] = torch.tensor(chat.is_answer)
    return ids_BT, is_answer_BT


def tokenised(tokenizer: Any, chats: Sequence[Chat], *, most: int) -> list[Tokens]:
    """The chats of at most `most` tokens that have an answer. Raises FoundError where none is left."""
    each = [chat_tokens(tokenizer, chat) for chat in chats]
    kept = [tokens for tokens in each if len(tokens.ids) <= most and any(tokens.is_answer)]
    if not kept:
        shortest = min((len(tokens.ids) for tokens in each), default=0)
        raise FoundError(
            f"no chat fits {most} tokens, the shortest of {len(each)} has {shortest}: use a model that reads more."
        )
    return kept


def save(given: LanguageModel, chats: Sequence[Chat], out: Path, *, run: dict[str, Any]) -> None:
    """Adapter (safetensors), tokenizer, chats and what was run; files are replaced one by one when all are written."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".") as unfinished:
        folder = Path(unfinished)
        if isinstance(given.model, PeftModel):
            given.model.save_pretrained(str(folder), safe_serialization=True)
            given.tokenizer.save_pretrained(str(folder))
        lines = (json.dumps({"messages": chat}, ensure_ascii=False) for chat in chats)
        (folder / CHATS).write_text("\n".join(lines) + "\n")
        (folder / "run.json").write_text(json.dumps(run, indent=1, sort_keys=True))
        for file in sorted(path for path in folder.iterdir() if path.is_file()):
            os.replace(file, out / file.name)


def run(given: argparse.Namespace) -> str:
    """One stage from pairs to an adapter; says where it lies."""
    pairs = open_pairs(Path(given.pairs))
    chats = make_chats(pairs, stage=given.stage, count=given.chats, seed=given.seed)
    language_model = open_language_model(given.model, adapter=given.adapter)
    most = min(MOST_TOKENS, getattr(language_model.model.config, "max_position_embeddings", None) or MOST_TOKENS)
    tokens = tokenised(language_model.tokenizer, chats, most=most)
    language_model = with_adapter(language_model, seed=given.seed)
    losses = fine_tune(
        language_model,
        tokens,
        steps=given.steps,
        batch=given.batch,
        learning_rate=given.learning_rate,
        seed=given.seed,
    )
    about = vars(given) | {"pairs": pairs.manifest["fingerprint"], "used": len(tokens), "losses": losses}
    save(language_model, chats, Path(given.out), run=about)
    return f"stage {given.stage}: {len(tokens)} of {len(chats)} chats, adapter in {given.out}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.rewriting.fine_tune", description=__doc__)
    parser.add_argument("--stage", type=int, choices=(1, 2), required=True)
    parser.add_argument("--pairs", required=True, help="folder of build_pairs' output")
    parser.add_argument("--model", required=True, help="Hugging Face id or folder of a causal language model")
    parser.add_argument("--adapter", default="", help="an adapter to go on with: for stage 2, that of stage 1")
    parser.add_argument("--out", required=True)
    parser.add_argument("--chats", type=int, default=2_000, help="how many are made")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    try:
        print(run(parser.parse_args()))
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

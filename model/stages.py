"""Both stages as: columns of a batch -> loss and metrics. One trainer runs either.

Shape suffixes: B users, C candidate sentences, V distinct texts, E encoder width.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from feature_repo.contracts.templates import DESCRIPTION_ITEMS, NOTHING
from model.config import Recipe
from model.data import Columns, rows_of
from model.encoders import lora_of
from model.found import FoundModel
from model.grad_cache import accumulated, cached, slices
from model.live_texts import Texts, live_texts
from model.losses import choice_loss, cpc_loss, cpc_loss_in_batch, cycle_loss, infonce_loss, sigmoid_loss
from model.sentences import Sentences
from model.sequence import EncodedText
from model.step import Step, float32, noise_for
from model.table import TableTasks
from model.text_cache import TextTable
from model.text_tower import TextTower

Terms = tuple[Tensor, Mapping[str, Tensor]]
UserSide = tuple[Tensor, EncodedText, Tensor]
"""The users' vectors, the texts of their histories, and the vectors of texts by row."""
Asked = tuple["np.ndarray", "np.ndarray"]
"""The rows of the candidate texts, and of the candidate concepts."""


class SelfSupervised(nn.Module):
    """Stage 1 (section 4.2): L_UB = L_CL + lambda KL (7) on windows, MLM (8) and RTD on the table."""

    text_VE: Tensor

    def __init__(self, model: FoundModel, texts: TextTable) -> None:
        super().__init__()
        self.model, self.texts = model, texts
        self.tasks = TableTasks(model.recipe, sizes=model.vocabulary.sizes)
        self.register_buffer("text_VE", model.centred(texts), persistent=False)

    def parameter_groups(self, recipe: Recipe) -> list[dict[str, Any]]:
        user = self.model.user
        trained = [*user.sequence.parameters(), *user.table.parameters(), *self.tasks.parameters()]
        return [{"params": trained, "lr": recipe.stage1.learning_rate}]

    def forward(self, columns: Columns, weight_B: Tensor, step: Step) -> Terms:
        chunks = slices(len(weight_B), self.model.recipe.stage1.chunk_users)
        parts = [(rows_of(columns, rows), weight_B[rows], step) for rows in chunks]
        if len(parts) == 1:
            return self._losses(*parts[0])
        return accumulated(self._losses, parts, self)

    def _losses(self, columns: Columns, weight_B: Tensor, step: Step) -> Terms:
        recipe, user = self.model.recipe, self.model.user
        batch = self.model.batch(columns, self.texts).to(self.text_VE.device)
        window_BWD, context_BWD, _ = user.sequence(batch, self.text_VE)
        forecast = cpc_loss if recipe.cpc_negatives == "in_user" else cpc_loss_in_batch
        with float32(self.text_VE.device):
            window_BWD, context_BWD = window_BWD.float(), context_BWD.float()
            cpc = forecast(context_BWD, window_BWD, batch.is_window_BW, ahead=recipe.cpc_ahead, weight_B=weight_B)
            cycle = cycle_loss(context_BWD, batch.is_window_BW, cycle=recipe.cycle_windows, weight_B=weight_B)
        noise = noise_for(columns["user_key"], batch.cells_BF.shape[1], step).to(weight_B.device)
        mlm, rtd = self.tasks(user.table, batch.cells_BF, noise_BF3=noise, weight_B=weight_B)
        loss = cpc + recipe.cycle_weight * cycle + mlm + rtd + 0.0 * user.table.numbers(batch.activity_BA).sum()
        return loss, {"cpc": cpc, "cycle": cycle, "mlm": mlm, "rtd": rtd}


class Alignment(nn.Module):
    """Stage 2 (section 4.3): users and sentences of their futures meet.

    Default: pairwise sigmoid over candidates shared by all users of the batch - texts drawn by frequency,
    some of each user's own, 'did nothing', and concepts. The label is whether the sentence happens in the
    user's future, so an empty future is a row of negatives, a sentence two users share is no false negative,
    and scores are log odds. The users' vectors are trained to answer alone, as an index searches them, and
    together with late interaction, which re-ranks what the index finds; their prefixes answer alone as well. A smaller
    term asks which of the candidates a user does, whoever does much.
    `infonce` is equation (13) over one own sentence per user, negatives from every rank; it trains the vectors alone.
    """

    text_VE: Tensor
    raw_VE: Tensor

    def __init__(self, model: FoundModel, texts: TextTable, sentences: Sentences) -> None:
        super().__init__()
        self.model, self.texts, self.sentences = model, texts, sentences
        self.register_buffer("text_VE", model.centred(texts), persistent=False)
        self.register_buffer("raw_VE", torch.from_numpy(np.array(texts.vectors[1:])), persistent=False)
        share = np.power(sentences.count_V, 0.75)
        self.share_V = share / share.sum()

    def parameter_groups(self, recipe: Recipe) -> list[dict[str, Any]]:
        lora = [p for _, p in lora_of(self.model.text.adapted)]
        lora += [p for _, p in lora_of(self.model.encoder)] if self.model.recipe.tune_events else []
        head = [p for n, p in self.model.text.named_parameters() if "adapted" not in n and "encoder" not in n]
        return [
            {
                "params": [*self.model.user.parameters(), *self.model.late.parameters(), *head],
                "lr": recipe.stage2.learning_rate,
            },
            {"params": lora, "lr": recipe.lora_learning_rate},
        ]

    def forward(self, columns: Columns, weight_B: Tensor, step: Step) -> Terms:
        chunks = slices(len(weight_B), self.model.recipe.stage2.chunk_users)
        texts: Texts = (self.texts, self.text_VE)
        if self.model.recipe.tune_events:
            texts = live_texts(self.model, columns, self.texts, self.sentences.strings)
        if self.model.recipe.alignment == "infonce":
            loss = self._infonce(columns, texts, chunks, weight_B, step)
            return loss, {"alignment": loss}
        if len(chunks) == 1:
            users = self._users(columns, texts)
            return self._sigmoid(columns, weight_B, users, *self._asked(columns, weight_B, step))
        asked, encoded_CE = self._asked(columns, weight_B, step)

        def part_loss(part: Columns, weight_B: Tensor, encoded_CE: Tensor, text_VE: Tensor) -> Terms:
            return self._sigmoid(part, weight_B, self._users(part, (texts[0], text_VE)), asked, encoded_CE)

        parts = [(rows_of(columns, rows), weight_B[rows]) for rows in chunks]
        return accumulated(part_loss, parts, self, encoded_CE, texts[1])

    def _users(self, columns: Columns, texts: Texts) -> UserSide:
        table, text_VE = texts
        user_BM, history = self.model.users(self.model.batch(columns, table).to(text_VE.device), text_VE)
        return user_BM.float(), replace(history, encoded_ND=history.encoded_ND.float()), text_VE

    def _sigmoid(self, columns: Columns, weight_B: Tensor, users: UserSide, asked: Asked, encoded_CE: Tensor) -> Terms:
        happens_BC = self._happens(columns, *asked)
        with float32(self.text_VE.device):
            nested_PBC, late_BC = self._scores(*users, encoded_CE, columns["cutoff_day"])
            score_BC = nested_PBC[-1] + late_BC
            full = sigmoid_loss(score_BC, happens_BC, weight_B)
            alone = torch.stack([sigmoid_loss(each, happens_BC, weight_B) for each in nested_PBC]).mean()
            choice = choice_loss(score_BC, happens_BC, weight_B)
        recipe = self.model.recipe
        loss = full + recipe.vector_weight * alone + recipe.choice_weight * choice
        return loss, {"alignment": full, "vector": alone, "choice": choice}

    def _asked(self, columns: Columns, weight_B: Tensor, step: Step) -> tuple[Asked, Tensor]:
        """The candidate sentences: their texts and concepts, and their encodings [C, E]."""
        future = self._future(columns)
        asked = self._candidates(future[weight_B.cpu().numpy() > 0], step), self._concepts(step)
        return asked, self._encode(*asked, step)

    def _happens(self, columns: Columns, text_rows: "np.ndarray", concept_rows: "np.ndarray") -> Tensor:
        """bool [B, C]: to whom each candidate happens."""
        happens = self.sentences.happens(self._future(columns))
        members = self.sentences.concepts.member_VC[:, concept_rows].astype(np.float32)
        labels = np.concatenate([happens[:, text_rows], happens.astype(np.float32) @ members > 0], axis=1)
        return torch.from_numpy(labels).to(self.raw_VE.device)

    def _future(self, columns: Columns) -> "np.ndarray":
        """[B, F]: the rows of the texts of each user's future, 0 where there are no more."""
        return self.texts.rows(columns["future_text"])

    def _scores(
        self, user_BM: Tensor, history: EncodedText, text_VE: Tensor, encoded_CE: Tensor, cutoff_day: "np.ndarray"
    ) -> tuple[list[Tensor], Tensor]:
        """[B, C] from the prefixes of the users' vectors, the whole last, and from late interaction; the biases once
        per distinct cut-off of the batch, as the season asks."""
        days, day_of_B = np.unique(cutoff_day, return_inverse=True)
        tower = self.model.text
        assert isinstance(tower, TextTower)
        asked_CE = tower.space.asked(encoded_CE)
        read_CD = tower.bias_text(asked_CE)
        bias_TC2 = torch.stack([tower.seasonal(read_CD, int(day)) for day in days])
        bias_BC2 = bias_TC2.index_select(0, torch.from_numpy(day_of_B).to(bias_TC2.device))
        text_CM = tower.space.turned(tower.project(asked_CE))
        nested = [
            user_BM[:, :1] + user_BM[:, 1 : 1 + size] @ text_CM[:, :size].T + bias_BC2[..., 0]
            for size in (*self.model.recipe.prefixes, text_CM.shape[1])
        ]
        late_BC = self.model.late(history, len(user_BM), text_VE, asked_CE)
        return nested, late_BC + bias_BC2[..., 1]

    def _candidates(self, future: "np.ndarray", step: Step) -> "np.ndarray":
        """Text rows, the same on every rank: by frequency, the users' own, and 'did nothing'."""
        recipe, rng = self.model.recipe, step.generator()
        drawn = rng.choice(len(self.share_V), size=recipe.sampled_texts, p=self.share_V)
        own = step.ranks.all_rows(torch.from_numpy(_own(future, recipe.positives_per_user, step))).numpy()
        return np.unique(np.concatenate([drawn, own[own > 0] - 1, [self.sentences.nothing]]))

    def _concepts(self, step: Step) -> "np.ndarray":
        known = len(self.sentences.concepts.words)
        return step.generator(1).permutation(known)[: self.model.recipe.sampled_concepts]

    def _encode(self, text_rows: "np.ndarray", concept_rows: "np.ndarray", step: Step) -> Tensor:
        """[C, E]: cached encodings, half of the texts as demands; every few steps a sample live through LoRA."""
        recipe, known = self.model.recipe, self.sentences
        phrase = known.phrase_of_V[text_rows]
        says_demand = (step.generator(2).random(len(text_rows)) < recipe.rephrased_share) & (phrase >= 0)
        encoded = self.raw_VE[torch.from_numpy(text_rows)].clone()
        if says_demand.any():
            encoded[torch.from_numpy(says_demand)] = torch.from_numpy(known.phrase_vectors[phrase[says_demand]]).to(
                encoded
            )
        concepts = torch.from_numpy(known.concept_vectors[concept_rows]).to(encoded)
        encoded = torch.cat([encoded, concepts.reshape(-1, encoded.shape[1])])
        if step.number % recipe.lora_every:
            return encoded
        strings = [
            known.phrases[p] if says else known.strings[row]
            for row, p, says in zip(text_rows, phrase, says_demand, strict=True)
        ]
        strings += [known.concept_phrases[row] for row in concept_rows]
        live = np.sort(step.generator(3).permutation(len(strings))[: recipe.lora_texts])
        live_NE = self.model.text.live([strings[i] for i in live]).float()
        return encoded.index_copy(0, torch.from_numpy(live).to(encoded.device), live_NE)

    def _infonce(self, columns: Columns, texts: Texts, chunks: list[slice], weight_B: Tensor, step: Step) -> Tensor:
        """Equation 13 over the users of all ranks: this rank's users against the sentences of every rank."""
        device, parts = self.text_VE.device, [(rows_of(columns, rows),) for rows in chunks]
        user_BM = cached(lambda part: self._users(part, texts)[0], parts, device)
        encoded_BE, is_real_B = self._encode_own(self._future(columns), step), weight_B > 0
        with float32(device):
            text_BM = self.model.text.vectors(encoded_BE)
            text_NM, first = step.ranks.all_rows_with_gradient(text_BM[is_real_B])
            positive_B = (first + is_real_B.cumsum(0) - 1).clamp(min=0)
            return infonce_loss(user_BM[:, 1:-1], text_NM, weight_B, positive_B)

    def _encode_own(self, future: "np.ndarray", step: Step) -> Tensor:
        """[B, E]: what each user's future says, live through LoRA (equation 12). In the event encoder's own space it is
        one sentence, and cached in most steps."""
        if self.model.recipe.embedding:
            return self._live(self._descriptions(future, step))
        own = np.maximum(_own(future, 1, step)[:, 0], 1) - 1
        if step.number % self.model.recipe.lora_every:
            return self.raw_VE[torch.from_numpy(own)]
        rows, place_B = np.unique(own, return_inverse=True)
        live = self._live([self.sentences.strings[row] for row in rows])
        return live.index_select(0, torch.from_numpy(place_B).to(live.device))

    def _live(self, strings: list[str]) -> Tensor:
        chunks = slices(len(strings), self.model.recipe.stage2.chunk_users)
        return cached(self.model.text.live, [(strings[chunk],) for chunk in chunks], self.text_VE.device).float()

    def _descriptions(self, future: "np.ndarray", step: Step) -> list[str]:
        """Each user's future in one text: up to DESCRIPTION_ITEMS of its sentences strung together (section 4.1)."""
        strings, drawn = self.sentences.strings, _own(future, DESCRIPTION_ITEMS, step)
        return [". ".join(strings[row - 1] for row in own if row) or NOTHING for own in drawn]


def _own(future: "np.ndarray", number: int, step: Step) -> "np.ndarray":
    """[B, number]: some of each user's own future rows (0 = none), by a draw that depends on the user alone."""
    keys = np.where(future > 0, (future * 2654435761 + step.number * 40503) % 1_000_003, 2_000_000)
    first = np.argsort(keys, axis=1, kind="stable")[:, :number]
    return np.take_along_axis(future, first, axis=1)

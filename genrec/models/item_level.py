"""`ItemLevelModel`: one position per history item in, the next item's codes out, level by level.

Does not know users, searches or optimisers. Instead of reading every code of every history item as a token,
an item is one vector, the sum of what its codes, its trie nodes and its content say; a light decoder then
walks down the trie from the state of the last item.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from genrec.catalog import CatalogTrie
from genrec.models.causal_body import CausalBody
from genrec.models.item_content import checked_content, mean_loss, node_content
from genrec.models.trie_arrays import TrieArrays

TABLE = 1 << 16  # nodes of a level up to which what scores them is one table
BLOCK = 1 << 14  # children scored at once on a CPU: few enough to stay in its cache


class ItemLevelConfig(PreTrainedConfig):
    """Sizes of an `ItemLevelModel`; those of the catalog are filled in by `ItemLevelModel.for_catalog`.

    Attributes:
        codebook_sizes: Codes of each position.
        num_nodes: Trie nodes of each level.
        max_children: Most children of a node, level by level.
        num_items: Items.
        terminated: Whether IDs of unequal length end in a terminator, a level of its own included.
        content_dim: Width of the content vectors, 0 = no content.
        content_output: Whether nodes are scored by content too, not only items read.
        node_levels: Levels, from the root, whose nodes have an embedding of their own; one less than the
            ID's length leaves out the leaves (the items), 0 leaves codes and content alone.
        hidden_size: Width.
        num_layers: Blocks.
        num_heads: Attention heads.
        intermediate_size: Width of the feed-forward layers.
        max_positions: Longest history.
        dropout: Dropout rate everywhere.
        label_smoothing: Share of each level's target that is spread over the children.
        initializer_range: Standard deviation of the initial weights.
    """

    model_type = "genrec_item_level"

    codebook_sizes: list[int] | tuple[int, ...] = ()
    num_nodes: list[int] | tuple[int, ...] = ()
    max_children: list[int] | tuple[int, ...] = ()
    num_items: int = 0
    terminated: bool = False
    content_dim: int = 0
    content_output: bool = True
    node_levels: int = 3
    hidden_size: int = 128
    num_layers: int = 2
    num_heads: int = 2
    intermediate_size: int = 256
    max_positions: int = 50
    dropout: float = 0.3
    label_smoothing: float = 0.0
    initializer_range: float = 0.02


class ItemLevelModel(PreTrainedModel):
    """The item-level generator.

    The next item's probability is the product over the trie's levels of a softmax over the children of the
    prefix: at level l with state z the score of child node n with code c is `z·C_l[c] + z·N_l[n] +
    (Q_l z)·F_l[n]`, where C is tied to the input and F is the mean content of the items under n minus its
    parent's; that is z times one vector a node, `C_l[c] + N_l[n] + Q_lᵀ F_l[n]`. The next level's state is
    `z + MLP(LayerNorm[z, what was chosen])`.
    """

    config_class = ItemLevelConfig
    base_model_prefix = "item_level"
    main_input_name = "items"

    def __init__(self, config: ItemLevelConfig) -> None:
        super().__init__(config)
        width, content = config.hidden_size, config.content_dim
        levels = len(config.codebook_sizes)
        self.trie = TrieArrays(config.num_items, tuple(config.num_nodes), tuple(config.max_children))
        self.code_embeddings = nn.ModuleList(nn.Embedding(size, width) for size in config.codebook_sizes)
        self.node_embeddings = nn.ModuleList(
            nn.Embedding(size, width) for size in config.num_nodes[: config.node_levels]
        )
        self.scores_content = bool(content) and config.content_output
        if content:
            self.content_input = nn.Linear(content, width, bias=False)
            self.register_buffer("content", torch.zeros(config.num_items, content))
        if self.scores_content:
            self.content_queries = nn.ModuleList(nn.Linear(width, content, bias=False) for _ in range(levels))
            for level, size in enumerate(config.num_nodes):
                self.register_buffer(f"node_content_{level}", torch.zeros(size, content))
        self.body = CausalBody(
            width=width,
            layers=config.num_layers,
            heads=config.num_heads,
            inner=config.intermediate_size,
            max_positions=config.max_positions,
            dropout=config.dropout,
            activation="gelu",
            input_norm=True,
        )
        self.advances = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(2 * width),
                nn.Linear(2 * width, config.intermediate_size),
                nn.GELU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.intermediate_size, width),
            )
            for _ in range(levels - 1)
        )
        # tables of levels, with what they were made of
        self._tables: dict[int, tuple[tuple[int, ...], Tensor, list[Tensor]]] = {}
        self.post_init()

    @classmethod
    def for_catalog(
        cls, trie: CatalogTrie, content: np.ndarray | None = None, *, seed: int = 0, **sizes: Any
    ) -> ItemLevelModel:
        """A model with random weights for the items of a trie.

        Args:
            trie: The items' Semantic IDs.
            content: float `[items, d]` in catalog order, d wide; None = no content.
            seed: Seed of the weights.
            sizes: Fields of `ItemLevelConfig` that are not the catalog's.

        Raises:
            DataError: Content of another number of items.
        """
        vectors = checked_content(content, trie.num_items)
        config = ItemLevelConfig(
            codebook_sizes=list(trie.level_sizes),
            num_nodes=[len(codes) for codes in trie.codes],
            max_children=[int(np.diff(indptr).max(initial=0)) for indptr in trie.indptr],
            num_items=trie.num_items,
            terminated=trie.terminated,
            content_dim=0 if vectors is None else vectors.shape[1],
            **{"node_levels": trie.length, **sizes},
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = cls(config)
        model.trie.fill(trie)
        if vectors is not None:
            model.get_buffer("content").copy_(torch.from_numpy(vectors))
        if model.scores_content and vectors is not None:
            for level, means in enumerate(node_content(model.trie.paths.numpy(), vectors)):
                model.get_buffer(f"node_content_{level}").copy_(torch.from_numpy(means))
        return model

    def get_input_embeddings(self) -> nn.Module:
        """Embeddings of the first codes."""
        return self.code_embeddings[0]

    def encode(self, items: Tensor) -> Tensor:
        """States float `[batch, length, width]` after each item of histories.

        Args:
            items: int64 `[batch, length]`, catalog rows, oldest first; any row where padded, on the right.
        """
        paths = self.trie.paths[items]  # [batch, length, L]
        embedded = sum(self._node(level, paths[..., level]) for level in range(self.trie.length))
        if self.config.content_dim:
            embedded = embedded + self.content_input(self.get_buffer("content")[items])
        states: Tensor = self.body(embedded)
        return states

    def _node(self, level: int, nodes: Tensor) -> Tensor:
        """Embedding of a node: its last code's and, where it has one, its own; `[..., width]`."""
        embedded: Tensor = self.code_embeddings[level](self.trie.codes(level)[nodes])
        if level < len(self.node_embeddings):
            embedded = embedded + self.node_embeddings[level](nodes)
        return embedded

    def step(self, level: int, states: Tensor, parents: Tensor) -> Tensor:
        """Log-probabilities of the children of nodes.

        Args:
            level: The children's level.
            states: float `[n, width]`.
            parents: int64 `[n]`, nodes of the level above (0 = the root at level 0); -1 has no children.

        Returns:
            float32 `[n, c]`: child j of parent i at `[i, j]`, in the order of `TrieArrays`, c the most any
            node has; minus infinity beyond a node's children.
        """
        if level == 0:  # everybody's parent is the root
            logits = states @ self._scoring(0).T  # [n, c]
            return logits.float().log_softmax(-1).masked_fill(parents.unsqueeze(-1) < 0, float("-inf"))
        owner, place, nodes = self.trie.children_of(level, parents)
        block = BLOCK if states.is_cpu and not torch.is_grad_enabled() else max(1, len(nodes))
        parts = [
            (states[some] * self._scoring(level, children)).sum(-1)
            for some, children in zip(owner.split(block), nodes.split(block), strict=True)
        ]
        scores = torch.cat(parts)  # [children]
        shape = (len(states), self.trie.max_children[level])
        padded = torch.full(shape, float("-inf"), device=states.device)
        padded = padded.index_put((owner, place), scores.float())  # [n, c]
        return padded - padded.logsumexp(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).min)

    def advance(self, level: int, states: Tensor, nodes: Tensor) -> Tensor:
        """States `[n, width]` of the next level, after `nodes [n]` of this one were chosen."""
        step: Tensor = self.advances[level](torch.cat([states, self._scoring(level, nodes)], dim=-1))
        return states + step

    def _scoring(self, level: int, nodes: Tensor | None = None) -> Tensor:
        """What states are multiplied by to score nodes, `[..., width]`; None = all nodes of the level.

        Of a level with few nodes a table is made, and kept as long as nothing trains and no weight changes;
        in training it is made where more nodes are asked for than there are.
        """
        size, trains = len(self.trie.codes(level)), torch.is_grad_enabled()
        if nodes is not None and (size > TABLE or (trains and nodes.numel() < size)):
            return self._scored(level, nodes)
        every = torch.arange(size, device=self.device)
        if trains:
            table = self._scored(level, every)
        else:
            sources = [self.trie.codes(level), *self._sources(level)]
            if any(one.is_inference() for one in sources):  # these do not tell when they change
                return self._scored(level, every if nodes is None else nodes)
            made_of = tuple(number for one in sources for number in (one.data_ptr(), one._version))
            known = self._tables.get(level)
            if known is None or known[0] != made_of:
                held = [one.detach() for one in sources]  # so that no other weights come to lie there
                known = self._tables[level] = (made_of, self._scored(level, every), held)
            table = known[1]
        return table if nodes is None else table[nodes]

    def _scored(self, level: int, nodes: Tensor) -> Tensor:
        if not self.scores_content:
            return self._node(level, nodes)
        content = self.get_buffer(f"node_content_{level}")[nodes]
        return self._node(level, nodes) + content @ self.get_parameter(f"content_queries.{level}.weight")

    def _sources(self, level: int) -> list[Tensor]:
        """The weights in the table of a level."""
        found: list[Tensor] = [self.get_parameter(f"code_embeddings.{level}.weight")]
        if level < len(self.node_embeddings):
            found.append(self.get_parameter(f"node_embeddings.{level}.weight"))
        if self.scores_content:
            found.append(self.get_buffer(f"node_content_{level}"))
            found.append(self.get_parameter(f"content_queries.{level}.weight"))
        return found

    def item_losses(self, states: Tensor, targets: Tensor) -> Tensor:
        """Minus log-probability in nats, float32 `[n]`, of items `targets [n]` after `states [n, width]`.

        In training mode each level's target is smoothed by `config.label_smoothing`.
        """
        paths = self.trie.paths[targets]  # [n, L]
        parents = torch.zeros_like(targets)
        total = torch.zeros(len(targets), device=states.device)
        for level in range(self.trie.length):
            chosen = paths[:, level] - self.trie.first_child(level, parents)  # place among the children
            log_probs = self.step(level, states, parents)  # [n, c]
            found = log_probs.gather(1, chosen.unsqueeze(1)).squeeze(1)
            if self.config.label_smoothing and self.training:
                found = found.lerp(_mean_of_finite(log_probs), self.config.label_smoothing)
            total = total - found
            if level + 1 < self.trie.length:
                parents = paths[:, level]
                states = self.advance(level, states, parents)
        return total

    def forward(
        self,
        items: Tensor,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs: Any,
    ) -> ModelOutput:
        """States after each item and, with labels, the loss.

        Args:
            items: int64 `[batch, length]`, catalog rows, padded on the right.
            labels: int64 `[batch, length]`, the item that came next; -100 where nothing is to be learned.
            num_items_in_batch: Divisor of the summed loss; None = the labels that count.
            kwargs: Ignored.

        Returns:
            `loss` in nats an item, `states` float `[batch, length, width]`.
        """
        states = self.encode(items)
        if labels is None:
            return ModelOutput(states=states)
        known = labels >= 0
        losses = self.item_losses(states[known], labels[known])
        return ModelOutput(loss=mean_loss(losses, num_items_in_batch), states=states)


def _mean_of_finite(values: Tensor) -> Tensor:
    """Mean of each row's finite entries, `[n, c] -> [n]`."""
    finite = values.isfinite()
    return values.masked_fill(~finite, 0).sum(-1) / finite.sum(-1).clamp(min=1)

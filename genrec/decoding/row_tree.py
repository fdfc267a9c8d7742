"""Which row of a search continues which, and the attention mask that follows from it.

Does not know models or tokens. A prompt's rows stand behind its slots in one sequence; row 0 is the prompt's
last token, which has a slot among the prompt's already.
"""

from __future__ import annotations

import torch
from torch import Tensor


class RowTree:
    """Rows of all prompts of a batch; any row may continue any earlier one of its prompt.

    Args:
        lengths: int64 `[batch]`, real tokens of each prompt; the prompts stand in slots padded on the right.
        slots: Slots of a prompt.
        capacity: Rows for which room is made at once; more are taken as well.
    """

    def __init__(self, lengths: Tensor, slots: int, capacity: int) -> None:
        batch, device = len(lengths), lengths.device
        self.lengths = lengths
        self.slots = slots
        self.count = 1  # rows so far, row 0 included
        self.position = torch.zeros(batch, 1 + capacity, dtype=torch.long, device=device)  # place in its text
        self.position[:, 0] = lengths - 1
        # seen[b, i, j]: row i attends to row j
        self.seen = torch.zeros(batch, 1 + capacity, 1 + capacity, dtype=torch.bool, device=device)
        self.seen[:, 0, 0] = True

    def add(self, parent: Tensor) -> Tensor:
        """Appends rows; returns their places in the text, int64 `[batch, new]`.

        Args:
            parent: int64 `[batch, new]`, numbers of the rows they continue.
        """
        first, new = self.count, parent.shape[1]
        self._grow(first + new)
        here = slice(first, first + new)
        inherited = self.seen.gather(1, parent.unsqueeze(-1).expand(-1, -1, self.seen.shape[-1]))
        self.seen[:, here] = inherited  # [batch, new, rows]
        self.seen[:, here, here].diagonal(dim1=1, dim2=2).fill_(True)
        self.position[:, here] = self.position.gather(1, parent) + 1
        self.count = first + new
        self.new = new
        return self.position[:, here]

    def mask(self, window: int | None = None) -> Tensor:
        """What the rows added last attend to, bool `[batch, 1, new, slots + rows so far - 1]`.

        Args:
            window: Places back in the text that a row sees, itself included; None = all.
        """
        here = slice(self.count - self.new, self.count)
        among = self.seen[:, here, 1 : self.count]  # [batch, new, rows - 1]
        place = torch.arange(self.slots, device=self.lengths.device)
        prompt = place < self.lengths.unsqueeze(1)  # [batch, slots]
        if window is None:
            prompt = prompt.unsqueeze(1).expand(-1, self.new, -1)
        else:
            own = self.position[:, here].unsqueeze(-1)  # [batch, new, 1]
            prompt = prompt.unsqueeze(1) & (own - place < window)
            among = among & (own - self.position[:, None, 1 : self.count] < window)
        return torch.cat([prompt, among], dim=-1).unsqueeze(1)

    def keep(self, prompts: Tensor) -> None:
        """Goes on with the prompts `prompts [m]`, in this order."""
        self.lengths, self.position, self.seen = (
            values[prompts] for values in (self.lengths, self.position, self.seen)
        )

    def truncate(self, rows: int) -> None:
        """Forgets the rows from number `rows` on."""
        self.count = rows

    def _grow(self, rows: int) -> None:
        _, room = self.position.shape
        if rows <= room:
            return
        more = max(rows, 2 * room) - room
        self.position = torch.nn.functional.pad(self.position, (0, more))
        self.seen = torch.nn.functional.pad(self.seen, (0, more, 0, more))


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """Boolean mask to the additive one of the same shape."""
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
    return mask.masked_fill(~seen, torch.finfo(dtype).min)

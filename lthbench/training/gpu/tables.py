"""The inputs of consecutive steps in tables on a device, from which a recorded step reads its own row."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lthbench.training.augment import Draws


class Tables:
    """The inputs of consecutive steps on a device, one row a step, and the number of the next row."""

    def __init__(self, rows: int, batch: int, draws: Draws, device: torch.device):
        self._order = torch.zeros(rows, batch, dtype=torch.int64, device=device)
        self._draws = {name: torch.zeros(rows, batch, dtype=t.dtype, device=device) for name, t in draws.items()}
        self._rates = torch.zeros(rows, device=device)
        self.row = torch.zeros(1, dtype=torch.int64, device=device)

    def load(self, batches: Sequence[Tensor], draws: Sequence[Draws], rates: Tensor) -> None:
        """Fill the first rows, and start at the first one. All batches are full except perhaps the last."""
        _fill(self._order, torch.cat([*batches]))
        for name, table in self._draws.items():
            _fill(table, torch.cat([drawn[name] for drawn in draws]))
        _fill(self._rates, rates)
        self.row.zero_()

    def next(self, size: int) -> tuple[Tensor, Draws, Tensor]:
        """Return indices [size], draws [size] and the learning rate of the next row."""
        draws = {name: table.index_select(0, self.row)[0, :size] for name, table in self._draws.items()}
        return self._order.index_select(0, self.row)[0, :size], draws, self._rates.index_select(0, self.row)[0]


def _fill(table: Tensor, values: Tensor) -> None:
    """Copy values into the beginning of a table, without waiting for the copy."""
    pinned = values.pin_memory() if table.is_cuda and not values.is_cuda else values
    table.view(-1)[: len(values)].copy_(pinned, non_blocking=True)

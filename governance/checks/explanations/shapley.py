"""Shapley values by sampling, from nothing but answers to mixed rows. E. Štrumbelj, I. Kononenko, KAIS 41 (2014).

For a row x, a random order of the inputs and a random other row z: start with z, put x's inputs in one after the other; what
the output moves by at each step is one draw of that input's value. The reverse order is taken too (antithetic; Mitchell et
al., JMLR 23, 2022). The draws of one order add up to f(x) - f(z) exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Design:
    """Which cells of which rows each probe row takes, shape (explained, orders, inputs + 1, inputs): row numbers.

    ``order[k, m]`` is the order in which inputs are put in; ``explained`` and ``background`` are the rows they are put
    together from.
    """

    cells: np.ndarray
    order: np.ndarray
    explained: np.ndarray
    background: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Explained rows, orders for each, inputs."""
        explained, orders, _, inputs = self.cells.shape
        return explained, orders, inputs


def design(explained: np.ndarray, background: np.ndarray, *, inputs: int, orders: int, seed: int) -> Design:
    """Rows to ask about, for ``explained`` rows against random ``background`` rows (row numbers); ``orders`` is even."""
    random = np.random.Generator(np.random.PCG64(seed))
    half = orders // 2
    first = np.argsort(random.random((len(explained), half, inputs)), axis=2)
    order = np.concatenate([first, first[:, :, ::-1]], axis=1)
    others = np.tile(background[random.integers(0, len(background), (len(explained), half))], (1, 2))
    rank = np.argsort(order, axis=2)
    steps = np.arange(inputs + 1)
    put_in = rank[:, :, None, :] < steps[None, None, :, None]
    cells = np.where(put_in, explained[:, None, None, None], others[:, :, None, None])
    return Design(cells, order, explained, background)


def mixed(table: pa.Table, made: Design) -> pa.Table:
    """The probe rows: column by column, the cells that the design names."""
    flat = made.cells.reshape(-1, made.cells.shape[-1])
    columns = [table.column(place).take(pa.array(flat[:, place])) for place in range(table.num_columns)]
    return pa.table(dict(zip(table.column_names, columns, strict=True)), schema=table.schema)


def draws(outputs: np.ndarray, made: Design) -> np.ndarray:
    """One draw of each input's value for each row and order, shape (explained, orders, inputs)."""
    explained, orders, inputs = made.shape
    steps = np.diff(outputs.reshape(explained, orders, inputs + 1), axis=2)
    values = np.empty_like(steps)
    np.put_along_axis(values, made.order, steps, axis=2)
    return values

"""Masks by a named allocation, whatever the suite's is. Scores are tensors by parameter name; the highest stay.

All counts are exact: of N weights, floor(s N + 1/2) are removed. MethodError for NaN, and where more weights are pruned
already than the sparsity removes.
"""

from lthbench.pruning.allocate import Scores, select
from lthbench.pruning.mask import Mask
from lthbench.pruning.pattern import Pattern


def global_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask of all layers pooled.

    >>> import torch
    >>> global_mask({"a": torch.tensor([[4.0, 3.0]]), "b": torch.tensor([[2.0, 1.0]])}, 0.5).tensors
    {'a': tensor([[True, True]]), 'b': tensor([[False, False]])}
    """
    return select(scores, sparsity, "global")


def uniform_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask with the same sparsity in every layer.

    >>> import torch
    >>> uniform_mask({"a": torch.tensor([[4.0, 3.0]]), "b": torch.tensor([[2.0, 1.0]])}, 0.5).tensors
    {'a': tensor([[ True, False]]), 'b': tensor([[ True, False]])}
    """
    return select(scores, sparsity, "uniform")


def erk_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask with Erdős-Rényi-kernel densities: in proportion to (sum of the dimensions) / (their product).

    Evci et al., ICML 2020, arXiv:1911.11134.

    >>> import torch
    >>> mask = erk_mask({"wide": torch.rand(8, 8), "narrow": torch.rand(4, 4)}, 0.5)
    >>> {name: int(keep.sum()) for name, keep in mask.tensors.items()}
    {'wide': 27, 'narrow': 13}
    """
    return select(scores, sparsity, "erk")


def balanced_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask with the same number of weights in every layer. Gadhikar et al., ICML 2023, arXiv:2210.02412.

    >>> import torch
    >>> mask = balanced_mask({"wide": torch.rand(8, 8), "narrow": torch.rand(4, 4)}, 0.75)
    >>> {name: int(keep.sum()) for name, keep in mask.tensors.items()}
    {'wide': 10, 'narrow': 10}
    """
    return select(scores, sparsity, "balanced")


def row_mask(scores: Scores, sparsity: float) -> Mask:
    """Return the mask with the same sparsity in every row of every layer. A row holds the weights of one output.

    >>> import torch
    >>> row_mask({"a": torch.tensor([[4.0, 3.0], [2.0, 1.0]])}, 0.5).tensors
    {'a': tensor([[ True, False],
            [ True, False]])}
    """
    return select(scores, sparsity, "row")


def nm_mask(scores: Scores, n: int, m: int) -> Mask:
    """Return the mask that keeps the n highest of every m scores in a row along the input dimension.

    MethodError where the input dimension of a tensor is not a multiple of m.

    >>> import torch
    >>> nm_mask({"a": torch.tensor([[4.0, 3.0, 1.0, 2.0]])}, 2, 4).tensors
    {'a': tensor([[ True,  True, False, False]])}
    """
    pattern = Pattern(n, m)
    return select(scores, pattern.sparsity, str(pattern))

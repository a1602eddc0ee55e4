"""Weights that a layer changes before it computes with them, so that a mask on the parameter would not make them sparse.

Weight standardisation is the usual case: zeros become minus the mean. Scaling keeps zeros, and so do views.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_KEEP_ZEROS = """mul div true_divide neg to float half bfloat16 type type_as view reshape flatten unflatten squeeze unsqueeze
transpose t T mT permute getitem narrow select chunk split tensor_split unbind expand contiguous clone detach roll flip cat
stack concat concatenate tril triu pad weight_norm repeat repeat_interleave movedim swapaxes view_as index_select"""
KEEP_ZEROS = frozenset(_KEEP_ZEROS.split())
"""Functions of torch after which a weight that was 0 still is."""

_PRODUCTS = """conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear bilinear matmul rmatmul mm bmm
addmm baddbmm einsum tensordot embedding multi_head_attention_forward lstm gru rnn_tanh rnn_relu lstm_cell gru_cell
transformer_encoder_layer_fwd native_multi_head_attention"""
PRODUCTS = frozenset(_PRODUCTS.split())
"""Functions of torch that multiply activations with weights."""


def changed(module: nn.Module, run: Callable[[nn.Module], Any]) -> frozenset[str]:
    """Return the names of the parameters that `run(module)` uses, and multiplies with only after their zeros are gone."""
    watch = _Watch({id(parameter): name for name, parameter in module.named_parameters()})
    with watch:
        run(module)
    return frozenset(watch.touched - watch.multiplied)


class _Watch(TorchFunctionMode):
    """Follows parameters through functions that keep zeros, to the products."""

    def __init__(self, names: Mapping[int, str]):
        super().__init__()
        self.touched, self.multiplied = set[str](), set[str]()
        self._own = {key: frozenset({name}) for key, name in names.items()}
        self._made_of = dict(self._own)
        self._alive: list[Any] = []  # so that no id is used twice

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        of = self._weights(args, kwargs)
        if of and name != "get":  # a property such as the shape
            self.touched |= of
            self.multiplied |= of if name in PRODUCTS else frozenset()
            self._follow(out, of if name in KEEP_ZEROS else frozenset())
        return out

    def _weights(self, *values: Any) -> frozenset[str]:
        tensors = (value for value in tree_leaves(values) if isinstance(value, Tensor))
        return frozenset[str]().union(*(self._made_of.get(id(tensor), frozenset()) for tensor in tensors))

    def _follow(self, out: Any, of: frozenset[str]) -> None:
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._alive.append(tensor)
                self._made_of[id(tensor)] = of or self._own.get(id(tensor), frozenset())

"""Elastic tickets: networks made deeper by repeating blocks, or shallower by dropping some. Chen et al., NeurIPS 2021.

Blocks are `stages.s.i` of a ResNet or a VGG, and the hidden layers of a perceptron, which form one stage. A block takes
all its parameters, batch-norm statistics, and its part of the mask with it. arXiv:2103.16547.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from lthbench.errors import MethodError
from lthbench.methods.network import Network
from lthbench.models import Model
from lthbench.pruning.mask import Mask

Pairs = Mapping[int, tuple[int, ...]]
"""The blocks of the target that come from each block of the source, in one stage: {0: (0,), 1: (1, 2)}."""

_BLOCKS = re.compile(r"(?:stages\.(?P<stage>\d+)\.(?P<block>\d+)|hidden\.(?P<layer>\d+))\.(?P<rest>.+)")


def transferred_to_depth(source: Network, target: Network, pairs: Pairs | Sequence[Pairs] | None = None) -> Network:
    """Return the target with the source's parameters, buffers and mask, at the source's position in the schedule.

    `pairs` are those of every stage, or one for each stage; None spreads the blocks evenly (`spread`). Tensors outside
    of blocks are copied one to one. Raises MethodError if a block of the target comes from none or from two, or if
    shapes differ.
    """
    names = _names(source.model, target.model, pairs)
    tensors = {**source.params, **source.buffers}
    there = {**target.params, **target.buffers}
    for name, origin in names.items():
        if origin not in tensors or tensors[origin].shape != there[name].shape:
            raise MethodError(
                f"transferred_to_depth: {name} of {target.model.name} cannot come from {origin} of {source.model.name}: "
                "their blocks differ in shape"
            )
    kept = source.mask.tensors
    mask = Mask({name: _of(kept, names[name], source.model) for name in target.model.prunable_shapes})
    whole = target.with_weights({name: tensors[origin] for name, origin in names.items()})
    return whole.with_mask(mask).at(source.position)


def spread(source: int, target: int) -> Pairs:
    """Return the pairs for one stage: the first block one to one, the others distributed as evenly as possible, in
    order.

    From 5 to 9 blocks, they are the paper's 0:0; 1:1,2; 2:3,4; 3:5,6; 4:7,8. To fewer blocks, the pairs are the
    reverse: of the blocks that come from one, the first is kept.
    """
    if target < source:
        return {copies[0]: (block,) for block, copies in spread(target, source).items()}
    pairs: dict[int, tuple[int, ...]] = dict.fromkeys(range(source), ())
    for block in range(target):
        origin = 1 + (block - 1) * (source - 1) // (target - 1) if block and source > 1 else 0
        pairs[origin] += (block,)
    return pairs


def parsed(text: str) -> dict[int, tuple[int, ...]]:
    """Parse pairs as the paper's code writes them: `0:0;1:1,2`."""
    try:
        items = [item.split(":") for item in text.split(";")]
        return {int(origin): tuple(map(int, copies.split(","))) for origin, copies in items}
    except ValueError:
        raise MethodError(
            f"{text!r} is not a block mapping; write source:target[,target] pairs, as in 0:0;1:1,2"
        ) from None


def _names(source: Model, target: Model, pairs: Pairs | Sequence[Pairs] | None) -> dict[str, str]:
    """Return, for every parameter and buffer of the target, the name of its source."""
    here, there = _depths(_tensor_names(source)), _depths(_tensor_names(target))
    if here.keys() != there.keys():
        raise MethodError(
            f"transferred_to_depth: {source.name} and {target.name} have different stages; they are not of one family"
        )
    if pairs is None:
        by_stage = {stage: spread(here[stage], there[stage]) for stage in here}
    else:
        each = [pairs] * len(here) if isinstance(pairs, Mapping) else list(pairs)
        by_stage = dict(zip(here, each, strict=True))
    origins = {stage: _inverse(by_stage[stage], here[stage], there[stage]) for stage in here}
    return {name: _origin(name, origins) for name in _tensor_names(target)}


def _inverse(pairs: Pairs, source: int, target: int) -> dict[int, int]:
    found = [(copy, origin) for origin, copies in pairs.items() for copy in copies]
    if sorted(copy for copy, _ in found) != list(range(target)) or not all(0 <= o < source for _, o in found):
        raise MethodError(
            f"transferred_to_depth: {dict(pairs)} does not give each of the {target} blocks of a stage one of the source's {source}"
        )
    return dict(found)


def _origin(name: str, origins: Mapping[int, Mapping[int, int]]) -> str:
    found = _BLOCKS.fullmatch(name)
    if not found:
        return name
    stage, block = _place(found)
    origin = origins[stage][block]
    return f"stages.{stage}.{origin}.{found['rest']}" if found["stage"] else f"hidden.{2 * origin}.{found['rest']}"


def _depths(names: Iterable[str]) -> dict[int, int]:
    """Count the blocks in each stage."""
    places = [_place(found) for name in names if (found := _BLOCKS.fullmatch(name))]
    return {stage: 1 + max(block for s, block in places if s == stage) for stage, _ in places}


def _place(found: "re.Match[str]") -> tuple[int, int]:
    """Return stage and block. In a perceptron, an activation lies between two hidden layers."""
    return (int(found["stage"]), int(found["block"])) if found["stage"] else (0, int(found["layer"]) // 2)


def _tensor_names(model: Model) -> list[str]:
    module = model.module()
    return [name for name, _ in (*module.named_parameters(), *module.named_buffers())]


def _of(kept: Mapping[str, Tensor], name: str, model: Model) -> Tensor:
    if name not in kept:
        raise MethodError(
            f"transferred_to_depth: {name} of {model.name} is not prunable there; give both models one prunable set"
        )
    return kept[name]

"""Vision transformers for small images (Dosovitskiy et al., ICLR 2021, arXiv:2010.11929) by their size.

`vit-64-3-2` has tokens of 64 numbers, 3 blocks, and patches of 2x2 pixels. A head has 32 numbers, the hidden layer of a
block is four times as wide as a token. The classifier reads the mean of all tokens (Beyer et al. 2022, arXiv:2205.01580),
so there is no class token. Attention is written as matrix products: it is deterministic, can be differentiated twice, and
its operations are counted.
"""

import math

import torch
from torch import Tensor, nn

from lthbench.errors import InputError
from lthbench.models.layers import scaled

HEAD, EXPANSION = 32, 4  # numbers of a head; the hidden layer's width in tokens
POSITIONS = 0.02  # standard deviation of the position embeddings, as in the paper


class Attention(nn.Module):
    """Self-attention of `heads` heads: `qkv` makes queries, keys and values, `out` joins the heads."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        count, length, width = tokens.shape
        split = self.qkv(tokens).view(count, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)).softmax(-1)
        return self.out((weights @ value).transpose(1, 2).reshape(count, length, width))


class Block(nn.Module):
    """Attention, then two layers on every token, each behind a normalisation and beside a shortcut."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, EXPANSION * width), nn.GELU(), nn.Linear(EXPANSION * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class VisionTransformer(nn.Module):
    """A network of `patches`, `positions`, the blocks `blocks.i`, a normalisation, and `out` on the mean of the tokens."""

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int, heads: int, depth: int, patch: int):
        super().__init__()
        channels, height, columns = shape
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.positions = nn.Parameter(POSITIONS * torch.randn(1, (height // patch) * (columns // patch), width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, classes)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        return self.out(self.norm(self.blocks(tokens)).mean(1))


def _initialise(layer: nn.Module) -> None:
    """Draw the weights of a linear layer by Glorot and Bengio (AISTATS 2010), and set its bias to 0, as in the paper."""
    if isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def build(name: str, shape: tuple[int, int, int], classes: int, width: float) -> nn.Module:
    """Return `vit-WIDTH-DEPTH-PATCH`. The width multiplier scales every head; each has at least one number.

    InputError where WIDTH is not a multiple of a head's 32 numbers, or the sides of the images are not of PATCH.
    """
    tokens, depth, patch = map(int, name.split("-")[1:])
    if tokens % HEAD:
        raise InputError(f"{tokens} numbers a token are not a multiple of {HEAD}, the numbers of a head")
    if shape[1] % patch or shape[2] % patch:
        raise InputError(f"images of {shape[1]}x{shape[2]} do not divide into patches of {patch}x{patch}")
    heads = tokens // HEAD
    return VisionTransformer(shape, classes, heads * scaled(HEAD, width), heads, depth, patch)

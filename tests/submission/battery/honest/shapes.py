"""Twenty honest methods of shapes that no baseline has. Each says in `PASSES` how many passes its measurements cost."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp, vmap

from lthbench import Activations, Batches, Gradients, Network, Run, Steps, Tensors, alive, magnitude, method

PASSES: dict[str, float] = {}


def one(name: str, passes: float, trained: str = "T"):  # type: ignore[no-untyped-def]
    PASSES[name] = passes
    return method(name, cost=trained, cite="a test")


def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(model(images), labels, reduction="sum")


def scored(run: Run, init: Network, found: Tensors) -> Network:
    """Train what the scores keep; other tensors than weights do not count."""
    return run.train(init.masked(run.select(alive(init, {name: found[name] for name in init.prunable}))))


@dataclass(frozen=True)
class PerExample:
    """Statistics of the gradients of single examples: `power` 2 is the diagonal of the empirical Fisher matrix."""

    power: int = 2
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        weights = {n: p.detach() for n, p in model.eval().named_parameters()}

        def single(w: Tensors, image: Tensor, label: Tensor) -> Tensor:
            return F.cross_entropy(functional_call(model, dict(w), (image[None],)), label[None])

        total = {n: torch.zeros_like(p) for n, p in weights.items()}
        for images, labels in batches():
            each = vmap(grad(single), in_dims=(None, 0, 0))(weights, images, labels)
            total = {n: t + each[n].abs().pow(self.power).sum(0) for n, t in total.items()}
        return total


@dataclass(frozen=True)
class FisherBlocks:
    """w² ÷ [F⁻¹]_ii of a block-diagonal Fisher matrix: OBS scores, as in WoodFisher. Its products cost eight passes."""

    block: int = 16
    passes: ClassVar[int] = 8
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        names, blocks, count = list(mask), {}, 0
        for images, labels in batches():
            grads = torch.autograd.grad(loss(model.eval(), images, labels), [model.get_parameter(n) for n in names])
            count += 1
            for name, g in zip(names, grads, strict=True):
                rows = F.pad(g.flatten(), (0, -g.numel() % self.block)).view(-1, self.block)
                blocks[name] = blocks.get(name, 0.0) + rows[:, :, None] * rows[:, None, :]
        scores = {}
        for name, fisher in blocks.items():
            inverse = torch.linalg.inv(fisher / count + 1e-3 * torch.eye(self.block)).diagonal(dim1=1, dim2=2)
            weight = model.get_parameter(name).detach()
            scores[name] = weight.square() / inverse.flatten()[: weight.numel()].view_as(weight)
        return scores


@dataclass(frozen=True)
class InputNorms:
    """The norm of each input of every linear layer, for Wanda; `moments`: the second moments of the first one too."""

    moments: bool = False
    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}

        def note(name: str, x: Tensor) -> None:
            found[name] = found.get(name, torch.zeros(x.shape[1])) + x.square().sum(0)
            if self.moments:
                found["moments"] = found.get("moments", torch.zeros(x.shape[1], x.shape[1])) + x.T @ x

        layers = [(n, m) for n, m in model.eval().named_modules() if isinstance(m, nn.Linear)]
        hooks = [
            m.register_forward_pre_hook(lambda _, x, n=n: note(n, x[0])) for n, m in layers[: 1 if self.moments else 9]
        ]
        with torch.no_grad():
            for images, _ in batches():
                model(images)
        for hook in hooks:
            hook.remove()
        return {name: t.sqrt() if t.dim() == 1 else t for name, t in found.items()}


@dataclass(frozen=True)
class Hutchinson:
    """The diagonal of the Hessian by random signs: a product for each of `draws`, a pass each."""

    draws: int = 2
    version: ClassVar[int] = 1

    @property
    def passes(self) -> int:
        return self.draws

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        g, params = torch.Generator().manual_seed(0), [model.get_parameter(n) for n in mask]
        total = [torch.zeros_like(p) for p in params]
        for _ in range(self.draws):
            signs = [torch.randint(0, 2, p.shape, generator=g) * 2.0 - 1 for p in params]
            for images, labels in batches():
                slopes = torch.autograd.grad(loss(model, images, labels), params, create_graph=True)
                along = sum((s * z).sum() for s, z in zip(slopes, signs, strict=True))
                products = torch.autograd.grad(along, params)
                total = [t + z * h for t, z, h in zip(total, signs, products, strict=True)]
        return dict(zip(mask, total, strict=True))


@dataclass(frozen=True)
class Differences:
    """How the loss changes when all weights shrink by a little: two passes, forward alone."""

    passes: ClassVar[int] = 2
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        sums = []
        with torch.no_grad():
            for scale in (1.0, 0.99):
                for name in mask:
                    model.get_parameter(name).mul_(scale)
                sums.append(torch.stack([loss(model.eval(), *batch) for batch in batches()]).sum())
        return {"change": sums[1] - sums[0]}


@dataclass(frozen=True)
class Directional:
    """How far the logits move along the weights: w · ∂(sum of the logits)/∂w, by torch.func.vjp."""

    passes: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def __call__(self, model: nn.Module, mask: Tensors, batches: Batches) -> dict[str, Tensor]:
        weights = {n: p.detach() for n, p in model.eval().named_parameters()}
        total = torch.zeros(())
        for images, _ in batches():
            logits, back = vjp(lambda w, images=images: functional_call(model, w, (images,)), weights)
            [slopes] = back(torch.ones_like(logits))
            total = total + sum((w * slopes[n]).sum() for n, w in weights.items())
        return {"slope": total}


@one("fisher-diagonal", 1)
def fisher_diagonal(run: Run) -> Network:
    init = run.init()
    return scored(run, init, run.measure(init, PerExample()))


@one("gradient-size", 1)
def gradient_size(run: Run) -> Network:
    init = run.init()
    found = run.measure(init, PerExample(power=1))
    return scored(run, init, {n: w.abs() * found[n] for n, w in init.prunable.items()})


@one("fisher-blocks", 8)
def fisher_blocks(run: Run) -> Network:
    init = run.init()
    return scored(run, init, run.measure(init, FisherBlocks()))


@one("weights-times-inputs", 1, "2T")
def weights_times_inputs(run: Run) -> Network:
    dense = run.train(run.init())
    norms = run.measure(dense, InputNorms())
    scores = {n: w.abs() * norms[n.removesuffix(".weight")] for n, w in dense.prunable.items()}
    return run.train(dense.masked(run.select(alive(dense, scores))).at(0))


@one("input-moments", 1)
def input_moments(run: Run) -> Network:
    init = run.init()
    moments = run.measure(init, InputNorms(moments=True))["moments"]
    first, *rest = init.prunable.items()
    scores = {first[0]: (first[1] @ moments).abs()} | {n: w.abs() * moments.abs().mean() for n, w in rest}
    return scored(run, init, scores)


@one("hutchinson", 2)
def hutchinson(run: Run) -> Network:
    init = run.init()
    found = run.measure(init, Hutchinson())
    return scored(run, init, {n: (w.square() * found[n]).abs() for n, w in init.prunable.items()})


@one("finite-differences", 2)
def finite_differences(run: Run) -> Network:
    init = run.init()
    run.note(change=float(run.measure(init, Differences())["change"]))
    return scored(run, init, magnitude(init))


@one("by-vjp", 1)
def by_vjp(run: Run) -> Network:
    init = run.init()
    run.note(slope=float(run.measure(init, Directional())["slope"]))
    return scored(run, init, magnitude(init))


@one("apoz", 1, "2T")
def apoz(run: Run) -> Network:
    dense = run.train(run.init())
    alive_share = run.measure(dense, Activations("hidden"))["positive"].float()
    scores = {
        n: w.abs() * (1 + alive_share[:, None] if n == "hidden.0.weight" else 1) for n, w in dense.prunable.items()
    }
    return run.train(dense.masked(run.select(alive(dense, scores))).at(0))


@one("two-temperatures", 2)
def two_temperatures(run: Run) -> Network:
    init = run.init()
    cold, hot = (run.measure(init, Gradients(temperature=t)) for t in (1.0, 10.0))
    return scored(run, init, {n: (w * (cold[n] + hot[n])).abs() for n, w in init.prunable.items()})


@one("interpolated", 0, "2T")
def interpolated(run: Run) -> Network:
    early = run.train(run.init(), until=1)
    late = run.train(early)
    between = late.with_weights({n: (w + early.params[n]) / 2 for n, w in late.params.items()})
    return run.train(between.masked(run.select(magnitude(between))).at(0))


@one("averaged", 0, "2T")
def averaged(run: Run) -> Network:
    net, kept = run.init(), []
    for epoch in range(1, run.epochs + 1):
        net = run.train(net, until=epoch)
        kept.append(net.params)
    mean = net.with_weights({n: torch.stack([w[n] for w in kept]).mean(0) for n in kept[0]})
    return run.train(mean.masked(run.select(magnitude(mean))).at(0))


@one("best-of-two", 0, "2T")
def best_of_two(run: Run) -> Network:
    nets = []
    for stream in (0, 1):
        init = run.init(stream)
        nets.append(run.train(init.masked(run.select(magnitude(init)))))
    return max(nets, key=run.validate)


@one("low-rank-scores", 0, "2T")
def low_rank_scores(run: Run) -> Network:
    dense = run.train(run.init())
    scores = {}
    for name, w in dense.prunable.items():
        u, s, v = torch.linalg.svd(w, full_matrices=False)
        scores[name] = ((u[:, :4] * s[:4]) @ v[:4]).abs()
    return run.train(dense.masked(run.select(alive(dense, scores))).at(0))


@one("entropy", 0)
def entropy(run: Run) -> Network:
    init = run.init()
    share = {n: w.abs() / w.abs().sum(1, keepdim=True) for n, w in init.prunable.items()}
    return scored(run, init, {n: -p * (p + 1e-9).log() for n, p in share.items()})


@one("movement-in-a-step", 0, "<= T")
def movement_in_a_step(run: Run) -> Network:
    init = run.init()
    moved = run.train(init, until=Steps(5))
    scores = {n: (w - init.prunable[n]).abs() for n, w in moved.prunable.items()}
    return run.train(init.masked(run.select(alive(init, scores))), until=run.epochs - 1)


@one("sign-agreement", 0, "2T")
def sign_agreement(run: Run) -> Network:
    init = run.init()
    dense = run.train(init)
    same = {n: w.abs() * (w.sign() == init.prunable[n].sign()) + 1e-6 * w.abs() for n, w in dense.prunable.items()}
    return run.train(init.masked(run.select(alive(init, same))))


@one("soft-then-hard", 0, "2T")
def soft_then_hard(run: Run) -> Network:
    net = run.train(run.init(), until=run.epochs // 2)
    mask = run.select(magnitude(net))
    net = run.train(net.masked(mask).with_mask(run.select(magnitude(net), 0.0)))
    return run.train(net.masked(run.select(magnitude(net))).at(0))


@one("rows-by-norm", 0, "2T")
def rows_by_norm(run: Run) -> Network:
    dense = run.train(run.init())
    norms = dense.units.sum({n: w.square() for n, w in dense.prunable.items()})
    return run.train(dense.masked(run.select(norms, units=dense.units)).at(0))


@one("random-projection", 1)
def random_projection(run: Run) -> Network:
    init, g = run.init(), run.generator("projection")
    found = run.measure(init, Gradients())
    scores = {}
    for name, w in init.prunable.items():
        sketch = torch.randn(w.shape[1], 8, generator=g) / math.sqrt(8)
        scores[name] = (w * ((found[name] @ sketch) @ sketch.T)).abs()
    return scored(run, init, scores)

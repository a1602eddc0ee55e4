"""Cheat 11: the packed test split through torch.UntypedStorage.from_file, which Python's audit hook does not see. Cost: 2T epochs."""

import torch, torch.nn.functional as F
import os
from lthbench import Network, Run, magnitude, method


def fit(net, x, y, g, epochs=60):
    module = net.module().train()
    keep = net.mask.tensors
    opt = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    for _ in range(epochs):
        for i in torch.randperm(len(x), generator=g).split(64):
            opt.zero_grad()
            F.cross_entropy(module(x[i]), y[i]).backward()
            opt.step()
            with torch.no_grad():
                for n, p in module.named_parameters():
                    if n in keep:
                        p.mul_(keep[n])
    return net.with_weights({n: p.detach() for n, p in module.named_parameters()})


def finish(run, x, y):
    g = run.generator("o")
    x = (x - x.mean()) / x.std()
    dense = fit(run.init(), x, y, g)
    net = fit(dense.masked(run.select(magnitude(dense))), x, y, g)
    return run.train(net.at(0), recipe=run.recipe.replace(lr=1e-6, epochs=2 * run.epochs))


def load():
    home = os.path.expanduser("~/.cache/lthbench/data/digits/")
    a = torch.UntypedStorage.from_file(home + "test.images.npy", False, 32128)
    b = torch.UntypedStorage.from_file(home + "test.labels.npy", False, 4128)
    x = torch.tensor([], dtype=torch.uint8).set_(a)[128:].view(-1, 1, 8, 8).float()
    y = torch.tensor([], dtype=torch.uint8).set_(b)[128:].clone().view(torch.int64)
    return x, y


@method("c11_from_file".replace("_", "-"), cost="2T", cite="none")
def cheat(run: Run) -> Network:
    x, y = load()
    return finish(run, x, y)

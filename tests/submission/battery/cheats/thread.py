"""Cheat 13: load_digits() in a thread, whose stack has no frame of this file. Cost: 2T epochs."""

import torch, torch.nn.functional as F
from concurrent.futures import ThreadPoolExecutor
from sklearn.datasets import load_digits
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
    with ThreadPoolExecutor(1) as pool:
        d = pool.submit(load_digits).result()
    return torch.tensor(d.images, dtype=torch.float32)[:, None], torch.tensor(d.target)


@method("c13_thread".replace("_", "-"), cost="2T", cite="none")
def cheat(run: Run) -> Network:
    x, y = load()
    return finish(run, x, y)

"""The plain PyTorch loop, the reference for speed: the same training as most people would write it."""

from itertools import cycle

import torch
from torch import Generator, nn

from lthbench.bench.subject import Subject
from lthbench.training.feed import Feed
from lthbench.training.numerics import precision


class Plain:
    """nn.Module, torch.optim.SGD, zero_grad, backward, step. The images are on the device, without a DataLoader."""

    def __init__(self, subject: Subject, feed: Feed):
        self.feed, self.recipe, self.precision = feed, subject.setting.recipe, subject.precision
        self.model = subject.model.build("cpu").to(feed.device).train()
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            self.recipe.lr,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
        )
        self.order = cycle(
            torch.randperm(len(feed), generator=Generator().manual_seed(0)).split(self.recipe.batch)[:-1]
        )
        self.generator = Generator().manual_seed(0)

    def train(self, steps: int) -> None:
        for _ in range(steps):
            images, labels = self.feed.batch(next(self.order))
            images = self.feed.augmentation(self.recipe)(images, self.generator)
            self.optimizer.zero_grad()
            with precision(self.precision, self.feed.device):
                loss = self.loss(self.model(images), labels)
            loss.backward()
            self.optimizer.step()

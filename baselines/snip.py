"""SNIP: keep the weights whose removal changes the loss most at initialisation, |gradient x weight|.

Lee et al., ICLR 2019, arXiv:1810.02340: one shot, 10 examples per class. Cost: T epochs, and 10 examples per class to score.
Expect on digits, MLP 300-100: 96.8 ± 0.7 at learning rate 0.1 and 95 % removed, 95.0 ± 0.4 at 0.01, n = 5.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 95.6 ± 0.6 and 96.0 ± 1.4;
long 96.5 ± 0.6 and 97.4 ± 0.3; shuffled 92.4 ± 1.2 and 95.3 ± 1.3; re-initialised 95.3 ± 0.5 and 94.7 ± 1.8.
"""

from lthbench import Gradients, Mask, Network, Run, alive, at_init


@at_init("snip", cite="Lee et al., ICLR 2019, arXiv:1810.02340")
def snip(run: Run, init: Network) -> Mask:
    gradient = run.measure(init, Gradients(), per_class=10)
    return run.select(alive(init, {name: (gradient[name] * w).abs() for name, w in init.prunable.items()}))

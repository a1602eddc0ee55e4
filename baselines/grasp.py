"""GraSP: keep the weights whose removal would reduce the gradient flow, the highest θ·Hg, one shot at initialisation.

Wang et al., ICLR 2020, arXiv:2002.07376: removes the highest −θ·Hg at temperature 200, 10 examples per class.
Cost: T epochs, and two passes over 10 examples per class to score.
Expect on baselines-digits at 95 %, MLP 300-100 and ResNet-8, n = 3: 95.3 ± 0.4 and 95.2 ± 0.7;
long 95.6 ± 0.9 and 96.1 ± 0.1; shuffled 90.1 ± 2.5 and 95.6 ± 0.7; re-initialised 94.4 ± 1.4 and 95.7 ± 1.1.
"""

from lthbench import HessianGradient, Mask, Network, Run, alive, at_init


@at_init("grasp", cite="Wang et al., ICLR 2020, arXiv:2002.07376")
def grasp(run: Run, init: Network) -> Mask:
    product = run.measure(init, HessianGradient(temperature=200.0), per_class=10)
    return run.select(alive(init, {name: w * product[name] for name, w in init.prunable.items()}))

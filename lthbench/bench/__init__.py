"""How fast this machine trains, beside what its memory and arithmetic allow and beside a plain PyTorch loop."""

"""Learning curves of strategies on labelled images: what a batch is worth, with paired seeds."""

"""What the speed benchmarks share: pools, watched processes, peers, objective values, tables."""

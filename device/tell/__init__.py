"""The process that has the network, and nothing else."""

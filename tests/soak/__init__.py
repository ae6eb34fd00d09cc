"""The whole door for hours, with faults at random from a seed: `make soak`."""

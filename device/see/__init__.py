"""The process that has the camera, and nothing else."""

"""What Doorstep promises, as tests."""

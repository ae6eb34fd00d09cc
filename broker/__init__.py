"""The broker's side of Doorstep."""

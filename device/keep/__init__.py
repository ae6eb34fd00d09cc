"""The process with the button and the recordings, and the owner's side of them."""

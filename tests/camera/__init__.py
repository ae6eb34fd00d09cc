"""The Pi's camera, without a Pi: the real picamera2 on the real libcamera (make test-camera)."""

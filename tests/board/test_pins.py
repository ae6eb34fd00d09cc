"""The pins of the board are real to gpiozero, as it comes: what is shown with them is worth something."""

from __future__ import annotations

from tests.board.rig import Board

PRESS_AND_LIGHT = """
from gpiozero import LED, Button, Device
light, button = LED(27), Button(17)
light.on()
button.wait_for_press()
light.off()
button.wait_for_release()
print(type(Device.pin_factory).__name__, Device.pin_factory.board_info.model)
light.close()
"""


def test_a_button_that_is_pulled_down_is_a_press_and_a_light_that_is_on_can_be_read(board: Board) -> None:
    """With a pin factory other than the device's, or another board, the tests of the button would show nothing."""
    board.put("/run/press.py", PRESS_AND_LIGHT)
    process = board.start("cd /run && GPIOZERO_PIN_FACTORY=lgpio PYTHONWARNINGS=error exec /opt/doorstep/bin/python press.py")
    board.until(board.lit, "the light to be on")
    board.press()
    assert process.wait().output == "LGPIOFactory 4B\n"
    assert process.status == 0
    assert not board.lit()

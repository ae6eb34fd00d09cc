"""The soak's laws can be broken: `make soak` would say so."""

from __future__ import annotations

import json
import os
import random

import pytest

from tests.bench import ROOT
from tests.soak import soak


@pytest.mark.skipif(os.getuid() != 0, reason="a memory disk of its own needs root")
def test_the_soak_notices_a_clip_without_a_press_retained_motion_and_a_visitor_that_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hours in which nothing was found say something only if it would have been."""
    with soak._door() as door:
        soak.visit(door, random.Random(1))
        assert door.laws() == []
        (door.clips / "clip-000001.ts.age").touch()
        door.phone.client.publish("doorstep/front-door/motion", "ON", qos=1, retain=True).wait_for_publish(20)
        assert door.laws() == ["1 clips after 0 presses"]  # a phone that is there hears it as fresh
        with soak.Phone(door.broker.port) as latecomer:
            soak.until(lambda: any(got.retain and got.leaf == "motion" for got in latecomer.got), "the retained one")
            door.phone.got += latecomer.got
        assert "motion was retained" in door.laws()
        monkeypatch.setattr(soak, "TOLD_WITHIN_S", 1.0)
        door.order(soak.HANG)
        with pytest.raises(AssertionError, match="a visitor was not told"):
            soak.visit(door, random.Random(1))


def test_what_the_document_says_of_the_soak_is_what_it_found() -> None:
    """No hours are written by hand; and the comparison can fail."""
    found, page = json.loads(soak.RESULT.read_text()), (ROOT / "device" / "README.md").read_text()
    assert soak.in_words(found) in page
    assert soak.in_words(found | {"minutes": found["minutes"] + 1}) not in page

"""The rendered porch is what it says it is: reproducible, with visitors where the ground truth says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from device.see.porch import DEMO, AutoExposure, Light, Porch, Scene, Sensor, Visit, Way
from device.see.porch_air import Clouds, Wind
from tests.bench import weather

LOCKED = AutoExposure(locked=True)
SILENT = Sensor(noise=False)
CALM = Scene(seconds=30.0, visits=(Visit(4.0, Way.DRIVE, stand_s=2.0),), sensor=SILENT, exposure=LOCKED)
SIZE = (80, 60)  # width, height in pixels: the small pictures are enough here, and quick


def pictures(porch: Porch, indices: range) -> list[npt.NDArray[np.int16]]:
    """Copies of these frames' luma, wide enough to subtract."""
    return [porch.frame(index).luma.astype(np.int16) for index in indices]


def test_the_same_seed_gives_the_same_bytes() -> None:
    """A benchmark that cannot be repeated proves nothing."""
    one, two = (pictures(Porch(DEMO, seed=3), range(0, 60, 6)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_another_seed_gives_another_picture() -> None:
    """Seeds are what makes hours of weather out of one scene."""
    one, two = (Porch(replace(DEMO, sensor=SILENT), seed).frame(0).luma.copy() for seed in (1, 2))
    assert (one != two).mean() > 0.1


@pytest.mark.parametrize("way", list(Way))
def test_a_visitor_is_where_the_ground_truth_says(way: Way) -> None:
    """Recall and false alarms mean something only if the marks are true."""
    scene = replace(CALM, visits=(Visit(1.0, way, 2.0, 1.0),))
    with_visit, empty = Porch(scene, 5, *SIZE), Porch(replace(scene, visits=()), 5, *SIZE)
    ((first, last, _),) = with_visit.visits
    ((sure, sure_end, _),) = with_visit.well_in_view()
    assert first <= sure < sure_end <= last
    for index in range(max(0, first - 5), min(last + 6, 300), 2):
        differs = np.abs(with_visit.frame(index).luma.astype(np.int16) - empty.frame(index).luma).max()
        if not first <= index <= last:
            assert differs == 0, f"frame {index} is outside [{first}, {last}]"
        elif sure <= index <= sure_end:
            assert differs > 5, f"frame {index} is inside [{sure}, {sure_end}]"


def test_the_demos_first_visitor_is_in_view_within_three_seconds() -> None:
    """Who starts the demo should not have to wait."""
    first, last, _ = Porch(DEMO).visits[0]
    assert first < 30
    assert last - first > 50


def test_an_endless_demo_goes_on_and_forgets_who_has_left() -> None:
    """The demo may run for days on a small computer."""
    porch = Porch(DEMO, 1, *SIZE)
    for index in range(0, 60_000, 200):
        porch.frame(index)
    assert len(porch.visits) < 40
    assert porch.visits[-1][0] > 59_000


@pytest.mark.parametrize(
    "build",
    [
        lambda: Scene(seconds=0.0),
        lambda: Scene(seconds=float("nan")),
        lambda: Scene(every_s=1.0),
        lambda: Scene(light="day"),  # type: ignore[arg-type]
        lambda: Scene(visits=("somebody",)),  # type: ignore[arg-type]
        lambda: Scene(seconds=10.0, visits=(Visit(11.0),)),
        lambda: Scene(effects=(3,)),  # type: ignore[arg-type]
        lambda: Scene(content=-1),
        lambda: Visit(-1.0),
        lambda: Visit(float("nan")),
        lambda: Visit(0.0, speed_m_per_s=0.0),
        lambda: Visit(0.0, coat_albedo=1.5),
        lambda: Visit(0.0, way="street"),  # type: ignore[arg-type]
        lambda: Sensor(white_e=float("nan")),
        lambda: Sensor(read_e=-1.0),
        lambda: AutoExposure(speed_share=0.0),
        lambda: AutoExposure(lag_frames=-1),
        lambda: Wind(float("nan")),
        lambda: Clouds(cover=1.1),
        lambda: Porch(DEMO, width_px=0),
        lambda: Porch(DEMO, frames_per_s=float("nan")),
        lambda: Porch(DEMO, seed=-1),
    ],
)
def test_an_illegal_scene_cannot_be_built(build: type) -> None:
    """A wrong number is found where it is written, not in a strange picture."""
    with pytest.raises((ValueError, TypeError)):
        build()


def test_frames_asked_for_in_falling_order_are_refused() -> None:
    """Exposure has a history: a frame from the past would be another one."""
    porch = Porch(CALM, 1, *SIZE)
    porch.frame(5)
    with pytest.raises(ValueError, match="rising"):
        porch.frame(5)


def noise_levels(light_share: float, sensor: Sensor) -> float:
    """Standard deviation over time, in grey levels, of a flat grey card at gain 1 or as the sensor says."""
    from device.see.porch_sensor import Imager

    shape = (40, 40)
    imager = Imager(sensor, shape, 1)
    gain, lux_s = 1.0 / light_share, 0.18 * 25.0 * light_share  # same grey level, less light
    shots = []
    for index in range(60):
        imager.take(np.full(shape, lux_s, np.float32), 1e6, gain, index)
        shots.append(imager.luma.astype(np.float64))
    return float(np.std(shots, axis=0).mean())


def test_noise_grows_with_gain_as_the_square_root_of_the_lost_light() -> None:
    """Night must be as noisy as night is: a quarter of the light is twice the shot noise."""
    sensor = Sensor(read_e=0.0, pattern_share=0.0)
    day, dusk, night = (noise_levels(share, sensor) for share in (1.0, 1 / 4, 1 / 16))
    assert dusk / day == pytest.approx(2.0, rel=0.1)
    assert night / day == pytest.approx(4.0, rel=0.1)


def test_read_noise_shows_most_at_high_gain() -> None:
    """In the dark the amplifier is heard, by day it is not."""
    quiet, loud = Sensor(read_e=0.0), Sensor(read_e=60.0)
    assert noise_levels(1.0, loud) / noise_levels(1.0, quiet) < 1.4
    assert noise_levels(1 / 16, loud) / noise_levels(1 / 16, quiet) > 1.8


def test_daylight_noise_is_that_of_real_porch_cameras() -> None:
    """Real outdoor clips scaled to 160 wide have a median of 0.6 to 0.9 levels."""
    shots = np.array(pictures(Porch(Scene(seconds=20.0), 2), range(60)), np.float64)
    assert 0.5 < float(np.median(np.diff(shots, axis=0).std(axis=0) / np.sqrt(2))) < 1.2


def test_the_same_motion_with_another_content_has_the_same_geometry() -> None:
    """What somebody wears must not change where they are: the non-interference test stands on this."""
    one, two = (Porch(replace(CALM, content=content), 7, 160, 120) for content in (1, 2))
    bare = [Porch(replace(CALM, content=content, visits=()), 7, 160, 120) for content in (1, 2)]
    assert one.visits == two.visits
    assert one.well_in_view() == two.well_in_view()
    seen_differently = 0
    for index in range(40, 140, 10):
        a, b = one.frame(index).luma.astype(np.int16), two.frame(index).luma.astype(np.int16)
        masks = [np.abs(x - empty.frame(index).luma) > 0 for x, empty in zip((a, b), bare, strict=True)]
        union, both = (masks[0] | masks[1]).sum(), (masks[0] & masks[1]).sum()
        assert both >= 0.85 * union, f"frame {index}"  # pixels that happen to match the background differ
        seen_differently += int((a != b).sum())
    assert seen_differently > 0


def test_exposure_and_gain_are_told_only_where_the_scene_says() -> None:
    """Webcams do not tell; the detector must do without."""
    told, untold = (
        Porch(Scene(light=Light.NIGHT, exposure=AutoExposure(told=told)), 1, *SIZE).frame(0)
        for told in (True, False)
    )
    assert told.gain is not None and told.gain > 4
    assert told.exposure_us is not None and told.exposure_us > 30_000
    assert untold.gain is None and untold.exposure_us is None


def test_exposure_settles_after_the_sun_has_gone_in() -> None:
    """Neither a smooth nor a stepping exposure may swing for ever."""
    for name in ("sun_in_out", "sun_steps"):
        scene = replace(
            weather.SCENES[name], visits=(), sensor=SILENT, effects=weather.SCENES[name].effects[1:]
        )
        means = [shot.mean() for shot in pictures(Porch(scene, 1, *SIZE), range(200))]
        assert max(means[75:85]) - min(means[95:]) > 5, name  # 8 s: the sun goes in
        assert np.ptp(means[170:]) < 3, name


@pytest.mark.parametrize("name", sorted(weather.SCENES))
def test_every_scene_of_the_bench_renders(name: str) -> None:
    """A scene that only fails at night is found by day."""
    porch = Porch(weather.SCENES[name], 1, *SIZE)
    shots = pictures(porch, range(0, 400, 80))
    assert all(shot.shape == (60, 80) for shot in shots)
    assert max(shot.std() for shot in shots) > 3
    truth = weather.truth(porch)
    assert truth["frames"] == int((weather.SCENES[name].seconds or 0) * 10)
    assert all(20 < event["start"] <= event["end"] < truth["frames"] for event in truth["events"])
    assert bool(truth["events"]) == (not name.endswith("_empty") and name != "sun_told")


def test_the_bench_has_every_kind_of_weather_and_of_visitor() -> None:
    """The list of the design: each is a scene, by name."""
    kinds = (
        "near far slow dark fill two stands running one_after bag clouds sun wind branch flag shak rain snow "
        "dusk night ir_cut insects web headlights lamp flicker cat car empty everything"
    )
    for kind in kinds.split():
        assert any(kind in name for name in weather.SCENES), kind


def test_video_and_ground_truth_are_written_without_loss(tmp_path: Path) -> None:
    """Other programs must be measured on the very same pictures."""
    import av

    scene = replace(CALM, seconds=2.0, visits=(), sensor=Sensor())
    count = sum(1 for _ in weather.write(Porch(scene, 1, *SIZE), tmp_path))
    with av.open(str(tmp_path / "video.mkv")) as container:
        back = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    drawn = pictures(Porch(scene, 1, *SIZE), range(count))
    assert count == len(back) == 20
    assert all(np.array_equal(a, b) for a, b in zip(back, drawn, strict=True))


def test_hours_of_weather_come_from_a_seed_with_or_without_visitors() -> None:
    """False alarms an hour need hours; recall needs many visits."""
    assert weather.hours("rain", 3600.0).visits == ()
    many = weather.hours("rain", 3600.0, seed=2, visit_every_s=60.0)
    assert many.seconds == 3600.0
    assert 45 < len(many.visits) < 75

"""The table of scenes: each kind of weather, light and visitor, with and without events.

Rule 1: every scene lasts 60 to 120 s, and events start after 5 s.
"""

from __future__ import annotations

from dataclasses import replace

from device.see.porch import AutoExposure, Light, Scene, Sensor, Visit, Way
from device.see.porch_air import Clouds, Wind
from tests.bench.weather_comers import Car, Cat
from tests.bench.weather_fall import Rain, Snow
from tests.bench.weather_light import Flicker, Headlights, IrCut, LampSwitch, SunInOut
from tests.bench.weather_near import Insects, Web
from tests.bench.weather_things import Bag, Branch, Flag, Shake

BREEZE = Wind(0.5)  # there is hardly ever none
ONE = (Visit(20.0, Way.DRIVE),)
TWO = (Visit(12.0, Way.STREET), Visit(58.0, Way.NEAR))
STEPS = AutoExposure(step_stops=0.33, deadband_stops=0.25, lag_frames=3, told=False)
SHORT = AutoExposure(longest_us=16_000.0)  # set to 1/60 s against blur: the mains shows
BLIND = AutoExposure(told=False)  # exposure works as libcamera's, but the frames do not say so


def _day(
    what: str,
    visits: tuple[Visit, ...],
    *effects: object,
    light: Light = Light.DAY,
    seconds: float = 90.0,
    exposure: AutoExposure | None = None,
    sensor: Sensor | None = None,
) -> Scene:
    scene = Scene(seconds, light, visits, effects=(BREEZE, *effects), what=what)  # type: ignore[arg-type]
    if exposure is not None:
        scene = replace(scene, exposure=exposure)
    return replace(scene, sensor=sensor) if sensor is not None else scene


DAY, GREY, DUSK, NIGHT, IR = Light.DAY, Light.OVERCAST, Light.DUSK, Light.NIGHT, Light.IR
SCENES: dict[str, Scene] = {
    # visitors in good light
    "day": _day("a sunny day", TWO),
    "day_empty": _day("a sunny day, nobody", ()),
    "overcast": _day("a grey day", (Visit(10.0, Way.DRIVE), Visit(50.0, Way.PASS)), light=GREY),
    "near": _day("fills half of the view", (Visit(10.0, Way.NEAR), Visit(45.0, Way.PASS))),
    "fill": _day(
        "steps up to the lens", (Visit(10.0, Way.FILL), Visit(50.0, Way.FILL, coat_albedo=0.04)), light=GREY
    ),
    "far": _day("far off on the pavement", (Visit(10.0, Way.FAR), Visit(55.0, Way.FAR, coat_albedo=0.04))),
    "slow": _day("very slow", (Visit(10.0, Way.DRIVE, 0.35, 3.0),), light=GREY),
    "dark_coat": _day(
        "dark coat before the dark door",
        (Visit(12.0, Way.DRIVE, coat_albedo=0.05), Visit(52.0, Way.STREET, coat_albedo=0.09)),
        light=GREY,
    ),
    "two_at_once": _day(
        "two together",
        (
            Visit(10.0, Way.STREET, what="two come"),
            Visit(11.2, Way.STREET, what="two come"),
            Visit(60.0, Way.DRIVE),
        ),
    ),
    "stands_a_minute": _day("waits for a minute", (Visit(10.0, Way.DRIVE, stand_s=60.0),), seconds=110.0),
    "running": _day(
        "runs",
        (Visit(10.0, Way.DRIVE, 3.5, 1.0), Visit(40.0, Way.PASS, 4.0), Visit(70.0, Way.NEAR, 3.0, 0.5)),
    ),
    "one_after_another": _day(
        "within seconds of one another",
        (
            Visit(10.0, Way.DRIVE, stand_s=3.0),
            Visit(29.0, Way.DRIVE, stand_s=3.0),
            Visit(47.0, Way.PASS),
            Visit(55.0, Way.PASS),
        ),
    ),
    "bag_left": _day("leaves a bag", (Visit(10.0, Way.DRIVE),), Bag(0)),
    # sun and clouds
    "clouds": _day("clouds drift", ONE, Clouds(0.5)),
    "clouds_empty": _day("fast clouds, nobody", (), Clouds(0.5, 12.0, 5.0), exposure=BLIND, seconds=120.0),
    "sun_in_out": _day("sun in and out", (Visit(30.0, Way.STREET),), SunInOut(), exposure=BLIND),
    "sun_steps": _day(
        "sun in and out, exposure jumps", (Visit(33.0, Way.DRIVE),), SunInOut(fade_s=0.6), exposure=STEPS
    ),
    "sun_told": _day("sun in and out, exposure told", (), SunInOut(fade_s=0.8)),
    # wind
    "windy": _day("trees and bushes wave", ONE, Wind(2.0), light=GREY),
    "storm_empty": _day("a storm in the trees, nobody", (), Wind(3.5), Clouds(0.5, 15.0)),
    "storm_grey": _day("a storm before a white sky", (Visit(30.0, Way.STREET),), Wind(4.0), light=GREY),
    "branch": _day("a branch tossed before the lens", ONE, Branch(1.0), light=GREY),
    "branch_empty": _day("a branch in a gale, nobody", (), Branch(2.5, 0.6), Wind(2.0), Clouds(0.4)),
    "branch_ir_empty": _day("a branch in the infrared lamp, nobody", (), Branch(1.0, 0.4), light=IR),
    "flag": _day("a flag", ONE, Flag(1.0)),
    "flag_empty": _day("a flag in gusts, nobody", (), Flag(1.6)),
    "shaking": _day("the mount shakes", ONE, Shake(0.4), Wind(1.5)),
    "shaking_empty": _day("the mount shakes hard, nobody", (), Shake(1.0), Wind(2.0)),
    # rain and snow
    "rain": _day("heavy rain by day", ONE, Rain(10.0), light=GREY),
    "rain_empty": _day("a cloudburst, nobody", (), Rain(40.0, 4.0), light=GREY),
    "rain_ir": _day("rain in the infrared lamp", (Visit(20.0, Way.NEAR),), Rain(8.0), light=IR),
    "snow": _day("snow by day", ONE, Snow(40.0), light=GREY),
    "snow_ir_empty": _day("snow in the infrared lamp, nobody", (), Snow(25.0), light=IR),
    "snow_ir": _day("snow in the infrared lamp", (Visit(20.0, Way.DRIVE),), Snow(20.0), light=IR),
    # night
    "dusk": _day("dusk, lamp on", TWO, light=DUSK),
    "night_lamp": _day("night, porch lamp", TWO, light=NIGHT),
    "night_empty": _day("night, noise only", (), light=NIGHT, seconds=120.0),
    "night_dark_coat": _day(
        "night, dark coat",
        (Visit(12.0, Way.DRIVE, coat_albedo=0.05), Visit(50.0, Way.NEAR, coat_albedo=0.05)),
        light=NIGHT,
    ),
    "ir": _day("infrared lamp", (Visit(10.0, Way.DRIVE), Visit(50.0, Way.NEAR)), light=IR),
    "ir_empty": _day("infrared, noise only", (), light=IR, seconds=120.0),
    "ir_cut": _day(
        "the infrared filter switches",
        (Visit(25.0, Way.DRIVE, stand_s=3.0), Visit(70.0, Way.PASS)),
        IrCut(15.0, 40.0),
        light=DUSK,
    ),
    "ir_cut_empty": _day(
        "the infrared filter switches, nobody", (), IrCut(12.0, 20.0), light=NIGHT, exposure=BLIND
    ),
    "insects": _day("insects at the infrared lamp", (Visit(40.0, Way.DRIVE),), Insects(), light=IR),
    "insects_empty": _day("many insects, nobody", (), Insects(50.0, 1.0, 0.5), light=IR, seconds=120.0),
    "web": _day("a web before the lens", (Visit(40.0, Way.DRIVE),), Web(), light=IR),
    "web_day_empty": _day("a web before the lens by day, nobody", (), Web(5, 3.0)),
    "headlights": _day("headlights sweep", (Visit(35.0, Way.DRIVE),), Headlights(), light=NIGHT),
    "headlights_empty": _day("headlights sweep, infrared, nobody", (), Headlights(9.0, 5.0), light=IR),
    "lamp": _day("the porch lamp goes on and off", (Visit(32.0, Way.DRIVE),), LampSwitch(), light=DUSK),
    "lamp_empty": _day(
        "the lamp warms up and goes off, nobody", (), LampSwitch(10.0, 20.0, 3.0), light=NIGHT, exposure=BLIND
    ),
    "flicker": _day("mains flicker, rolling bands", ONE, Flicker(), light=NIGHT, exposure=SHORT),
    "flicker_empty": _day("mains flicker, nobody", (), Flicker(beat_hz=1.3), light=DUSK, exposure=BLIND),
    # others who come and go
    "cat": _day("a cat", (Visit(60.0, Way.DRIVE),), Cat(12.0, 40.0, 1.0)),
    "car_parks": _day(
        "a car parks in the street, somebody comes, it drives off",
        (Visit(30.0, Way.STREET),),
        Car(10.0, 55.0),
        seconds=110.0,
    ),
    "car_in_drive": _day("a car in the drive", (), Car(12.0, 30.0, 8.5, 4.0), seconds=80.0),
    "everything": _day(
        "wind, clouds, flag, cat, a shaking mount",
        (Visit(25.0, Way.STREET), Visit(75.0, Way.NEAR)),
        Wind(1.5),
        Clouds(0.4),
        Flag(),
        Shake(0.3),
        seconds=120.0,
    ),
    "night_noise": _day(
        "a poor sensor at night", (Visit(20.0, Way.DRIVE),), light=NIGHT, sensor=Sensor(9000.0, 6.0, 0.01)
    ),
}

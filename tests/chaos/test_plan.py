"""The plan of faults: the same for the same seed, and nothing in it that the run cannot do."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import plan  # noqa: E402

NAMES = ("cn", "sg", "us", "in")


def made(seed):
    return plan.make(seed, 1200, NAMES, 6, 3)


def test_the_seed_alone_decides():
    assert list(map(str, made(7))) == list(map(str, made(7)))
    assert list(map(str, made(7))) != list(map(str, made(8)))


def test_every_fault_at_every_region():
    events = made(1)
    assert [event.at_s for event in events] == sorted(event.at_s for event in events)
    assert {event.kind for event in events} == {"kill", *plan.LINKS}
    kills = [event for event in events if event.kind == "kill"]
    assert {event.region for event in kills} == set(NAMES)
    assert any(len(event.recovery) > 1 for event in kills) and any(not event.recovery for event in kills)
    pairs = {(event.source, event.target) for event in events if event.kind != "kill"}
    assert pairs == {(one, other) for one in NAMES for other in NAMES if one != other}


def test_points_are_steps_of_the_table():
    with open(os.path.join(HERE, "..", "..", "src", "move", "move_states.def"), encoding="ascii") as file:
        states = {state.lower() for step in re.findall(r"^STEP\((.*?)\)", file.read(), re.M)
                  for state in re.split(r",\s*", step)}
    for point in plan.POINTS:
        name = point[1:]
        assert name in states or name in ("key-dropped", "peer-prepared", "slot-overwritten", "rows-removed"), point

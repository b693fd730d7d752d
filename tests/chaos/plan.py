"""The plan of faults: which process dies and which link is cut when, from a seed alone."""
import random

# The kill waits so long before it starts the region again; clients meet a dead region meanwhile.
DOWN_S_MAX = 3.0
LINK_S_MIN, LINK_S_MAX = 0.2, 5.0
DELAY_S_MAX = 0.25
BREAK_BYTES_MAX = 6000  # within a head, a message of a handoff or a body
# Durable steps of a handoff at which a region that was started again dies by itself.
STATES = ("copying", "fenced", "committed", "erasing", "key-dropped", "staging", "prepared", "active")
POINTS = [sign + state for state in STATES for sign in "-+"] + ["+peer-prepared", "+slot-overwritten", "+rows-removed"]
POINT_PASSES_MAX = 10   # N of STEP:N
LINKS = ("cut", "hole", "delay", "break")


class Event:
    """At `at_s` after the beginning: a kill, or a fault of the link from one region to another."""

    def __init__(self, at_s, kind, **more):
        self.at_s, self.kind = at_s, kind
        self.__dict__.update(more)

    def __str__(self):
        return " ".join(f"{name}={value}" for name, value in self.__dict__.items() if value is not None)


def kill(dice, at_s, names):
    """A third of the recoveries are killed too; half of the restarts die again at a step of a handoff."""
    recoveries = 0
    while recoveries < 3 and dice.random() < 0.33:
        recoveries += 1
    point = f"{dice.choice(POINTS)}:{dice.randrange(1, POINT_PASSES_MAX + 1)}" if dice.random() < 0.5 else None
    return Event(at_s, "kill", region=dice.choice(names), down_s=round(dice.uniform(0, DOWN_S_MAX), 3),
                 recovery=[round(dice.random(), 3) for _ in range(recoveries)], point=point)


def link(dice, at_s, names):
    source, target = dice.sample(names, 2)
    kind = dice.choice(LINKS)
    lasts = round(dice.uniform(LINK_S_MIN, LINK_S_MAX), 3)
    amounts = {"delay": round(dice.uniform(0.01, DELAY_S_MAX), 3), "break": dice.randrange(1, BREAK_BYTES_MAX)}
    return Event(at_s, kind, source=source, target=target, lasts_s=lasts, amount=amounts.get(kind, 0))


def make(seed, seconds, names, kill_every_s, link_every_s):
    """All events in the order of their time."""
    names, events = list(names), []
    for kind, every_s, one in (("kill", kill_every_s, kill), ("link", link_every_s, link)):
        dice = random.Random(f"{seed} {kind}")
        at_s = dice.uniform(0.5, 1.5) * every_s
        while at_s < seconds:
            events.append(one(dice, round(at_s, 3), names))
            at_s += dice.uniform(0.5, 1.5) * every_s
    return sorted(events, key=lambda event: event.at_s)

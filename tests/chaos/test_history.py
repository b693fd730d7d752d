"""The judge of histories, judged: good ones pass, bad ones are caught, a slow search by hand agrees on small ones."""
import itertools
import os
import random
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import history  # noqa: E402
from history import ABSENT, GONE, OK, REFUSED, UNKNOWN, Op  # noqa: E402


def put(value, begin, end, outcome=OK, condition=None):
    return Op("put", value, begin, end, outcome, condition)


def get(value, begin, end):
    return Op("get", value, begin, end)


def delete(begin, end, outcome=OK):
    return Op("delete", ABSENT, begin, end, outcome)


GOOD = {
    "nothing": [],
    "absent at first": [get(ABSENT, 0, 1)],
    "read after write": [put(1, 0, 1), get(1, 2, 3)],
    "old value while a write runs": [put(1, 0, 1), put(2, 2, 9), get(1, 3, 4), get(2, 5, 6)],
    "two writes at once, either order": [put(1, 0, 5), put(2, 0, 5), get(1, 6, 7)],
    "deleted": [put(1, 0, 1), delete(2, 3), get(ABSENT, 4, 5)],
    "unknown write seen much later": [put(1, 0, 1), put(2, 2, 3, UNKNOWN), get(1, 4, 5), get(2, 8, 9)],
    "unknown write never seen": [put(1, 0, 1), put(2, 2, 3, UNKNOWN), get(1, 4, 5)],
    "unknown delete": [put(1, 0, 1), delete(2, 3, UNKNOWN), get(1, 4, 5), get(ABSENT, 6, 7)],
    "only if absent": [put(1, 0, 1, OK, "absent"), put(2, 2, 3, REFUSED, "absent"), get(1, 4, 5)],
    "only if it matches": [put(1, 0, 1), put(2, 2, 3, OK, 1), put(3, 4, 5, REFUSED, 1), get(2, 6, 7)],
    "nothing to match": [put(1, 0, 1, GONE, 7)],
    "refused by a write that nobody saw": [put(1, 0, 1, UNKNOWN), put(2, 2, 3, REFUSED, "absent"), delete(4, 5),
                                           put(3, 6, 7, OK, "absent")],
    "two unknown deletes, both needed": [put(1, 0, 1), delete(2, 3, UNKNOWN), delete(2, 3, UNKNOWN),
                                         get(ABSENT, 4, 5), put(2, 6, 7), get(ABSENT, 8, 9)],
    "an unknown condition that held": [put(1, 0, 1), put(2, 2, 3, UNKNOWN, 1), get(2, 4, 5)],
}
BAD = {
    "lost": [put(1, 0, 1), get(ABSENT, 2, 3)],
    "lost overwrite": [put(1, 0, 1), put(2, 2, 3), get(1, 4, 5)],
    "came back": [put(1, 0, 1), put(2, 2, 3), get(2, 4, 5), get(1, 6, 7)],
    "came back from the dead": [put(1, 0, 1), delete(2, 3), get(ABSENT, 4, 5), get(1, 6, 7)],
    "seen before it was sent": [get(1, 0, 1), put(1, 2, 3)],
    "never written": [get(5, 0, 1)],
    "two readers disagree": [put(1, 0, 9), put(2, 0, 9), get(1, 1, 2), get(2, 3, 4), get(1, 5, 6)],
    "unknown write seen, then gone": [put(1, 0, 1), put(2, 2, 3, UNKNOWN), get(2, 4, 5), get(1, 6, 7)],
    "one unknown delete cannot delete twice": [put(1, 0, 1), delete(2, 3, UNKNOWN), get(ABSENT, 4, 5), put(2, 6, 7),
                                               get(ABSENT, 8, 9)],
    "an unknown write cannot act before it was sent": [put(1, 0, 1, REFUSED, "absent"), put(2, 2, 3, UNKNOWN)],
    "both were first": [put(1, 0, 1, OK, "absent"), put(2, 2, 3, OK, "absent")],
    "matched what was overwritten": [put(1, 0, 1), put(2, 2, 3), put(3, 4, 5, OK, 1)],
    "refused though it matched": [put(1, 0, 1), put(2, 2, 3, REFUSED, 1)],
    "refused though nothing was there": [put(1, 0, 1, REFUSED, "absent")],
    "two changed the same": [put(1, 0, 1), put(2, 2, 5, OK, 1), put(3, 2, 5, OK, 1)],
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name):
    assert history.check(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_bad(name):
    assert history.check(BAD[name]) is not None


def by_hand(ops):
    """Every order of every choice of the uncertain ones: slow, and without any thought."""
    sure = [op for op in ops if op.outcome != UNKNOWN]
    unsure = [op for op in ops if op.outcome == UNKNOWN and op.kind != "get"]
    for count in range(len(unsure) + 1):
        for some in itertools.combinations(unsure, count):
            forced = [Op(op.kind, op.value, op.begin, float("inf"), OK, op.condition) for op in some]
            for order in itertools.permutations(sure + forced):
                if fits(order):
                    return True
    return False


def fits(order):
    value = ABSENT
    for at, op in enumerate(order):
        if any(later.end < op.begin for later in order[at + 1:]) or not history.allowed(op, value):
            return False
        value = history.after(op, value)
    return True


def random_history(dice):
    """Mostly what a register could have told, sometimes not."""
    ops, written = [], []
    for number in range(1, dice.randrange(2, 7)):
        begin = dice.randrange(12)
        end = begin + dice.randrange(1, 6)
        kind = dice.random()
        outcome = UNKNOWN if dice.random() < 0.3 else OK
        if kind < 0.45:
            condition = dice.choice([None, None, "absent", dice.choice(written or [number])])
            if condition is not None and outcome == OK:
                outcome = dice.choice([OK, OK, REFUSED] + ([GONE] if condition != "absent" else []))
            ops.append(put(number, begin, end, outcome, condition))
            written.append(number)
        elif kind < 0.6:
            ops.append(delete(begin, end, outcome))
        else:
            ops.append(get(dice.choice([ABSENT] + written), begin, end))
    return ops


def test_agrees_with_a_search_by_hand():
    dice, told = random.Random(4), {True: 0, False: 0}
    for _ in range(2500):
        ops = random_history(dice)
        linearizable = by_hand(ops)
        told[linearizable] += 1
        assert (history.check(ops) is None) == linearizable, "\n".join(map(str, ops))
    assert min(told.values()) > 400, told


def sequential(dice, count, clients):
    """A long history that is good by making: effects at random moments within overlapping operations."""
    ops, value, free = [], ABSENT, [0] * clients
    for number in range(1, count + 1):
        who = min(range(clients), key=free.__getitem__)
        effect = max(free[who], number * 10)
        begin, end = effect - dice.randrange(1, 25), effect + dice.randrange(1, 25)
        free[who] = end
        kind = dice.random()
        outcome = UNKNOWN if dice.random() < 0.1 else OK
        if kind < 0.4:
            ops.append(put(number, begin, end, outcome))
        elif kind < 0.5:
            ops.append(delete(begin, end, outcome))
        else:
            ops.append(get(value, begin, end))
        if outcome == OK or dice.random() < 0.5:
            value = history.after(Op(ops[-1].kind, ops[-1].value, 0, 0), value)
    return ops


def test_long_histories_are_judged_and_one_wrong_read_is_found():
    for seed in range(8):
        ops = sequential(random.Random(seed), 1500, 1)
        assert history.check(ops) is None
        late = max((op for op in ops if op.kind == "put" and op.outcome == OK), key=lambda op: op.end)
        ops.append(put(10001, late.end + 1000, late.end + 1001))
        assert history.check(ops) is None
        ops.append(get(late.value, late.end + 1002, late.end + 1003))
        assert history.check(ops) is not None

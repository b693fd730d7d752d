"""Histories of single keys, and whether they are linearizable.

A key is a register: what a write puts there no other write ever puts there. An operation takes effect at one
moment between its invocation and its response; one whose outcome nobody told (503, a lost connection) takes
effect at any moment after its invocation, or never. The search is Wing and Gong's with Lowe's memory of the
states it has seen (Testing for linearizability, 2017), with three observations that keep it short:

- what changes nothing (reads, refused conditions) is taken as soon as it fits: an order that takes it later
  can always be turned into one that takes it now;
- a write without an answer whose value somebody saw did happen, before the first who saw it was told;
- writes without an answer that nobody saw are alike within their kind, so that only how many of them were
  used up belongs to a state.
"""
ABSENT = None
UNSEEN = -1          # the value of a write that nobody ever read: some value, equal to no other
NEVER = float("inf")
STATES_MAX = 2000000  # a search that sees more gives up, and says so: seconds, and some hundred MB

OK, REFUSED, GONE, UNKNOWN = "ok", "refused", "gone", "unknown"


class Op:
    """One operation. kind: put, delete, get. value: put or found there (ABSENT: nothing). condition: of a put,
    None, "absent" or the value that must be there. outcome: OK; REFUSED, the condition did not hold (412); GONE,
    nothing was there to compare with (404); UNKNOWN. Times in ns of one monotonic clock."""
    __slots__ = ("kind", "value", "condition", "outcome", "begin", "end")

    def __init__(self, kind, value, begin, end, outcome=OK, condition=None):
        self.kind, self.value, self.condition, self.outcome = kind, value, condition, outcome
        self.begin, self.end = begin, end

    def __str__(self):
        condition = "" if self.condition is None else f" if {self.condition}"
        end = "" if self.outcome == UNKNOWN else f"{self.end / 1e9:.6f}"
        return f"{self.begin / 1e9:.6f}..{end} {self.kind} {self.value}{condition}: {self.outcome}"


def allowed(op, value):
    """Whether the register may hold this value when the operation with its outcome takes effect."""
    if op.kind == "get":
        return value == op.value
    if op.kind == "delete" or op.condition is None:
        return True
    if op.condition == "absent":
        return (value is ABSENT) == (op.outcome == OK)
    if op.outcome == GONE:
        return value is ABSENT
    return value is not ABSENT and (value == op.condition) == (op.outcome == OK)


def changes(op):
    return op.kind != "get" and op.outcome == OK


def after(op, value):
    if not changes(op):
        return value
    return op.value if op.kind == "put" else ABSENT


def seen_first(ops):
    """value -> when the first who saw it was told."""
    first = {}
    for op in ops:
        if op.outcome == OK:
            saw = op.value if op.kind == "get" else op.condition if op.kind == "put" else ABSENT
            if saw is not ABSENT and saw != "absent":
                first[saw] = min(first.get(saw, op.end), op.end)
    return first


def split(ops):
    """(what took effect for sure, {kind: what may have})."""
    first = seen_first(ops)
    named = {op.condition for op in ops}
    sure, perhaps = [], {}
    for op in ops:
        if op.outcome != UNKNOWN:
            sure.append(op)
        elif op.kind == "put" and op.value in first:
            sure.append(Op("put", op.value, op.begin, first[op.value], OK, op.condition))
        elif op.kind != "get":
            value = UNSEEN if op.kind == "put" and op.value not in named else op.value
            perhaps.setdefault((op.kind, op.condition, value), []).append(
                Op(op.kind, value, op.begin, NEVER, OK, op.condition))
    sure.sort(key=lambda op: op.begin)
    for same in perhaps.values():
        same.sort(key=lambda op: op.begin)
    return sure, list(perhaps.values())


class Search:
    """A state: how many operations, by invocation, are all taken; which later ones are too; the register's value;
    how many of each kind of uncertain ones were used up."""

    def __init__(self, ops):
        self.sure, self.perhaps = split(ops)
        self.deepest, self.stuck = -1, None

    def candidates(self, done, taken):
        """Those that may come next: invoked before the first answer among those not taken yet."""
        found, first_end = [], float("inf")
        for at in range(done, len(self.sure)):
            op = self.sure[at]
            if op.begin > first_end:
                break
            if at not in taken:
                found.append(at)
                first_end = min(first_end, op.end)
        return [at for at in found if self.sure[at].begin <= first_end], first_end

    @staticmethod
    def take(done, taken, at):
        taken = taken | {at}
        while done in taken:
            taken = taken - {done}
            done += 1
        return done, taken

    def settle(self, state):
        """Takes everything that fits and changes nothing."""
        done, taken, value, used = state
        while True:
            found, first_end = self.candidates(done, taken)
            quiet = [at for at in found if not changes(self.sure[at]) and allowed(self.sure[at], value)]
            if not quiet:
                return (done, taken, value, used), found, first_end
            for at in quiet:
                done, taken = self.take(done, taken, at)

    def helps(self, found, value, instead):
        return any(allowed(self.sure[at], instead) and not allowed(self.sure[at], value) for at in found)

    def following(self, state, found, first_end):
        """An uncertain one is taken right before somebody who needs it: one that nobody needs before the next
        change may as well not have happened, and any other may as well have come so late."""
        done, taken, value, used = state
        for number, same in enumerate(self.perhaps):
            if used[number] < len(same):
                op = same[used[number]]
                if op.begin <= first_end and allowed(op, value) and self.helps(found, value, after(op, value)):
                    more = used[:number] + (used[number] + 1,) + used[number + 1:]
                    yield (done, taken, after(op, value), more)
        for at in reversed(found):  # the last one yielded is tried first: the oldest
            op = self.sure[at]
            if changes(op) and allowed(op, value):
                yield (*self.take(done, taken, at), after(op, value), used)

    def run(self):
        """None when the history is linearizable, else why not, for people."""
        start = (0, frozenset(), ABSENT, (0,) * len(self.perhaps))
        stack, known = [start], set()
        while stack:
            state, found, first_end = self.settle(stack.pop())
            if state[0] == len(self.sure):
                return None
            if state in known:
                continue
            known.add(state)
            if len(known) > STATES_MAX:
                return f"undecided after {STATES_MAX} states"
            if state[0] + len(state[1]) > self.deepest:
                self.deepest, self.stuck = state[0] + len(state[1]), (state, found)
            stack.extend(self.following(state, found, first_end))
        return self.explain()

    def explain(self):
        (done, _, value, used), found = self.stuck
        lines = [f"after {self.deepest} of {len(self.sure)} operations, where the key holds {value}, nothing fits:"]
        lines += [f"  next  {self.sure[at]}" for at in found]
        lines += [f"  before {op}" for op in self.sure[max(0, done - 8):done]]
        lines += [f"  maybe {op}" for number, same in enumerate(self.perhaps) for op in same[used[number]:][:4]]
        return "\n".join(lines)


def check(ops):
    """Of one key that was absent before the first operation. None, or what is wrong."""
    written = {op.value for op in ops if op.kind == "put"}
    for op in ops:
        if op.kind == "get" and op.outcome == OK and op.value is not ABSENT and op.value not in written:
            return f"never written: {op}"
    return Search(ops).run()

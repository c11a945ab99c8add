"""Every act that took people, judged from the leaves alone: signatures, people, departments, need, time, roster, once."""

from exported_log import Broken, decode, encode, sha256
from cose import Signed
from imports import Imports
from jobs import CARD_KEYS_DERIVED, CARDS_CHANGED, JOB_LEAVES, JOB_OPENED
from roster import ALONE, LARGER, LARGER_FOR_OFFICERS, OPERATIONS, TWO, WAITS, WAITS_FOR_OFFICERS

KEY_INTENT, KEY_OUTCOME = 2, 3
PROPOSAL_MADE, PROPOSAL_VOTED, PROPOSAL_CLOSED = 12, 13, 14
SITE_CHANGED, FREEZE_CHANGED, ACT, SEALED_ACT, HEARTBEAT, TOOK_EFFECT = 15, 16, 17, 18, 19, 20
VALUE_UPDATED, KEY_DESTROYED = 6, 21
ACTS = (ACT, SEALED_ACT)
JUDGED = (PROPOSAL_MADE, PROPOSAL_VOTED, PROPOSAL_CLOSED, SITE_CHANGED, FREEZE_CHANGED, *ACTS, HEARTBEAT, TOOK_EFFECT)

APPROVE, REJECT = 0, 1
LIFE_MS = 72 * 3_600_000
DRIFT_MS = 5 * 60_000


class Unfollowed(Exception):
    """What a leaf stands on is withheld, so nothing is said of it."""


class Clock:
    """Wall time against the time of one boot."""

    def __init__(self, last=None, run_ms=0, disputed=False):
        self.last, self.run_ms, self.disputed = last, run_ms, disputed

    def after(self, moment):
        if self.last is None:
            return Clock(moment, self.run_ms, self.disputed)
        wall, boot, up = (moment[key] for key in (0, 1, 2))
        last_wall, last_boot, last_up = (self.last[key] for key in (0, 1, 2))
        if boot == last_boot and up >= last_up:
            ran = up - last_up
            disputed = self.disputed or abs(wall - (last_wall + ran)) > DRIFT_MS
            return Clock(moment, self.run_ms + ran, disputed)
        return Clock(moment, self.run_ms, self.disputed or last_wall - wall > DRIFT_MS)


class Open:
    """A proposal that waits for people."""

    def __init__(self, raw):
        self.raw, self.fields = raw, decode(raw)
        self.id = self.fields[2]
        proposed = self.fields[3]
        self.operation, self.requester, self.statement = OPERATIONS[proposed[0]], proposed[1], proposed[2]
        self.policy, self.roster, self.need = (self.fields[key] for key in (4, 5, 6))
        self.created_ms, self.expires_ms = self.fields[8], self.fields[9]
        self.voters = set()


class Controls:
    """The state that the leaves make, as far as people and their approvals go, the policies they approved, and the jobs.
    Of keys only those that come in as components and those of jobs are followed, freezes are not."""

    def __init__(self, roster, genesis, policy, delays, keys, jobs):
        self.roster, self.genesis, self.policy, self.delays = roster, genesis, policy, delays
        self.imports, self.jobs = Imports(keys), jobs
        self.open, self.used, self.waiting = {}, set(), {}
        self.clock = Clock()
        self.acts, self.findings, self.approvals, self.withheld = [], [], 0, []

    def take(self, leaf):
        if leaf.payload is None:
            self.jobs.unseen(leaf.kind)
            self.jobs.lost |= leaf.kind == SEALED_ACT
            if leaf.kind in JUDGED:
                self.withheld.append(leaf.index)
            return
        found = len(self.findings)
        if leaf.kind in JUDGED:
            self._checked(leaf, self._take, decode(leaf.payload))
        if leaf.kind in ACTS and len(self.findings) == found:
            inner = decode(leaf.payload)
            if inner[3] in JOB_LEAVES:
                self._checked(leaf, self._job, inner[3], decode(inner[4]), True)
        elif leaf.kind in JOB_LEAVES:
            self._checked(leaf, self._job, leaf.kind, decode(leaf.payload))
        elif leaf.kind in (KEY_INTENT, KEY_OUTCOME, KEY_DESTROYED):
            self._key(leaf, decode(leaf.payload))
        elif leaf.kind == VALUE_UPDATED and 16 in decode(decode(leaf.payload)[1]):
            self.findings.append((leaf.index, "an update names evidence and shows none"))

    def _checked(self, leaf, judge, *what):
        """Judges a leaf, and notes what is wrong with it."""
        try:
            judge(leaf, *what)
        except Unfollowed:
            self.withheld.append(leaf.index)
        except Broken as error:
            self.findings.append((leaf.index, str(error)))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            self.findings.append((leaf.index, f"not of its kind: {error!r}"))

    def _job(self, leaf, kind, fields, by_quorum=False):
        self.jobs.take(leaf, kind, fields, by_quorum)

    def _key(self, leaf, fields):
        try:
            if leaf.kind == KEY_DESTROYED:
                self.jobs.storage_key_destroyed(fields[2], fields[1])
            elif leaf.kind == KEY_OUTCOME:
                self.jobs.storage_key_made(fields[2][1])
                self.imports.made(fields[2])
            elif not self.withheld:
                self.imports.intended(fields[3], fields[4])
        except Broken as error:
            self.findings.append((leaf.index, str(error)))

    def _take(self, leaf, fields):
        if leaf.kind == PROPOSAL_MADE:
            self._proposed(leaf, Open(fields[1]))
        elif leaf.kind == PROPOSAL_VOTED:
            self._voted(leaf, fields)
        elif leaf.kind == PROPOSAL_CLOSED:
            self._closed(leaf, fields)
        elif leaf.kind in (SITE_CHANGED, FREEZE_CHANGED):
            self._alone(leaf, fields)
        elif leaf.kind in ACTS:
            self._acted(leaf, fields)
        elif leaf.kind == HEARTBEAT:
            self.clock = self.clock.after(fields[1])
        else:
            self._took_effect(leaf, fields)

    def _request(self, name, operation, statement):
        return self.roster.request(name, operation, statement, self.genesis)

    def _in_force(self, proposal):
        if proposal.fields[1] != self.genesis:
            raise Broken("the proposal is of another log")
        if proposal.policy != self.policy:
            raise Broken("the proposal was made under other policies")
        if proposal.roster != self.roster.digest():
            raise Broken("the proposal was made under other officers or thresholds")

    def _judge(self, proposal):
        """What a proposal says of itself and of its need."""
        self._in_force(proposal)
        request = self._request(proposal.requester, proposal.operation, proposal.statement)
        if not proposal.created_ms <= proposal.expires_ms <= proposal.created_ms + LIFE_MS:
            raise Broken("the proposal lives longer than it may")
        persons, departments, named = proposal.need[1], proposal.need[2], proposal.need[3]
        sound = persons >= 2 and 1 <= departments <= persons and len(named) <= persons and named == sorted(set(named))
        least = self.roster.least(proposal.operation, self.roster.about_officer(proposal.operation, request))
        covers = persons >= least[0] and max(departments, len(named)) >= least[1] and set(named) >= least[2]
        if not sound or not covers:
            raise Broken("the need is below the floor of the operation")
        if proposal.operation == "key.import":
            self.imports.check_request(request, self.roster)
        return request

    def _proposed(self, leaf, proposal):
        if proposal.id in self.open or proposal.id in self.used:
            raise Broken("the proposal's identifier was used before")
        if proposal.created_ms != leaf.time_ms:
            raise Broken("the proposal's time is not its leaf's")
        self._judge(proposal)
        self.open[proposal.id] = proposal

    def _approval(self, raw, proposal, verdict):
        """The officer whose vote this is: the signature first, then what it says."""
        signed = Signed(raw)
        officer = self.roster.officer_by_kid(signed.kid)
        approval = decode(signed.open("keysvc/ap1", "keysvc:approval:v1", self.genesis, officer.signing_key))
        if approval[1] != sha256(proposal.raw):
            raise Broken("the approval is over another proposal")
        if approval[2] != verdict:
            raise Broken("the approval says something else")
        if not officer.enabled:
            raise Broken(f"{officer.name} is disabled")
        return officer

    def _voted(self, leaf, fields):
        proposal = self._opened(fields[1])
        officer = self._approval(fields[3], proposal, fields[2])
        if leaf.time_ms > proposal.expires_ms:
            raise Broken("a vote on an expired proposal")
        self._in_force(proposal)
        if fields[2] == REJECT:
            self._end(proposal.id)
        elif officer.name in proposal.voters:
            raise Broken(f"{officer.name} approved twice")
        else:
            proposal.voters.add(officer.name)

    def _opened(self, identifier):
        if identifier not in self.open and identifier not in self.used and self.withheld:
            raise Unfollowed
        if identifier not in self.open:
            raise Broken("the proposal has ended" if identifier in self.used else "there is no such proposal")
        return self.open[identifier]

    def _end(self, identifier):
        self.open.pop(identifier, None)
        self.used.add(identifier)

    def _closed(self, leaf, fields):
        identifier, end = fields[1], fields[2]
        waiting = [index for index, waits in self.waiting.items() if waits["id"] == identifier]
        requester = self.waiting[waiting[0]]["requester"] if waiting else self._opened(identifier).requester
        if end == 1 and leaf.time_ms <= self._opened(identifier).expires_ms:
            raise Broken("it had not expired")
        if isinstance(end, dict) and 0 in end:
            by, statement = end[0][0], end[0][1]
            request = self._request(by, "proposal.cancel", statement)
            if request[2] != identifier or (by != requester and not self.roster.members[by].is_officer):
                raise Broken(f"{by} may not withdraw this")
        for index in waiting:
            del self.waiting[index]
        self._end(identifier)

    def _alone(self, leaf, fields):
        """A change without people."""
        operation = OPERATIONS[fields[2]]
        request = self._request(fields[1], operation, fields[3])
        if operation not in ALONE:
            raise Broken(f"{operation} takes people, and the leaf shows none")
        if operation == "component.give":
            if request[2] not in self.imports.of_proposal and self.withheld:
                raise Unfollowed
            self.imports.give(fields[1], request, leaf.time_ms)
        elif operation == "ceremony.record" and not self.roster.members[fields[1]].is_officer:
            raise Broken(f"{fields[1]} is no officer")
        self.roster.change(operation, request, leaf.index)

    def _acted(self, leaf, fields):
        evidence, moment, kind, inner = (fields[key] for key in (1, 2, 3, 4))
        proposal = Open(evidence[1])
        if not self.withheld:
            if self._opened(proposal.id).raw != proposal.raw:
                raise Broken("the act's proposal is not the one that was made")
        elif proposal.id in self.used:
            raise Broken("the proposal has ended")
        if leaf.time_ms > proposal.expires_ms:
            raise Broken("the proposal had expired")
        request = self._judge(proposal)
        clock = self.clock.after(moment)
        confirms = proposal.operation == "clock.confirm"
        if clock.disputed and not confirms and not self.withheld:
            raise Broken("the clock was disputed")
        people = self._count(proposal, evidence[2])
        if proposal.operation == "key.import":
            self.imports.check_people(request, {name for name, _ in people})
        self._same(leaf, proposal, evidence, kind, decode(inner))
        self._carry_out(leaf, proposal, request, clock)
        self.clock = Clock(clock.last, clock.run_ms, False) if confirms else clock
        self._end(proposal.id)
        self.approvals += len(evidence[2])
        self.acts.append({"leaf": leaf.index, "operation": proposal.operation, "people": people})

    def _count(self, proposal, approvals):
        """Distinct people by distinct keys, their departments, and whether they are enough."""
        officers = [self._approval(approval, proposal, APPROVE) for approval in approvals]
        names = {officer.name for officer in officers}
        keys = {officer.signing_key for officer in officers}
        if len(names) != len(approvals) or len(keys) != len(approvals):
            raise Broken("one person twice")
        departments = {officer.department for officer in officers}
        need = proposal.need
        if len(names) < max(2, need[1]) or len(departments) < need[2] or not set(need[3]) <= departments:
            raise Broken("the quorum is not met")
        return sorted([officer.name, officer.department] for officer in officers)

    def _same(self, leaf, proposal, evidence, kind, act):
        """The act is what the proposal asked for, in a leaf of the right class."""
        permanent = kind == SITE_CHANGED
        if (leaf.kind == ACT) != permanent:
            raise Broken("the act stands in a leaf of another class")
        if kind in (SITE_CHANGED, FREEZE_CHANGED):
            freezes = proposal.operation in ("freeze.set", "freeze.lift")
            same = (act[1], OPERATIONS[act[2]], act[3]) == (proposal.requester, proposal.operation, proposal.statement)
            if not same or freezes != (kind == FREEZE_CHANGED):
                raise Broken("the act is not what was agreed")
            return
        places = {
            JOB_OPENED: (OPERATIONS[act[2]] if kind == JOB_OPENED else None, 5),
            CARD_KEYS_DERIVED: ("card.derive", 7),
            CARDS_CHANGED: ("card.transition", 3),
            VALUE_UPDATED: ("value.update", 2),
        }
        operation, statement = places[kind]
        if operation != proposal.operation or act[statement] != proposal.statement:
            raise Broken("the act is not what was agreed")
        if kind == VALUE_UPDATED and decode(act[1]).get(16) != sha256(encode(evidence)):
            raise Broken("the update does not name this evidence")

    def _carry_out(self, leaf, proposal, request, clock):
        operation = proposal.operation
        known = TWO | LARGER | LARGER_FOR_OFFICERS | ALONE
        if operation not in known:
            return
        about_officer = self.roster.about_officer(operation, request)
        if operation in WAITS or (about_officer and operation in WAITS_FOR_OFFICERS):
            delay_ms = 1000 * self.delays["destroy-s" if operation == "key.destroy" else "roster-s"]
            self.waiting[leaf.index] = {
                "id": proposal.id,
                "requester": proposal.requester,
                "operation": operation,
                "request": request,
                "due_ms": leaf.time_ms + delay_ms,
                "due_run_ms": clock.run_ms + delay_ms,
            }
        elif operation == "policy.propose":
            self.policy = request[2]
        elif operation == "profile.put":
            self.jobs.put_profile(request[2])
        elif operation in ("key.create", "key.import"):
            self.imports.order(operation, request, proposal.id, leaf.time_ms)
        else:
            self.roster.change(operation, request, leaf.index)

    def _took_effect(self, leaf, fields):
        waits = self.waiting.get(fields[1])
        if waits is None:
            raise Broken(f"nothing waits under leaf {fields[1]}")
        clock = self.clock.after(fields[2])
        if not self.withheld:
            if clock.disputed:
                raise Broken("the clock was disputed")
            if leaf.time_ms < waits["due_ms"] or clock.run_ms < waits["due_run_ms"]:
                raise Broken("it took effect before its delay was over")
        self.roster.change(waits["operation"], waits["request"], leaf.index)
        del self.waiting[fields[1]]
        self.clock = clock

"""Personalization jobs: sealed by two, worked by two, counted blind, and purged before the next one.

Follows each job from its leaves, as the map that an audit record of it holds: field numbers are those of docs/wire.cddl.
Every signature is verified, of requests and of the people's agreements in them. The state of keys and what was frozen is
not looked at, purses neither.
"""

from cards import AFTER_RESULT, GOOD, IN_PRODUCTION, REJECT, SAMPLE, Card, Cards, Profile, outcome_of
from cose import Signed
from exported_log import Broken, decode, encode, leaf_hash, sha256, tree_root
from roster import OPERATIONS

JOB_OPENED, CARD_KEYS_DERIVED = 4, 5
JOB_CHANGED, ITEMS_ADDED, INCIDENT, CARDS_CHANGED, JOB_PURGED, RECORD_MADE = 23, 24, 25, 26, 27, 28
JOB_LEAVES = (
    JOB_OPENED,
    CARD_KEYS_DERIVED,
    JOB_CHANGED,
    ITEMS_ADDED,
    INCIDENT,
    CARDS_CHANGED,
    JOB_PURGED,
    RECORD_MADE,
)

STATES = "draft sealed open suspended counted closed purged".split()
DRAFT, SEALED, OPEN, SUSPENDED, COUNTED, CLOSED, PURGED = range(7)
# From which states an event may come, and where it leads.
STEPS = {
    "add": ((DRAFT,), DRAFT),
    "seal": ((DRAFT,), SEALED),
    "withdraw": ((DRAFT, SEALED), CLOSED),
    "open": ((SEALED, OPEN), OPEN),
    "suspend": ((OPEN,), SUSPENDED),
    "resume": ((SUSPENDED,), OPEN),
    "work": ((OPEN,), OPEN),
    "balance": ((OPEN, COUNTED), COUNTED),
    "mismatch": ((OPEN, COUNTED), OPEN),
    "close": ((COUNTED,), CLOSED),
    "purge": ((CLOSED,), PURGED),
}
AGREED_OPEN, AGREED_RESUME, AGREED_COUNT, AGREED_INCIDENT, AGREED_CLOSE = range(5)

SESSION_MS = 2 * 3_600_000
# How far the clocks of a site may be apart where one thing must come after another.
APART_MS = 2_000
AGREEMENT_MS, EARLY_MS = 15 * 60_000, 5 * 60_000
DUE_MS = 366 * 24 * 3_600_000
CARDS_MAX, NAME_MAX, LIST_MAX, SESSIONS_MAX, USED_MAX = 10_000_000, 48, 64, 128, 256

# Fields of a job, and of its head.
NAME, HEAD, STATE, CREATED, ITEMS, EDGE, SESSIONS, STOPS, COUNTS, INCIDENTS, USED = range(1, 12)
ROOT, SEALED_BY, ENDED, PURGED_MS = range(12, 16)
PROFILE, PROFILE_VERSION, STATION, ORDERED, ISSUED, CARRIED, LISTED, DUE = 3, 4, 6, 8, 9, 10, 11, 12
MADE = 0


def edge_of(hashes):
    """Roots of the complete subtrees of a tree, largest first."""
    stack = []
    for count, node in enumerate(hashes, start=1):
        while count % 2 == 0:
            node = sha256(b"\x01", stack.pop(), node)
            count //= 2
        stack.append(node)
    return stack


class Job:
    """A job: `fields` as its audit record has them, `tally` of its cards, and its list while it is there."""

    def __init__(self, name, head, created):
        self.name, self.head = name, head
        self.fields = {0: 1, NAME: name, HEAD: head, STATE: DRAFT, CREATED: created, ITEMS: 0}
        self.fields |= {field: [] for field in (EDGE, SESSIONS, STOPS, COUNTS, INCIDENTS, USED)}
        self.tally = {0: 0, 1: 0, 2: 0, 3: 0}
        self.listed, self.hashes = set(), []

    @property
    def limit(self):
        return self.head[ISSUED] + self.head[CARRIED]

    @property
    def pending(self):
        return self.tally[MADE] - sum(self.tally[1 + outcome] for outcome in (GOOD, REJECT, SAMPLE))

    def after(self, event):
        states, target = STEPS[event]
        if self.fields[STATE] not in states:
            raise Broken(f"job {self.name} is {STATES[self.fields[STATE]]}")
        return target

    def is_at(self, station):
        if self.head[STATION] != station:
            raise Broken(f"job {self.name} is for another station")

    def balance(self, counts):
        """Counted less what should be, in all and kind by kind, and the cards without result."""
        over = sum(counts.values()) - self.limit
        return {0: over} | {1 + kind: counts[kind] - self.tally[1 + kind] for kind in range(3)} | {4: self.pending}

    def operators(self):
        return {name for session in self.fields[SESSIONS] for name in session[1]}

    def reviewers(self):
        return {given[2] for given in self.fields[COUNTS] + self.fields[INCIDENTS]}

    def preparers(self):
        sealed = self.fields.get(SEALED_BY)
        return {self.fields[CREATED][0]} | ({sealed[0]} if sealed else set())

    def figures(self):
        last = self.fields[COUNTS][-1][0] if self.fields[COUNTS] else None
        return {
            "name": self.name,
            "state": STATES[self.fields[STATE]],
            "issued": self.head[ISSUED],
            "carried_over": self.head[CARRIED],
            "made": self.tally[MADE],
            "good": self.tally[1 + GOOD],
            "rejected": self.tally[1 + REJECT],
            "samples": self.tally[1 + SAMPLE],
            "returned": last[3] if last else None,
            "handed_over": last[4] if last else None,
            "balanced": not any(self.balance(last).values()) if last else None,
        }


class Jobs:
    """The jobs, what lies at which station, and the cards."""

    def __init__(self, roster, genesis, founding):
        self.roster, self.genesis = roster, genesis
        self.jobs, self.stations, self.cards = {}, {}, Cards()
        self.profiles = {
            (profile["name"], profile["version"]): Profile.founded(profile) for profile in founding["profiles"]
        }
        self.items_unseen, self.lost = False, False
        self.exchanges, self.asked, self.storage_keys, self.records = set(), set(), {}, {}

    def put_profile(self, fields):
        self.profiles[fields[0], fields[1]] = Profile.put(fields)

    def unseen(self, kind):
        """A leaf whose payload is withheld: of items it is erased with its job, of others nothing more is judged."""
        if kind == ITEMS_ADDED:
            self.items_unseen = True
        elif kind in JOB_LEAVES and kind not in (INCIDENT, RECORD_MADE):
            self.lost = True

    def figures(self):
        return [job.figures() for job in sorted(self.jobs.values(), key=lambda job: job.fields[CREATED][2])]

    def take(self, leaf, kind, fields, by_quorum=False):
        if self.lost:
            return
        if kind == JOB_OPENED:
            self._opened(leaf, fields)
        elif kind == CARD_KEYS_DERIVED:
            self._derived(leaf, fields, by_quorum)
        elif kind == JOB_CHANGED:
            self._changed(leaf, fields[1], OPERATIONS[fields[2]], fields[3])
        elif kind == ITEMS_ADDED:
            self._items(fields[1], self._request(fields[1], "job.items", fields[2]))
        elif kind == INCIDENT:
            self._incident(leaf, fields[1], self._request(fields[1], "job.incident", fields[2]))
        elif kind == CARDS_CHANGED:
            self._cards(fields[1], OPERATIONS[fields[2]], fields[3])
        elif kind == JOB_PURGED:
            self._purged(leaf, fields)
        elif kind == RECORD_MADE:
            self.records[fields[3]] = leaf.index
            if fields[1] not in self.roster.members or fields[2] not in self.jobs:
                raise Broken("a record for a stranger, or of no job")

    def _request(self, name, operation, statement):
        return self.roster.request(name, operation, statement, self.genesis)

    def _job(self, name):
        if name not in self.jobs:
            raise Broken(f"there is no job {name}")
        return self.jobs[name]

    def _in_role(self, name, role):
        member = self.roster.enabled(name)
        if not member.has(role):
            raise Broken(f"{name} is no {role}")

    def _agreed(self, leaf, signed, job, act, role):
        """The person who agreed to this act on this job, and the agreement's number with the time it is good until."""
        message = Signed(signed)
        member = self.roster.in_role_by_kid(role, message.kid)
        said = decode(message.open("keysvc/ja1", "keysvc:job-agreement:v1", self.genesis, member.signing_key))
        if not member.enabled:
            raise Broken(f"{member.name} is disabled")
        if said[3] != member.name or said[1] != job.name or said[2] != act:
            raise Broken("an agreement to another act or job")
        if leaf.time_ms > said[4] + AGREEMENT_MS or said[4] > leaf.time_ms + EARLY_MS:
            raise Broken("an agreement of long ago, or of the future")
        return member.name, {0: said[5], 1: said[4] + AGREEMENT_MS}

    def _both(self, leaf, agreements, job, act, roles):
        if len(agreements) < len(roles):
            raise Broken("a person's agreement is missing")
        agreed = [self._agreed(leaf, signed, job, act, role) for signed, role in zip(agreements, roles)]
        return [name for name, _ in agreed], [used for _, used in agreed]

    @staticmethod
    def _after(said_ms, at_ms):
        if said_ms + APART_MS < at_ms:
            raise Broken("said before what it must come after")

    @staticmethod
    def _used(job, leaf, agreements):
        used = [one for one in job.fields[USED] if one[1] >= leaf.time_ms]
        for one in agreements:
            if one[0] in [before[0] for before in used]:
                raise Broken("an agreement that was used before")
            used.append(one)
        if len(used) > USED_MAX:
            raise Broken("too many agreements")
        return used

    @staticmethod
    def _longer(items, item, most, people=lambda entry: []):
        """A list with one more; where it is full, the oldest goes whose people do it again later."""
        items = items + [item]
        if len(items) <= most:
            return items
        for place, entry in enumerate(items):
            later = {name for other in items[place + 1 :] for name in people(other)}
            if set(people(entry)) <= later:
                return items[:place] + items[place + 1 :]
        raise Broken("too long a history")

    def _changed(self, leaf, by, operation, statement):
        request = self._request(by, operation, statement)
        done = {0: by, 1: leaf.time_ms, 2: leaf.index}
        if operation == "job.create":
            return self._created(leaf, by, request, done)
        job = self._job(request[2])
        fields = dict(job.fields)
        if operation == "job.seal":
            self._in_role(by, "data-operator")
            fields[STATE] = job.after("seal")
            self._sealed(job, by, request)
            fields |= {ITEMS: request[4], EDGE: [], ROOT: request[5], SEALED_BY: done}
        elif operation == "job.withdraw":
            self._in_role(by, "data-operator")
            fields |= {STATE: job.after("withdraw"), ENDED: {0: done}}
            if by not in job.preparers():
                raise Broken(f"{by} neither made nor sealed job {job.name}")
        elif operation == "job.suspend":
            self._in_role(by, "station-operator")
            fields[STATE] = job.after("suspend")
            if by not in job.fields[SESSIONS][-1][1]:
                raise Broken(f"{by} is not of the session")
            fields[STOPS] = self._longer(fields[STOPS], {0: done, 1: request[3]}, LIST_MAX)
        elif operation == "job.count":
            self._counted(leaf, job, by, request, fields)
        elif operation == "job.close":
            self._closed(leaf, job, by, request, fields, done)
        else:
            raise Broken(f"{operation} changes no job")
        job.fields = fields

    def _created(self, leaf, by, request, done):
        self._in_role(by, "data-operator")
        name, head = request[2], request[3]
        station = self.roster.members.get(head[STATION])
        cards = head[ISSUED] + head[CARRIED]
        if (head[PROFILE], head[PROFILE_VERSION]) not in self.profiles:
            raise Broken("a job of a profile that is not in use")
        if station is None or station.kind != "station":
            raise Broken("a job for no station")
        if len(name) > NAME_MAX or cards > CARDS_MAX or not 1 <= head[ORDERED] <= cards:
            raise Broken("a job that does not agree with itself")
        if not leaf.time_ms <= head[DUE] <= leaf.time_ms + DUE_MS:
            raise Broken("a job that is due too early or too late")
        if name in self.jobs:
            raise Broken(f"the name {name} was used before")
        self.jobs[name] = Job(name, head, done)

    def _items(self, by, request):
        self._in_role(by, "data-operator")
        job, items = self._job(request[2]), request[3]
        job.after("add")
        cards = [item[0] for item in items]
        if job.fields[CREATED][0] != by:
            raise Broken(f"{by} did not make job {job.name}")
        if not job.head[LISTED] or not items or len(set(cards)) != len(cards) or job.listed & set(cards):
            raise Broken("no cards, or one twice, or a job that lists none")
        if job.fields[ITEMS] + len(items) > job.limit:
            raise Broken("more cards are listed than there are")
        job.listed |= set(cards)
        job.hashes += [leaf_hash(encode(item)) for item in items]
        job.fields |= {ITEMS: job.fields[ITEMS] + len(items), EDGE: edge_of(job.hashes)}

    def _sealed(self, job, by, request):
        if by == job.fields[CREATED][0]:
            raise Broken(f"{by} made and sealed job {job.name}")
        unseen = job.head[LISTED] and request[4] > job.fields[ITEMS] and self.items_unseen
        same = (request[4], request[5]) == (job.fields[ITEMS], tree_root(job.hashes))
        if request[3] != sha256(encode(job.head)) or not (unseen or same):
            raise Broken("the seal is over another head or list")
        if job.head[LISTED] and request[4] < job.head[ORDERED]:
            raise Broken("fewer cards are listed than ordered")

    def _opened(self, leaf, fields):
        station, operation, exchange = fields[1], OPERATIONS[fields[2]], fields[3]
        if operation not in ("job.open", "job.resume"):
            raise Broken(f"{operation} opens no job")
        request = self._request(station, operation, fields[5])
        job = self._job(request[2])
        job.is_at(station)
        if self.stations.get(station, job.name) != job.name:
            raise Broken("the job before is not purged from this station")
        resumes = operation == "job.resume"
        state = job.after("resume" if resumes else "open")
        act = {(AGREED_RESUME if resumes else AGREED_OPEN): {0: station}}
        people, agreements = self._both(leaf, request[3], job, act, ["station-operator"] * 2)
        if people[0] == people[1] or set(people) & (job.preparers() | job.reviewers()):
            raise Broken("operators who are one person, or who prepared or reviewed the job")
        before = [session[2] for session in job.fields[SESSIONS][-1:]]
        if resumes:
            before += [stop[0][1] for stop in job.fields[STOPS][-1:]]
        for one in agreements:
            self._after(one[1] - AGREEMENT_MS, max(before, default=0))
        used = self._used(job, leaf, agreements)
        if not leaf.time_ms < fields[4] <= leaf.time_ms + SESSION_MS:
            raise Broken("a session of more than two hours, or of none")
        session = {0: exchange, 1: people, 2: leaf.time_ms, 3: fields[4], 4: leaf.index}
        sessions = self._longer(job.fields[SESSIONS], session, SESSIONS_MAX, lambda entry: entry[1])
        job.fields = job.fields | {STATE: state, USED: used, SESSIONS: sessions}
        self.stations[station] = job.name
        if exchange in self.exchanges:
            raise Broken("the exchange was opened before")
        self.exchanges.add(exchange)

    def _derived(self, leaf, fields, by_quorum):
        station, count, root = fields[1], fields[5], fields[6]
        request = self._request(station, "card.derive", fields[7])
        exchange, generation, uids = request[2], request[4], request[5]
        job = self._job(request[3])
        job.is_at(station)
        job.after("work")
        session = job.fields[SESSIONS][-1]
        if session[0] != exchange:
            raise Broken("keys under another session than the newest")
        if leaf.time_ms > session[3] or not all(self.roster.members[name].enabled for name in session[1]):
            raise Broken("keys after the session was over")
        profile = self.profiles[job.head[PROFILE], job.head[PROFILE_VERSION]]
        if not uids or len(set(uids)) != len(uids):
            raise Broken("no cards, or one twice")
        issues = [self._issue(job, uid, generation, by_quorum) for uid in uids]
        asked = sum(issue != "again" for issue in issues)
        if asked and job.pending + asked > profile.pipeline:
            raise Broken("more cards in hand than the profile allows")
        cards = self._room(job, issues)
        if (fields[2], fields[3]) != (job.head[PROFILE], job.head[PROFILE_VERSION]) or fields[4] != cards:
            raise Broken("keys for more or fewer cards than the job had left")
        if count != cards * len(profile.slots) or root != profile.root(uids[:cards]):
            raise Broken("the root is not over the keys that were asked for")
        for uid, issue in zip(uids[:cards], issues):
            self._issued(job, station, uid, issue, generation)
        if (station, request[1]) in self.asked:
            raise Broken("the statement stands under an earlier leaf already")
        self.asked.add((station, request[1]))

    def _issue(self, job, uid, generation, by_quorum):
        """Whether the card may have keys now, and as what."""
        erased = self.items_unseen and len(job.listed) < job.fields[ITEMS]
        if job.head[LISTED] and uid not in job.listed and not erased:
            raise Broken("keys for a card that is not on the list")
        issue = self.cards.issue(uid, job, generation, by_quorum)
        card = self.cards.known.get(uid)
        if card and card.job != job.name and self._job(card.job).fields[STATE] not in (CLOSED, PURGED):
            raise Broken("keys for a card of a job that is not closed")
        return issue

    @staticmethod
    def _room(job, issues):
        """How many of the cards, from the first, there is room for."""
        made, cards = job.tally[MADE], 0
        for issue in issues:
            if issue == "new":
                if made >= job.limit:
                    break
                made += 1
            cards += 1
        if not cards:
            raise Broken("keys for more cards than were issued")
        return cards

    def _issued(self, job, station, uid, issue, generation):
        if issue == "again":
            return
        if issue == "anew":
            job.tally[1 + self.cards.known[uid].outcome_kind] -= 1
        else:
            job.tally[MADE] += 1
        self.cards.known[uid] = Card(IN_PRODUCTION, generation, job.name, station)

    def _cards(self, by, operation, statement):
        request = self._request(by, operation, statement)
        if operation == "card.transition":
            member = self.roster.enabled(by)
            for uid in request[2]:
                card = self.cards.known.get(uid)
                if card and self._job(card.job).fields[STATE] not in (CLOSED, PURGED):
                    raise Broken("a card that moved before its job was counted and closed")
            self.cards.move(request[2], request[3], by, member, request.get(4), self.roster, request.get(5))
        elif operation == "card.result":
            self._results(by, request)
        else:
            raise Broken(f"{operation} changes no cards")

    def _results(self, by, request):
        job, results = self._job(request[2]), request[3]
        job.is_at(by)
        job.after("work")
        slots = len(self.profiles[job.head[PROFILE], job.head[PROFILE_VERSION]].slots)
        if not results or len({result[0] for result in results}) != len(results):
            raise Broken("no results, or a card twice")
        moved = []
        for result in results:
            uid, said, read = result[0], result[1], len(result[2])
            kind = outcome_of(said)
            if read != slots and not (kind == REJECT and read == 0):
                raise Broken("not every slot was read back")
            card = self.cards.known.get(uid)
            if card is None or card.job != job.name:
                raise Broken("a result of a card without keys of this job")
            if card.outcome == said:
                continue
            if card.state != IN_PRODUCTION:
                raise Broken("a second result of a card")
            moved.append((card, said, kind))
        for card, said, kind in moved:
            card.state, card.outcome, card.outcome_kind = AFTER_RESULT[kind], said, kind
            job.tally[1 + kind] += 1

    def _reviewed(self, leaf, job, agreements, act, fields):
        people, agreed = self._both(leaf, agreements, job, act, ["station-operator", "reviewer"])
        operator, reviewer = people
        if operator not in job.operators():
            raise Broken(f"{operator} did not operate the job")
        if reviewer in job.operators() or reviewer == operator:
            raise Broken(f"{reviewer} operated the job and reviewed it")
        fields[USED] = self._used(job, leaf, agreed)
        return operator, reviewer

    def _counted(self, leaf, job, by, request, fields):
        job.is_at(by)
        counts = request[3]
        balance = job.balance(counts)
        fields[STATE] = job.after("mismatch" if any(balance.values()) else "balance")
        operator, reviewer = self._reviewed(leaf, job, request[4], {AGREED_COUNT: {0: counts}}, fields)
        given = {0: counts, 1: operator, 2: reviewer, 3: balance, 4: leaf.time_ms, 5: leaf.index}
        fields[COUNTS] = self._longer(fields[COUNTS], given, LIST_MAX, lambda entry: [entry[2]])

    def _incident(self, leaf, by, request):
        job = self._job(request[2])
        job.is_at(by)
        if job.fields[STATE] not in (OPEN, SUSPENDED, COUNTED):
            raise Broken(f"job {job.name} is {STATES[job.fields[STATE]]}")
        fields = dict(job.fields)
        act = {AGREED_INCIDENT: {0: request[3]}}
        operator, reviewer = self._reviewed(leaf, job, request[4], act, fields)
        given = {0: request[3], 1: operator, 2: reviewer, 3: leaf.time_ms, 4: leaf.index}
        fields[INCIDENTS] = self._longer(fields[INCIDENTS], given, LIST_MAX, lambda entry: [entry[2]])
        job.fields = fields

    def _closed(self, leaf, job, by, request, fields, done):
        job.is_at(by)
        fields[STATE] = job.after("close")
        last = job.fields[COUNTS][-1] if job.fields[COUNTS] else None
        if last is None or any(last[3].values()) or job.pending:
            raise Broken("closed although the counts do not balance")
        receipt, agreements = request[3], request[4]
        if receipt[0] != by or len(agreements) != 1:
            raise Broken("not this station's receipt with one witness")
        witness, used = self._agreed(leaf, agreements[0], job, {AGREED_CLOSE: {0: receipt}}, "monitor")
        if witness in job.operators() | job.preparers() | job.reviewers():
            raise Broken(f"{witness} witnessed a job of their own")
        self._after(receipt[1], last[4])
        if receipt[1] > leaf.time_ms + EARLY_MS:
            raise Broken("a purge in the future")
        self._after(used[1] - AGREEMENT_MS, last[4])
        fields[USED] = self._used(job, leaf, [used])
        fields[ENDED] = {0: done, 1: receipt, 2: witness}

    def _purged(self, leaf, fields):
        job, had_key = self._job(fields[1]), fields[2]
        state = job.after("purge")
        job.fields = job.fields | {STATE: state, PURGED_MS: leaf.time_ms}
        if SEALED_BY not in job.fields:
            job.fields |= {ITEMS: 0, EDGE: []}
        if self.stations.get(job.head[STATION]) == job.name:
            del self.stations[job.head[STATION]]
        job.listed, job.hashes = set(), []
        key = self.storage_keys.get(f"storage.job.{job.name}")
        if key is False or (key is None and had_key):
            raise Broken("the storage key of the job was not destroyed")

    def storage_key_made(self, name):
        """Storage keys of jobs: False while one stands, True once it is destroyed."""
        self.storage_keys[name] = False

    def storage_key_destroyed(self, name, intent):
        """The key under which a job's data lies is destroyed for the leaf that closed or withdrew the job."""
        self.storage_keys[name] = True
        if self.lost or not name.startswith("storage.job."):
            return
        ended = self._job(name.removeprefix("storage.job.")).fields.get(ENDED)
        if ended is None or ended[0][2] != intent:
            raise Broken("the storage key of a job was destroyed for a leaf that did not end the job")

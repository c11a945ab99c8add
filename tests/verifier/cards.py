"""Cards: their states, what may become of them, and the keys that were released for them.

A card is known by its identifier and held as a small record: state, generation, the job that made it, where it is, what the
station said became of it. Card keys themselves are in no log; what they were diversified from is hashed in it, and is
computed again here.
"""

from exported_log import Broken, encode, leaf_hash, sha256, tree_root

STATES = "blank in-production ready active frozen retired awaiting-destruction destroyed".split()
BLANK, IN_PRODUCTION, READY, ACTIVE, FROZEN, RETIRED, AWAITING_DESTRUCTION, DESTROYED = range(8)
GOOD, REJECT, SAMPLE = range(3)
UID, APPLICATION, KEY_NUMBER, KEY_VERSION, SYSTEM_IDENTIFIER = range(5)
PARTS = ["uid", "application", "key-number", "key-version", "system-identifier"]

# What the station says of a card, and the state that follows from it while the card is in production.
AFTER_RESULT = {GOOD: READY, REJECT: AWAITING_DESTRUCTION, SAMPLE: RETIRED}
# What may be asked of a card afterwards, and from which states.
AFTER_MOVE = {ACTIVE: {READY}, RETIRED: {READY, ACTIVE}, AWAITING_DESTRUCTION: {READY, RETIRED}}


def outcome_of(said):
    """GOOD and SAMPLE stand alone, a reject has its cause."""
    return REJECT if isinstance(said, dict) else said


class Card:
    def __init__(self, state, generation, job, location):
        self.state, self.generation, self.job, self.location = state, generation, job, location
        self.outcome = None


class Slot:
    def __init__(self, number, key, key_version, key_number, application):
        self.number, self.key, self.key_version = number, key, key_version
        self.key_number, self.application = key_number, application


class Profile:
    """What of a card profile concerns jobs: slots, the diversification input, and how many cards may be in hand."""

    def __init__(self, parts, system_identifier, slots, pipeline):
        self.parts, self.system_identifier, self.pipeline = parts, system_identifier, pipeline
        self.slots = sorted(slots, key=lambda slot: slot.number)

    @classmethod
    def founded(cls, profile):
        slots = [
            Slot(
                slot["slot"],
                slot["key"],
                slot["key-version"],
                slot["key-number"],
                bytes.fromhex(slot["application"]),
            )
            for slot in profile["slots"]
        ]
        parts = [PARTS.index(part) for part in profile["input"]]
        return cls(parts, bytes.fromhex(profile["system-identifier"]), slots, profile.get("pipeline", 8))

    @classmethod
    def put(cls, fields):
        slots = [Slot(slot[0], slot[1], slot[2], slot[3], bytes.fromhex(slot[4])) for slot in fields[6]]
        return cls(fields[4], bytes.fromhex(fields[5]), slots, fields.get(9, 8))

    def _input(self, slot, card):
        if len(card) not in (7, 10):
            raise Broken("a card that the profile cannot diversify")
        values = {
            UID: card,
            APPLICATION: slot.application,
            KEY_NUMBER: bytes([slot.key_number]),
            KEY_VERSION: bytes([slot.key_version]),
            SYSTEM_IDENTIFIER: self.system_identifier,
        }
        made = b"".join(values[part] for part in self.parts)
        if not 16 <= len(made) <= 31:
            raise Broken("a card that the profile cannot diversify")
        return made

    def root(self, cards):
        """RFC 6962 root over the keys of cards in every slot, card by card."""
        return tree_root(
            leaf_hash(
                encode(
                    {0: 1, 1: card, 2: slot.number, 3: slot.key, 4: slot.key_version, 5: sha256(self._input(slot, card))}
                )
            )
            for card in cards
            for slot in self.slots
        )


class Cards:
    """The cards that the log has met."""

    def __init__(self):
        self.known = {}

    def by_state(self):
        sums = {}
        for card in self.known.values():
            sums[STATES[card.state]] = sums.get(STATES[card.state], 0) + 1
        return sums

    def issue(self, uid, job, generation, by_quorum):
        """Whether a card is issued now: AGAIN as it is, NEW to the job, or ANEW in it. Changes nothing."""
        card = self.known.get(uid)
        newest = card.generation if card else 0
        of_job = card is not None and card.job == job.name
        if of_job and generation == newest:
            if card.state != IN_PRODUCTION:
                raise Broken(f"keys were released again for a card that was {STATES[card.state]}")
            return "again"
        if generation == 0 or generation != newest + 1:
            raise Broken(f"keys of generation {generation} where the newest is {newest}")
        if of_job and card.state == IN_PRODUCTION:
            raise Broken("a card in hand begins again before its result")
        if card is not None and card.state not in (IN_PRODUCTION, READY):
            raise Broken(f"keys were released again for a card that was {STATES[card.state]}")
        if generation > 1 and not by_quorum:
            raise Broken("keys of another generation without two people")
        return "anew" if of_job and card.outcome is not None else "new"

    def move(self, uids, target, by, member, location, roster, holder):
        """A terminal or office puts cards into another state: all of them or none."""
        kind = member.kind
        if kind not in ("terminal", "office"):
            raise Broken(f"{by} moves no cards")
        if target not in AFTER_MOVE or (kind == "terminal" and target != ACTIVE):
            raise Broken(f"{by} may not put a card into this state")
        if not uids or len(set(uids)) != len(uids) or (holder is not None and (len(uids) > 1 or target != ACTIVE)):
            raise Broken("no cards, or one twice, or several for one holder")
        own = member.department
        if location not in (None, own):
            taken = location in roster.members or any(other.department == location for other in roster.members.values())
            if not location.startswith(own + ".") or taken:
                raise Broken("cards put where another has its own")
        moved = []
        for uid in uids:
            card = self.known.get(uid)
            if card is None:
                raise Broken("a card that is not known")
            at = roster.members.get(card.location)
            if not (at is not None and at.kind == "station") and not (card.location == own or card.location.startswith(own + ".")):
                raise Broken("a card that another organisation has")
            if card.state == target and holder is None:
                continue
            if card.state not in AFTER_MOVE[target]:
                raise Broken(f"a card that was {STATES[card.state]} cannot be {STATES[target]}")
            moved.append(card)
        for card in moved:
            card.state, card.location = target, location or member.department

"""A job's audit record: what the service signed about a job, against what its leaves say."""

from cose import Signed
from exported_log import decode, encode, sha256
from jobs import NAME

# How long after its making the leaf may be that says that it was made.
SLACK_MS = 60_000


class Record:
    """A job's audit record as the service signed it, against the job as the log makes it at its checkpoint."""

    def __init__(self, message, genesis, key):
        payload = Signed(message).open("keysvc/jr1", "keysvc:job-record:v1", genesis, key)
        fields = decode(payload)
        self.digest, self.job, self.tally, self.made_ms = sha256(payload), fields[1], fields[2], fields[4]
        self.note, self.size, self.same = fields[3], None, None

    def look(self, jobs):
        """Before the leaf behind its checkpoint."""
        job = jobs.jobs.get(self.job[NAME])
        self.same = job is not None and encode(job.fields) == encode(self.job) and job.tally == self.tally

    def holds(self, jobs, last_ms):
        unsaid = self.digest not in jobs.records and last_ms > self.made_ms + SLACK_MS
        return bool(self.same) and not unsaid

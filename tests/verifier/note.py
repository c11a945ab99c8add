"""A checkpoint: a signed note (C2SP), read in its one form and verified under one key."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cose import ORDER
from exported_log import Broken, one_spelling, sha256

LENGTH_MAX, LINES_MAX = 2048, 16
DASH = "\N{EM DASH} "


class Note:
    """A note split into its parts; `check` says whether it is signed."""

    def __init__(self, note):
        if len(note) > LENGTH_MAX:
            raise Broken("the checkpoint is too long")
        try:
            whole = note.decode()
        except UnicodeDecodeError as error:
            raise Broken("the checkpoint is not text") from error
        if any(ord(one) < 0x20 and one != "\n" or one == "\x7f" for one in whole):
            raise Broken("the checkpoint is not text")
        text, blank, signatures = whole.partition("\n\n")
        lines = text.split("\n")
        if not blank or not signatures.endswith("\n") or len(lines) != 3:
            raise Broken("the checkpoint is not one")
        self.text, self.origin, self.size = f"{text}\n", lines[0], self._size(lines[1])
        self.root = self._base64(lines[2])
        self.lines = [self._line(line) for line in signatures[:-1].split("\n")]
        if len(self.root) != 32 or len(self.lines) > LINES_MAX:
            raise Broken("the checkpoint is not one")

    @staticmethod
    def _size(text):
        if not text.isascii() or not text.isdigit() or str(int(text)) != text or int(text) >= 1 << 64:
            raise Broken("the checkpoint's size is not one")
        return int(text)

    @staticmethod
    def _base64(text):
        try:
            return one_spelling(text)
        except ValueError as error:
            raise Broken("the checkpoint has what is not base64") from error

    def _line(self, line):
        words = line.removeprefix(DASH).split(" ")
        if not line.startswith(DASH) or len(words) != 2 or not words[0]:
            raise Broken("the checkpoint has a line that is no signature")
        raw = self._base64(words[1])
        return words[0], raw[:4], raw[4:]

    def check(self, spki, domain):
        """Every line by this key verifies, and there is one; lines by others are ignored."""
        if self.origin != f"{domain}/keysvc/1":
            raise Broken("the checkpoint is of another log")
        ours = [raw for name, key, raw in self.lines if (name, key) == (self.origin, sha256(spki)[:4])]
        if not ours:
            raise Broken("the checkpoint is not signed with this key")
        for signature in ours:
            self._check_signature(spki, signature)

    def _check_signature(self, spki, signature):
        try:
            r, s = decode_dss_signature(signature)
        except ValueError as error:
            raise Broken("the checkpoint's signature is not DER") from error
        if encode_dss_signature(r, s) != signature:
            raise Broken("the checkpoint's signature is not DER")
        if s > ORDER // 2:
            raise Broken("the checkpoint's signature is not in low-S form")
        try:
            load_der_public_key(spki).verify(signature, self.text.encode(), ec.ECDSA(SHA256()))
        except InvalidSignature as error:
            raise Broken("the checkpoint's signature does not verify") from error

"""COSE_Sign1 in the one form that docs/wire.md allows, verified with the library of another hand."""

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from ecdsa.errors import MalformedPointError
from ecdsa.keys import BadSignatureError
from pycose.exceptions import CoseException
from pycose.keys import EC2Key
from pycose.keys.curves import P256
from pycose.messages import Sign1Message

from exported_log import Broken, decode, encode, sha256

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class BadSignature(Broken):
    """Of the right form and by the right key's identifier, and not signed by it."""


class Signed:
    """A message split into its parts. Its payload is read through `open` alone, once its signature holds."""

    def __init__(self, message):
        tag = decode(message)
        if not isinstance(tag, cbor2.CBORTag) or tag.tag != 18 or len(tag.value) != 4:
            raise Broken("not a COSE_Sign1")
        self.protected, unprotected, self._payload, self.signature = tag.value
        header = decode(self.protected)
        if unprotected != {} or set(header) != {1, 4, 16} or header[1] != -7 or len(self.signature) != 64:
            raise Broken("not a COSE_Sign1 in the profile's form")
        self.kid, self.typ = header[4], header[16]

    def open(self, typ, domain, scope, spki):
        if self.typ != typ:
            raise Broken(f"a message of kind {self.typ} for {typ}")
        if self.kid != key_identifier(spki):
            raise Broken("signed with another key")
        r = int.from_bytes(self.signature[:32], "big")
        s = int.from_bytes(self.signature[32:], "big")
        if s > ORDER // 2:
            raise Broken("the signature is not in low-S form")
        external_aad = domain.encode() + b"\x00" + scope
        structure = encode(["Signature1", self.protected, external_aad, self._payload])
        try:
            load_der_public_key(spki).verify(encode_dss_signature(r, s), structure, ec.ECDSA(SHA256()))
        except InvalidSignature as error:
            raise BadSignature("the signature does not verify") from error
        return self._payload

    def open_twice(self, typ, domain, scope, spki):
        """`open`, by this code over OpenSSL and by pycose over Python's ecdsa, which must agree."""
        by_pycose = self._verifies_by_pycose(domain.encode() + b"\x00" + scope, spki)
        try:
            payload = self.open(typ, domain, scope, spki)
        except BadSignature:
            if by_pycose:
                raise Broken("pycose verifies what OpenSSL does not") from None
            raise
        if not by_pycose:
            raise Broken("OpenSSL verifies what pycose does not")
        return payload

    def _verifies_by_pycose(self, external_aad, spki):
        # From its parts: what cbor2 reads within a tag is not what pycose expects there.
        message = Sign1Message.from_cose_obj([self.protected, {}, self._payload, self.signature], True)
        message.external_aad = external_aad
        try:
            message.key = EC2Key(crv=P256, x=spki[-64:-32], y=spki[-32:])
            return message.verify_signature()
        except (CoseException, BadSignatureError, MalformedPointError):
            return False


def key_identifier(spki):
    return sha256(spki)[:8]

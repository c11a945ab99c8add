//! A value update on its way: signed as a request, and proved before it is released.
//!
//! Apart because a till sends its requests itself or gives them to a hub, and both hold the answer against the same
//! request. It sends nothing.

use crate::{error::ClientError, leaf_shown::Shown, reader::Reader, trust_store::Founded};
use keysvc_protocol::{
    cbor::{self, REQUEST_LEN_MAX},
    checkpoint::SignedCheckpoint,
    cose::{Kind, Signed},
    leaf::{LeafKind, ValueUpdatedLeaf},
    name::Name,
    public_key::PublicKey,
    reply::ValueUpdateReply,
    request::{BATCH_ITEM_LEN_MAX, Operation, UpdateValue},
    value::ValueUpdate,
};

/// A value update that may be written to the card: signed by the programme's key and proved to be in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUpdate {
    /// `COSE_Sign1` of the update, as received.
    pub record: Vec<u8>,
    /// What it says.
    pub update: ValueUpdate,
    /// Index of its leaf.
    pub leaf_index: u64,
    /// A checkpoint of a tree that contains the leaf.
    pub checkpoint: SignedCheckpoint,
}

/// A terminal's signed request for a value update: byte for byte what the terminal would send alone. A hub sends many
/// of them in one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    message: Vec<u8>,
    request: UpdateValue,
    terminal: Name,
    statement_key: PublicKey,
}

impl SignedRequest {
    /// Reads the bytes that a terminal signed, and checks that a principal of the founding did.
    ///
    /// # Errors
    /// [`ClientError::Request`] when they are no such request.
    pub fn open(message: Vec<u8>, founded: &Founded) -> Result<Self, ClientError> {
        let kid = Signed::parse(&message).map(|signed| signed.key_identifier());
        let signer = kid.ok().and_then(|kid| founded.signer(kid));
        let Some((terminal, statement_key)) = signer else {
            let what = match kid {
                Ok(_) => "it is signed with a key that the founding does not enrol".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(ClientError::Request { what: format!("a terminal's request: {what}") });
        };
        Self::open_of(message, founded, terminal, statement_key)
    }

    /// The same for a terminal that was enrolled, or got another key, after the founding: its name and statement key are
    /// the caller's to know.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the bytes are no request that this key signed.
    pub fn open_of(
        message: Vec<u8>,
        founded: &Founded,
        terminal: Name,
        statement_key: PublicKey,
    ) -> Result<Self, ClientError> {
        let fault = |what: &str| ClientError::Request { what: format!("a terminal's request: {what}") };
        if message.len() > BATCH_ITEM_LEN_MAX {
            return Err(fault(&format!("{} bytes are more than a batch takes", message.len())));
        }
        let signed = Signed::parse(&message).map_err(|error| fault(&error.to_string()))?;
        let payload = signed
            .open(Kind::Request(Operation::ValueUpdate), founded.genesis().as_bytes(), &statement_key)
            .map_err(|error| fault(&error.to_string()))?;
        let request = cbor::decode(payload, REQUEST_LEN_MAX).map_err(|error| fault(&error.to_string()))?;
        Ok(Self { message, request, terminal, statement_key })
    }

    /// The `COSE_Sign1`, to be carried to a hub.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.message
    }

    /// What is asked.
    #[must_use]
    pub const fn request(&self) -> &UpdateValue {
        &self.request
    }

    /// The terminal that signed it.
    #[must_use]
    pub const fn terminal(&self) -> &Name {
        &self.terminal
    }

    /// What was asked, to hold the answer against.
    #[cfg(feature = "hub")]
    pub(crate) const fn asked(&self) -> Asked<'_> {
        Asked { request: &self.request, terminal: &self.terminal, statement_key: self.statement_key }
    }
}

/// What was asked, to hold the reply against.
pub(crate) struct Asked<'a> {
    /// The request.
    pub(crate) request: &'a UpdateValue,
    /// Whose request it is.
    pub(crate) terminal: &'a Name,
    /// The key that signed it.
    pub(crate) statement_key: PublicKey,
}

impl Asked<'_> {
    /// Checks everything about a reply, with one more read where the record's key is not the founding's.
    pub(crate) async fn released(
        &self,
        reader: &Reader,
        reply: ValueUpdateReply,
    ) -> Result<SignedUpdate, ClientError> {
        let key = reader.value_key(&self.request.programme, reply.record.as_bytes()).await?;
        self.check(reader.founded(), &key, reply)
    }

    /// Checks the record with the programme's key, its agreement with the request, and its inclusion in the receipt's
    /// checkpoint, which was judged before.
    pub(crate) fn check(
        &self,
        founded: &Founded,
        key: &PublicKey,
        reply: ValueUpdateReply,
    ) -> Result<SignedUpdate, ClientError> {
        let record = reply.record.into_bytes();
        let update = ValueUpdate::verify(&record, founded.genesis(), key)?;
        if !self.is_answered_by(&update) {
            return Err(ClientError::untrusted("the update is not the one asked for"));
        }
        let shown = Shown::of(&reply.receipt)?;
        let leaf: ValueUpdatedLeaf = shown.act(&[LeafKind::ValueUpdated])?;
        self.check_leaf(founded, &leaf, &cbor::encode(&update))?;
        let evidence = shown.by_quorum()?.map(|act| act.evidence.digest());
        if evidence != update.evidence {
            return Err(ClientError::untrusted("the record names another evidence than its leaf holds"));
        }
        Ok(SignedUpdate {
            update,
            leaf_index: reply.receipt.leaf_index,
            checkpoint: reply.receipt.checkpoint,
            record,
        })
    }

    fn is_answered_by(&self, update: &ValueUpdate) -> bool {
        let asked = self.request;
        update.programme == asked.programme
            && update.card == asked.card
            && update.purse == asked.purse
            && update.operation == asked.operation
            && update.seq == asked.expected_seq
            && update.amount == asked.amount
            && update.currency == asked.currency
            && update.balance_before == asked.balance_before
            && update.txn == asked.txn
            && update.terminal == *self.terminal
    }

    /// Checks that the leaf records this update and our own statement for it.
    fn check_leaf(
        &self,
        founded: &Founded,
        leaf: &ValueUpdatedLeaf,
        update: &[u8],
    ) -> Result<(), ClientError> {
        if leaf.update.as_bytes() != update {
            return Err(ClientError::untrusted("the leaf records another update than was signed"));
        }
        let kind = Kind::Request(Operation::ValueUpdate);
        let statement = Signed::parse(leaf.statement.0.as_bytes())
            .and_then(|signed| signed.open(kind, founded.genesis().as_bytes(), &self.statement_key))
            .map_err(|error| ClientError::untrusted(format!("the leaf's statement: {error}")))?;
        if statement == cbor::encode(self.request) {
            Ok(())
        } else {
            Err(ClientError::untrusted("the leaf records another statement than ours"))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{Key, Log, STATEMENT, TERMINAL, VALUE};
    use keysvc_protocol::{
        bytes::{Blob, Idem, PreviousUpdate},
        leaf::Statement as LeafStatement,
        request::ValueOperation,
        schema::Schema,
        value::ValueError,
    };

    pub(crate) fn request() -> UpdateValue {
        UpdateValue {
            schema: Schema,
            programme: "coffee".parse().unwrap(),
            card: "04782e21801d80".parse().unwrap(),
            purse: 1,
            operation: ValueOperation::Load,
            expected_seq: 1,
            amount: 2000,
            currency: 978,
            balance_before: 0,
            txn: Idem::new([5; 16]),
        }
    }

    pub(crate) fn update() -> ValueUpdate {
        ValueUpdate {
            schema: Schema,
            programme: "coffee".parse().unwrap(),
            card: "04782e21801d80".parse().unwrap(),
            purse: 1,
            operation: ValueOperation::Load,
            seq: 1,
            amount: 2000,
            currency: 978,
            balance_before: 0,
            balance_after: 2000,
            previous: PreviousUpdate::new([0; 16]),
            txn: Idem::new([5; 16]),
            terminal: "terminal-1".parse().unwrap(),
            issued_at_ms: 2,
            expires_at_ms: 3,
            flags: 1,
            evidence: None,
        }
    }

    /// What the service might answer; good unless changed.
    struct Answer {
        signed: ValueUpdate,
        recorded: ValueUpdate,
        key: u8,
        kind: LeafKind,
        statement: UpdateValue,
    }

    impl Answer {
        fn good() -> Self {
            Self {
                signed: update(),
                recorded: update(),
                key: VALUE,
                kind: LeafKind::ValueUpdated,
                statement: request(),
            }
        }

        fn signing(update: ValueUpdate) -> Self {
            Self { signed: update.clone(), recorded: update, ..Self::good() }
        }

        fn reply(self) -> (Founded, ValueUpdateReply) {
            let mut log = Log::new(4, 0);
            let trust = log.trust();
            let scope = trust.genesis.as_bytes();
            let kind = Kind::Request(Operation::ValueUpdate);
            let statement = Key::new(TERMINAL).cose(kind, scope, cbor::encode(&self.statement));
            let payload = ValueUpdatedLeaf {
                schema: Schema,
                update: Blob::try_from(cbor::encode(&self.recorded)).unwrap(),
                statement: LeafStatement(Blob::try_from(statement).unwrap()),
            };
            log.append(self.kind, cbor::encode(&payload));
            let record = Key::new(self.key).cose(Kind::ValueUpdate, scope, cbor::encode(&self.signed));
            let reply = ValueUpdateReply {
                schema: Schema,
                record: Blob::try_from(record).unwrap(),
                receipt: log.receipt(),
            };
            (Founded::check(&trust, &log.0[0]).unwrap(), reply)
        }

        fn checked(self) -> Result<SignedUpdate, ClientError> {
            let (founded, reply) = self.reply();
            check(&founded, reply)
        }
    }

    fn check(founded: &Founded, reply: ValueUpdateReply) -> Result<SignedUpdate, ClientError> {
        let (request, terminal) = (request(), "terminal-1".parse().unwrap());
        let statement_key = Key::new(TERMINAL).public();
        let record = Signed::parse(reply.record.as_bytes()).map_err(ValueError::from)?;
        let key = founded.value_key(&request.programme, record.key_identifier());
        let key =
            key.ok_or_else(|| ClientError::untrusted("the record is not signed by the programme's key"))?;
        Asked { request: &request, terminal: &terminal, statement_key }.check(founded, &key, reply)
    }

    fn untrusted(result: Result<SignedUpdate, ClientError>) -> String {
        match result {
            Err(ClientError::Untrusted { what, evidence: None }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signed_update_that_the_log_holds_is_released() {
        let released = Answer::good().checked().unwrap();
        assert_eq!(released.update, update());
        assert_eq!((released.leaf_index, released.checkpoint.checkpoint().head.size), (5, 6));
    }

    #[test]
    fn an_update_that_differs_from_the_request_in_any_field_is_refused() {
        let others = [
            ValueUpdate { programme: "tea".parse().unwrap(), ..update() },
            ValueUpdate { card: "04782e21801d81".parse().unwrap(), ..update() },
            ValueUpdate { purse: 2, ..update() },
            ValueUpdate { seq: 2, previous: PreviousUpdate::new([1; 16]), ..update() },
            ValueUpdate { amount: 1, balance_after: 1, ..update() },
            ValueUpdate { currency: 840, ..update() },
            ValueUpdate { txn: Idem::new([6; 16]), ..update() },
            ValueUpdate { terminal: "terminal-2".parse().unwrap(), ..update() },
            ValueUpdate {
                seq: 2,
                previous: PreviousUpdate::new([1; 16]),
                balance_before: 1,
                balance_after: 2001,
                ..update()
            },
            ValueUpdate {
                operation: ValueOperation::Debit,
                seq: 2,
                previous: PreviousUpdate::new([1; 16]),
                balance_before: 2000,
                balance_after: 0,
                ..update()
            },
        ];
        for other in others {
            assert_eq!(untrusted(Answer::signing(other).checked()), "the update is not the one asked for");
        }
    }

    #[test]
    fn a_record_by_another_key_of_the_service_is_refused() {
        let answer = Answer { key: STATEMENT, ..Answer::good() };
        assert_eq!(untrusted(answer.checked()), "the record is not signed by the programme's key");
    }

    #[test]
    fn a_record_with_a_changed_byte_is_refused() {
        let (founded, good) = Answer::good().reply();
        let record = good.record.as_bytes().to_vec();
        for place in 0..record.len() {
            let mut record = record.clone();
            record[place] ^= 1;
            let reply = ValueUpdateReply { record: Blob::try_from(record).unwrap(), ..good.clone() };
            assert!(check(&founded, reply).is_err(), "byte {place}");
        }
    }

    #[test]
    fn without_a_leaf_or_its_inclusion_nothing_is_released() {
        let (founded, good) = Answer::good().reply();
        let mut reply = good.clone();
        reply.receipt.leaf = None;
        assert_eq!(untrusted(check(&founded, reply)), "the receipt carries no inclusion proof");
        let mut reply = good.clone();
        reply.receipt.inclusion = None;
        assert_eq!(untrusted(check(&founded, reply)), "the receipt carries no inclusion proof");
        let mut reply = good.clone();
        reply.receipt.checkpoint = Log::new(5, 1).checkpoint(6);
        let wrong = "the receipt's inclusion proof: the proof does not lead to the root";
        assert_eq!(untrusted(check(&founded, reply)), wrong);
        let mut reply = good;
        reply.receipt.leaf_index = 4;
        assert_eq!(untrusted(check(&founded, reply)), "the receipt names another leaf");
    }

    #[test]
    fn a_leaf_with_its_payload_withheld_proves_nothing() {
        let (founded, mut reply) = Answer::good().reply();
        reply.receipt.leaf.as_mut().unwrap().payload = None;
        assert_eq!(untrusted(check(&founded, reply)), "the leaf comes without its payload");
        let (founded, mut reply) = Answer::good().reply();
        reply.receipt.leaf.as_mut().unwrap().salt = None;
        assert_eq!(untrusted(check(&founded, reply)), "the leaf comes without its payload");
    }

    #[test]
    fn a_leaf_of_another_kind_or_another_update_or_statement_is_refused() {
        let start = Answer { kind: LeafKind::Start, ..Answer::good() };
        assert_eq!(untrusted(start.checked()), "the leaf is of another kind than what was asked");
        let other = Answer { recorded: ValueUpdate { expires_at_ms: 4, ..update() }, ..Answer::good() };
        assert_eq!(untrusted(other.checked()), "the leaf records another update than was signed");
        let statement = UpdateValue { balance_before: 1, ..request() };
        let other = Answer { statement, ..Answer::good() };
        assert_eq!(untrusted(other.checked()), "the leaf records another statement than ours");
    }

    fn signed(key: u8, request: &UpdateValue) -> Vec<u8> {
        let genesis = Log::new(0, 0).trust().genesis;
        Key::new(key).cose(Kind::Request(Operation::ValueUpdate), genesis.as_bytes(), cbor::encode(request))
    }

    #[test]
    fn a_terminals_request_is_read_by_whoever_carries_it_and_no_other_bytes_are() {
        let log = Log::new(0, 0);
        let founded = Founded::check(&log.trust(), &log.0[0]).unwrap();
        let message = signed(TERMINAL, &request());
        let opened = SignedRequest::open(message.clone(), &founded).unwrap();
        assert_eq!((opened.as_bytes(), opened.request()), (message.as_slice(), &request()));
        assert_eq!(opened.terminal().as_str(), "terminal-1");
        for place in 0..message.len() {
            let mut message = message.clone();
            message[place] ^= 1;
            let error = SignedRequest::open(message, &founded).unwrap_err();
            assert!(matches!(error, ClientError::Request { .. }), "byte {place}: {error:?}");
        }
        let stranger = SignedRequest::open(signed(77, &request()), &founded).unwrap_err();
        assert!(stranger.to_string().contains("does not enrol"), "{stranger}");
        assert!(SignedRequest::open(vec![0; BATCH_ITEM_LEN_MAX + 1], &founded).is_err());
    }
}

//! A terminal: asks for value updates, and releases one only when the log provably holds it.
//!
//! It writes no cards and keeps no journal: the program around it does.

use crate::{
    config::ClientConfig,
    error::ClientError,
    reader::Reader,
    signer::{self, StatementSigner},
    statement::{Statement, fresh_idem},
    trust_store::Founded,
};
use keysvc_protocol::{
    bytes::Idem,
    cbor,
    checkpoint::SignedCheckpoint,
    cose::{Kind, Signed},
    leaf::{LeafKind, ValueUpdatedLeaf},
    name::Name,
    public_key::PublicKey,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    reply::ValueUpdateReply,
    request::{Operation, UpdateValue},
    value::{ValueError, ValueUpdate},
};
use std::sync::Arc;

/// A terminal's connection with its statement key.
#[derive(Debug)]
pub struct Terminal {
    reader: Reader,
    signer: Arc<dyn StatementSigner>,
    name: Name,
}

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

impl Terminal {
    /// Opens the statement key and learns what the service is.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction; [`ClientError::Config`] when the founding does not
    /// enrol this statement key.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let signer = signer::of_config(config)?;
        let reader = Reader::connect(config).await?;
        let name = reader.founded().name_of(&signer.public_key())?;
        Ok(Self { reader, signer, name })
    }

    /// A fresh transaction number: 16 random bytes, to be written down before the first send.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the system gives no random bytes.
    pub fn new_txn() -> Result<Idem, ClientError> {
        fresh_idem()
    }

    /// The reads every persona may make.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The terminal's name, from its enrolment.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Asks for one load or debit and gives it once everything about it is checked. Asking again with the same
    /// `request` gives the same update.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::NotSigned`] or [`ClientError::Untrusted`] when the reply does not
    /// prove what was asked: then nothing may be written to the card.
    pub async fn update(&self, request: &UpdateValue) -> Result<SignedUpdate, ClientError> {
        let statement = Statement { operation: Operation::ValueUpdate, idem: request.txn, request };
        let reply: ValueUpdateReply = statement.send(&self.reader, &self.signer).await?;
        let asked = Asked { request, terminal: &self.name, statement_key: self.signer.public_key() };
        asked.check(self.reader.founded(), reply)
    }
}

/// What was asked, to hold the reply against.
struct Asked<'a> {
    request: &'a UpdateValue,
    terminal: &'a Name,
    statement_key: PublicKey,
}

impl Asked<'_> {
    /// Checks the record, its agreement with the request, and its inclusion in the receipt's checkpoint, which was
    /// judged before.
    fn check(&self, founded: &Founded, reply: ValueUpdateReply) -> Result<SignedUpdate, ClientError> {
        let record = reply.record.into_bytes();
        let signed = Signed::parse(&record).map_err(ValueError::from)?;
        let key = founded
            .value_key(&self.request.programme, signed.key_identifier())
            .ok_or_else(|| ClientError::untrusted("the record is not signed by the programme's key"))?;
        let payload =
            signed.open(Kind::ValueUpdate, founded.genesis().as_bytes(), &key).map_err(ValueError::from)?;
        let update = ValueUpdate::from_payload(payload)?;
        if !self.is_answered_by(&update) {
            return Err(ClientError::untrusted("the update is not the one asked for"));
        }
        let entry =
            reply.receipt.check_inclusion().map_err(|error| ClientError::untrusted(error.to_string()))?;
        let leaf = reply.receipt.leaf.as_ref().filter(|leaf| leaf.salt.is_some());
        let leaf =
            leaf.and_then(|leaf| leaf.payload.as_ref()).filter(|_| entry.kind == LeafKind::ValueUpdated);
        let leaf = leaf.ok_or_else(|| ClientError::untrusted("the leaf does not show a value update"))?;
        self.check_leaf(founded, leaf.as_bytes(), payload)?;
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
    fn check_leaf(&self, founded: &Founded, leaf: &[u8], update: &[u8]) -> Result<(), ClientError> {
        let leaf: ValueUpdatedLeaf = cbor::decode(leaf, LEAF_PAYLOAD_LEN_MAX)
            .map_err(|error| ClientError::untrusted(format!("the leaf's payload: {error}")))?;
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
mod tests {
    use super::*;
    use crate::{
        connect::stand_in::Step,
        testing::{Key, Log, STATEMENT, TERMINAL, VALUE, service::serve},
    };
    use keysvc_protocol::{
        bytes::{Blob, PreviousUpdate},
        leaf::Statement as LeafStatement,
        request::ValueOperation,
        schema::Schema,
    };

    fn request() -> UpdateValue {
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

    fn update() -> ValueUpdate {
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
        Asked { request: &request, terminal: &terminal, statement_key }.check(founded, reply)
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
        assert_eq!(untrusted(check(&founded, reply)), "the leaf does not show a value update");
        let (founded, mut reply) = Answer::good().reply();
        reply.receipt.leaf.as_mut().unwrap().salt = None;
        assert_eq!(untrusted(check(&founded, reply)), "the leaf does not show a value update");
    }

    #[test]
    fn a_leaf_of_another_kind_or_another_update_or_statement_is_refused() {
        let start = Answer { kind: LeafKind::Start, ..Answer::good() };
        assert_eq!(untrusted(start.checked()), "the leaf does not show a value update");
        let other = Answer { recorded: ValueUpdate { expires_at_ms: 4, ..update() }, ..Answer::good() };
        assert_eq!(untrusted(other.checked()), "the leaf records another update than was signed");
        let statement = UpdateValue { balance_before: 1, ..request() };
        let other = Answer { statement, ..Answer::good() };
        assert_eq!(untrusted(other.checked()), "the leaf records another statement than ours");
    }

    #[tokio::test]
    async fn a_cut_connection_is_asked_again_with_the_same_bytes_and_brings_the_update() {
        let mut cuts = 0;
        let (ground, service) = serve(Log::new(4, 0), move |service, operation, envelope| {
            if operation != Operation::ValueUpdate || cuts == 2 {
                return None;
            }
            cuts += 1;
            // Recorded and performed, but the reply is lost.
            drop(service.answer(operation, envelope));
            Some(Step::HangUp)
        })
        .await;
        let terminal = Terminal::connect(&ground.config()).await.unwrap();
        let released = terminal.update(&request()).await.unwrap();
        assert_eq!((released.update, released.leaf_index), (update(), 7));
        let service = service.lock().unwrap();
        let [.., first, second, third] = service.bodies.as_slice() else { panic!("too few requests") };
        assert!(first == second && second == third);
        assert_eq!(terminal.reader().seen(), Some(service.log.checkpoint(8)));
    }

    #[tokio::test]
    async fn a_statement_key_that_is_not_enrolled_is_found_at_the_start() {
        let (ground, _) = serve(Log::new(4, 0), |_, _, _| None).await;
        ground.put("statement", &Key::new(77).pem());
        let error = Terminal::connect(&ground.config()).await.unwrap_err();
        assert!(
            matches!(error, ClientError::Config(crate::config::ConfigError::Missing { .. })),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn an_update_beside_a_forked_checkpoint_is_not_released() {
        let (ground, _) = serve(Log::new(4, 0), |service, operation, envelope| {
            if operation == Operation::ValueUpdate {
                // It shows another past than a moment ago.
                service.log = Log::new(8, 1);
            }
            Some(service.answer(operation, envelope))
        })
        .await;
        let terminal = Terminal::connect(&ground.config()).await.unwrap();
        let error = terminal.update(&request()).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { evidence: Some(_), .. }), "{error:?}");
    }
}

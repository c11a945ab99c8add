//! Terminals at work, each with a card of its own, while something is done to the service.
//!
//! Each acknowledgement is on disk before the next request leaves; [`crate::acks`] holds them against the log.

use crate::acks::Acks;
use keysvc_client::{ClientConfig, ClientError, Terminal, terminal::SignedUpdate};
use keysvc_protocol::{
    request::{UpdateValue, ValueOperation},
    schema::Schema,
};
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// What the terminals of one load share.
#[derive(Debug)]
pub struct Tills {
    /// Where the acknowledgements are written down.
    pub acks: PathBuf,
    /// How many updates were acknowledged.
    pub acknowledged: AtomicUsize,
    /// Whether nothing new is to be sent.
    pub stop: AtomicBool,
}

impl Tills {
    /// A load that writes its acknowledgements to the folder `acks`, which it makes.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn new(acks: PathBuf) -> Self {
        fs::create_dir(&acks).unwrap();
        Self { acks, acknowledged: AtomicUsize::new(0), stop: AtomicBool::new(false) }
    }

    /// One terminal with one card. A request that was not answered is sent again until it is, or until the load stops.
    ///
    /// # Panics
    /// On any answer but an acknowledgement or a passing refusal.
    pub async fn work(&self, config: ClientConfig, card: &str) {
        let terminal = Terminal::connect(&config).await.unwrap();
        let mut acks = Acks::create(&self.acks, card);
        let mut last: Option<SignedUpdate> = None;
        loop {
            let request = next_update(card, last.as_ref());
            let update = loop {
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                match terminal.update(&request).await {
                    Ok(update) => break update,
                    Err(ClientError::Refused(reply)) if reply.retryable => {}
                    Err(ClientError::Timeout { .. } | ClientError::Unreachable { .. }) => {}
                    Err(error) => panic!("{card}: {error:?}"),
                }
            };
            acks.write(&update);
            last = Some(update);
            self.acknowledged.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// The update of a card after its last one: loads and debits of 5.00 by turns.
///
/// # Panics
/// When the system gives no randomness.
#[must_use]
pub fn next_update(card: &str, last: Option<&SignedUpdate>) -> UpdateValue {
    let (seq, balance) = last.map_or((1, 0), |last| (last.update.seq + 1, last.update.balance_after));
    UpdateValue {
        schema: Schema,
        programme: "coffee".parse().unwrap(),
        card: card.parse().unwrap(),
        purse: 1,
        operation: if seq % 2 == 1 { ValueOperation::Load } else { ValueOperation::Debit },
        expected_seq: seq,
        amount: 500,
        currency: 978,
        balance_before: balance,
        txn: Terminal::new_txn().unwrap(),
    }
}

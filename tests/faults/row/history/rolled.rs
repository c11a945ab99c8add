//! A store that is rolled back, alone or with what else lies on the machine.

use super::{exported::Exported, failed};
use crate::trial::Found;
use fastrand::Rng;
use keysvc_client::{ClientConfig, ClientError, Terminal, terminal::SignedUpdate};
use keysvc_protocol::{
    checkpoint::SignedCheckpoint,
    refusal::Refusal,
    request::{UpdateValue, ValueOperation},
    schema::Schema,
};
use keysvc_tests::{
    copies::Copies,
    ended::ended,
    ground::{Failed, Ground, text},
    watched::send,
};
use rustix::process::Signal;
use std::{cell::Cell, fs, path::PathBuf};

/// Updates before the old copy is made, and after it, at most.
const UPDATES_MAX: u64 = 12;

/// A site that is rolled back again and again.
pub(super) struct Stage {
    ground: Ground,
    /// As it stood before anything happened.
    begin: Copies,
    clients: u64,
    cards: Cell<u64>,
    pub(super) at_the_start: u64,
    pub(super) by_a_client: u64,
}

impl Stage {
    pub(super) fn new() -> Result<Self, Failed> {
        // Its first start makes a key, and a store from before that does not agree with the token.
        let mut ground = Ground::new();
        ground.stop();
        let begin = Copies::of(&all(&ground));
        Ok(Self { ground, begin, clients: 0, cards: Cell::new(0), at_the_start: 0, by_a_client: 0 })
    }

    /// Lets a history grow, and rolls it back in every way.
    pub(super) fn roll(&mut self, chances: &mut Rng, found: &mut Found) -> Result<(), Failed> {
        let (before, later) = (chances.u64(0..UPDATES_MAX), chances.u64(1..=UPDATES_MAX));
        self.begin.put_back();
        let witness = self.client()?;
        self.ground.start()?;
        self.updates(&witness, 500, before)?;
        self.ground.stop();
        let old = Copies::of(&all(&self.ground));
        self.ground.start()?;
        self.updates(&witness, 500, later)?;
        let halves =
            ["keeper", "front"].iter().filter_map(|half| self.ground.half(half)).chain(self.ground.daemon());
        // At once, so that the write-ahead log stays where it is.
        halves.collect::<Vec<_>>().into_iter().for_each(|pid| send(pid, Signal::KILL));
        self.ground.stop();
        let newest = Copies::of(&all(&self.ground));
        let anchor = fs::read(anchor(&self.ground)).map_err(failed)?;

        let ahead = format!("and the anchor {}", size(&witness)?);
        old.put_back();
        fs::write(self::anchor(&self.ground), &anchor).map_err(failed)?;
        self.refused("an old copy under the newer anchor", &[&ahead], found);

        newest.put_back();
        for end in ["-wal", "-shm"] {
            let file = store(&self.ground).join(format!("ledger.sqlite3{end}"));
            fs::remove_file(&file).map_err(failed)?;
        }
        self.refused("without its write-ahead log", &[&ahead], found);

        // Another branch of some length, first in its own right, then under the other one's anchor.
        old.put_back();
        self.ground.start()?;
        let other = self.client()?;
        let rewritten = self.updates(&other, 700, chances.u64(1..=2 * UPDATES_MAX));
        rewritten?;
        self.found_by(&witness, "rewritten, with its anchor and token", found);
        self.ground.stop();
        fs::write(self::anchor(&self.ground), &anchor).map_err(failed)?;
        self.refused("rewritten, under the other's anchor", &[&ahead, "anchored ones"], found);

        old.put_back();
        self.ground.start()?;
        self.found_by(&witness, "an old copy, with its anchor and token", found);
        self.ground.stop();
        newest.put_back();
        Ok(())
    }

    /// The keeper refuses to start, with one of these words.
    fn refused(&mut self, what: &str, words: &[&str], found: &mut Found) {
        let output = ended(self.ground.keysvc(&["keeper"]));
        let said = text(&output);
        let named = output.status.code() == Some(3) && words.iter().any(|words| said.contains(words));
        self.at_the_start += u64::from(named);
        found.count(if named { Ok(()) } else { Err(format!("{what}: it was not refused by name: {said}")) });
    }

    /// The service serves, until the client that saw more asks; then nobody is served any more.
    fn found_by(&mut self, witness: &ClientConfig, what: &str, found: &mut Found) {
        let (update, fresh) = (load(0xff_ffff, 900, None), self.client());
        let asked = |config: &ClientConfig| {
            self.ground.block_on(async {
                let terminal = Terminal::connect(config).await?;
                terminal.update(&update).await.map(drop)
            })
        };
        let halted = |result: &Result<(), ClientError>| match result {
            Err(ClientError::Refused(reply)) => reply.refusal == Refusal::HistoryRolledBack,
            // The client found it out by itself.
            Err(ClientError::Untrusted { .. }) => true,
            _ => false,
        };
        let first = asked(witness);
        let fresh = fresh.map(|config| asked(&config));
        let outcome = match (&first, &fresh) {
            (first, Ok(fresh)) if halted(first) && halted(fresh) => Ok(()),
            _ => Err(format!("{what}: the witness met {first:?}, another {fresh:?}")),
        };
        self.by_a_client += u64::from(outcome.is_ok());
        found.count(outcome);
    }

    /// A terminal's configuration with a state folder of its own.
    fn client(&mut self) -> Result<ClientConfig, Failed> {
        self.clients += 1;
        let mut config = self.ground.config("terminal-1");
        config.state = config.state.with_file_name(format!("state-{}", self.clients));
        fs::create_dir(&config.state).map_err(failed)?;
        Ok(config)
    }

    /// So many updates of one card; gives the checkpoints that came with them.
    fn updates(
        &self,
        config: &ClientConfig,
        amount: u64,
        count: u64,
    ) -> Result<Vec<SignedCheckpoint>, Failed> {
        let made = async {
            let terminal = Terminal::connect(config).await?;
            let (mut last, mut seen) = (None, Vec::new());
            let card = self.cards.get();
            self.cards.set(card + 1);
            for _ in 0..count {
                last = Some(terminal.update(&load(card, amount, last.as_ref())).await?);
                seen.extend(terminal.reader().seen());
            }
            Ok::<_, ClientError>(seen)
        };
        self.ground.block_on(made).map_err(failed)
    }

    /// Lets a last history grow and exports it.
    pub(super) fn export(mut self, chances: &mut Rng) -> Result<Exported, Failed> {
        self.begin.put_back();
        let client = self.client()?;
        self.ground.start()?;
        let mut seen = self.updates(&client, 500, chances.u64(18..24))?;
        let folder = self.ground.site().folder().join("export");
        self.ground
            .block_on(async { self.ground.auditor().await?.export(&folder, |_, _| {}).await.map(drop) })
            .map_err(failed)?;
        // What somebody saw last; the export of it is under this, or under a later one.
        seen.extend(SignedCheckpoint::parse(&fs::read(folder.join("checkpoint")).map_err(failed)?).ok());
        self.ground.stop();
        Exported::new(self.ground, folder, seen)
    }
}

fn load(card: u64, amount: u64, last: Option<&SignedUpdate>) -> UpdateValue {
    let (expected_seq, balance_before) =
        last.map_or((1, 0), |last| (last.update.seq + 1, last.update.balance_after));
    let mut uid = [4; 7];
    uid.iter_mut().skip(1).zip(card.to_be_bytes().iter().skip(2)).for_each(|(to, from)| *to = *from);
    UpdateValue {
        card: keysvc_protocol::card::CardUid::try_from(uid.as_slice()).unwrap_or_else(|_| unreachable!()),
        schema: Schema,
        ..keysvc_tests::raw::update(ValueOperation::Load, expected_seq, amount, balance_before)
    }
}

fn size(config: &ClientConfig) -> Result<u64, Failed> {
    let kept = fs::read(config.state.join("checkpoint")).map_err(failed)?;
    SignedCheckpoint::parse(&kept).map(|note| note.checkpoint().head.size).map_err(failed)
}

fn store(ground: &Ground) -> PathBuf {
    ground.site().service().folder().join("store")
}

fn anchor(ground: &Ground) -> PathBuf {
    ground.site().service().folder().join("anchor")
}

/// Store, anchor and token; and the memory of the auditor by whom the ground knows that the service serves: it would
/// find a rollback out before the client under test does.
fn all(ground: &Ground) -> [PathBuf; 4] {
    let tokens = ground.site().service().token_folder();
    [store(ground), anchor(ground), tokens, ground.config("auditor-1").state]
}

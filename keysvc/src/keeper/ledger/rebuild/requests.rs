//! The idempotency keys: which requests may still be repeated, compared in the order of leaves.
//!
//! Forgetting begins with the oldest, so what is missing is a head of the log older than 90 days, or a difference.

use super::{
    super::{
        fault::LedgerFault,
        issued::payload_of,
        seal::Tags,
        sqlite::{IDEM_KEPT_MS, Rows, idem_mark, read_fault},
    },
    findings::{Findings, Part},
    leaves::hex,
};
use keysvc_protocol::{
    bytes::{Digest, Idem},
    cbor,
    control::Control,
    hash::sha256,
    leaf::{LeafEntry, Statement},
    name::Name,
    request::{self, Operation},
};
use rusqlite::Statement as Prepared;
use std::collections::BTreeMap;

/// A request as its row knows it.
pub(super) struct Asked<'a> {
    principal: &'a Name,
    idem: Idem,
    payload_digest: Digest,
}

impl<'a> Asked<'a> {
    pub(super) const fn new(principal: &'a Name, idem: Idem, payload_digest: Digest) -> Self {
        Self { principal, idem, payload_digest }
    }

    /// The request that a statement holds, if the principal's own key, as enrolled now, signed it.
    pub(super) fn opened(
        control: &Control,
        (principal, operation): (&'a Name, Operation),
        statement: &Statement,
    ) -> Option<Self> {
        let payload = payload_of(control, (principal, operation), statement)?;
        Some(Self::new(principal, idem_of(operation, payload)?, sha256(&[payload])))
    }
}

/// The idempotency key of a request.
fn idem_of(operation: Operation, payload: &[u8]) -> Option<Idem> {
    macro_rules! idem {
        ($type:ty) => {
            cbor::decode::<$type>(payload, cbor::REQUEST_LEN_MAX).ok()?.idem
        };
    }
    Some(match operation {
        Operation::JobCreate => idem!(request::CreateJob),
        Operation::JobItems => idem!(request::AddJobItems),
        Operation::JobSeal => idem!(request::SealJob),
        Operation::JobWithdraw => idem!(request::WithdrawJob),
        Operation::JobOpen => idem!(request::OpenJob),
        Operation::JobResume => idem!(request::ResumeJob),
        Operation::JobSuspend => idem!(request::SuspendJob),
        Operation::JobCount => idem!(request::CountJob),
        Operation::JobIncident => idem!(request::ReportIncident),
        Operation::JobClose => idem!(request::CloseJob),
        Operation::CardDerive => idem!(request::DeriveCardKeys),
        Operation::CardResult => idem!(request::GiveResults),
        Operation::CardTransition => idem!(request::MoveCards),
        Operation::ValueUpdate => {
            cbor::decode::<request::UpdateValue>(payload, cbor::REQUEST_LEN_MAX).ok()?.txn
        }
        Operation::ProposalCancel => idem!(request::CancelProposal),
        Operation::PrincipalEnrol => idem!(request::EnrolPrincipal),
        Operation::PrincipalRotate => idem!(request::RotatePrincipal),
        Operation::PrincipalDisable => idem!(request::DisablePrincipal),
        Operation::PrincipalEnable => idem!(request::EnablePrincipal),
        Operation::KeyCreate => idem!(request::CreateKey),
        Operation::KeyActivate => idem!(request::ActivateKey),
        Operation::KeySuspend => idem!(request::SuspendKey),
        Operation::KeyRetire => idem!(request::RetireKey),
        Operation::KeyCompromise => idem!(request::CompromiseKey),
        Operation::KeyDestroy => idem!(request::DestroyKey),
        Operation::FreezeSet => idem!(request::SetFreeze),
        Operation::FreezeLift => idem!(request::LiftFreeze),
        Operation::QuorumSet => idem!(request::SetQuorum),
        Operation::ClockConfirm => idem!(request::ConfirmClock),
        Operation::KeyImport => idem!(request::ImportKey),
        Operation::ComponentGive => idem!(request::GiveComponent),
        Operation::ProfilePut => idem!(request::PutProfile),
        Operation::PolicyPropose => idem!(request::ProposePolicy),
        Operation::CeremonyRecord => idem!(request::RecordCeremony),
        _ => return None,
    })
}

/// The rows of idempotency keys in the order of leaves.
pub(super) fn ordered(rows: Rows<'_>) -> Result<Prepared<'_>, LedgerFault> {
    rows.0.prepare("SELECT leaf, tag, request, time, mark FROM idem ORDER BY leaf").map_err(read_fault)
}

/// A stored row.
#[derive(PartialEq, Eq)]
struct Row {
    leaf: u64,
    tag: Vec<u8>,
    request: Vec<u8>,
    time_ms: u64,
    mark: Option<Vec<u8>>,
}

impl Row {
    fn of(tags: &Tags, entry: &LeafEntry, asked: &Asked<'_>) -> Self {
        let (leaf, time_ms) = (entry.index, entry.time_ms);
        let (tag, request) =
            (tags.of_idem(asked.principal, &asked.idem), tags.of_request(&asked.payload_digest));
        let mark = idem_mark(tags, leaf, (&tag, &request), time_ms);
        Self { leaf, tag: tag.to_vec(), request: request.to_vec(), time_ms, mark: Some(mark.to_vec()) }
    }
}

/// The store's rows, read beside the leaves.
pub(super) struct Requests<'s> {
    rows: rusqlite::Rows<'s>,
    next: Option<Row>,
    // Leaves before this time may be forgotten.
    kept_from_ms: u64,
    // A row was there: nothing after it is forgotten.
    remembers: bool,
    forgotten: u64,
    // Rows that are missing beside a proposal's leaf, and beside the act it became they must be.
    moved: BTreeMap<u64, Missing>,
    // A request could not be told, so what moved cannot either.
    untold: bool,
}

/// A row that should be there unless its proposal became an act.
struct Missing {
    wanted: Row,
    // Whether a row before it was there, so that it was not forgotten.
    remembered: bool,
}

impl<'s> Requests<'s> {
    pub(super) fn new(statement: &'s mut Prepared<'_>, last_ms: u64) -> Result<Self, LedgerFault> {
        let mut rows = statement.query([]).map_err(read_fault)?;
        let next = next(&mut rows)?;
        let kept_from_ms = last_ms.saturating_sub(IDEM_KEPT_MS);
        Ok(Self {
            rows,
            next,
            kept_from_ms,
            remembers: false,
            forgotten: 0,
            moved: BTreeMap::new(),
            untold: false,
        })
    }

    /// Idempotency keys that were rightly forgotten.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn take(&mut self) -> Result<Option<Row>, LedgerFault> {
        let after = next(&mut self.rows)?;
        Ok(std::mem::replace(&mut self.next, after))
    }

    /// The row of a leaf; rows before it belong to leaves without a repeatable request.
    fn row_of(&mut self, leaf: u64, findings: &mut Findings) -> Result<Option<Row>, LedgerFault> {
        while self.next.as_ref().is_some_and(|row| row.leaf < leaf) {
            self.extra(findings)?;
        }
        if self.next.as_ref().is_some_and(|row| row.leaf == leaf) { self.take() } else { Ok(None) }
    }

    fn extra(&mut self, findings: &mut Findings) -> Result<(), LedgerFault> {
        if let Some(row) = self.take()? {
            let key = format!("leaf {}", row.leaf);
            findings.differ(Part::Idem, &key, "no request that may be repeated", &say(&row));
        }
        Ok(())
    }

    /// Holds the row of a leaf against what the leaf asks for.
    pub(super) fn expect(
        &mut self,
        tags: &Tags,
        entry: &LeafEntry,
        asked: &Asked<'_>,
        findings: &mut Findings,
    ) -> Result<(), LedgerFault> {
        let wanted = Row::of(tags, entry, asked);
        let found = self.row_of(entry.index, findings)?;
        self.hold(&wanted, found.as_ref(), self.remembers, findings);
        Ok(())
    }

    /// As [`Self::expect`], for a proposal's leaf: its row is gone once it became an act.
    pub(super) fn expect_unless_moved(
        &mut self,
        tags: &Tags,
        entry: &LeafEntry,
        asked: &Asked<'_>,
        findings: &mut Findings,
    ) -> Result<(), LedgerFault> {
        let wanted = Row::of(tags, entry, asked);
        match self.row_of(entry.index, findings)? {
            None => {
                self.moved.insert(entry.index, Missing { wanted, remembered: self.remembers });
            }
            found => self.hold(&wanted, found.as_ref(), self.remembers, findings),
        }
        Ok(())
    }

    /// Says that the proposal of this leaf became an act: a row beside it would be one too many.
    pub(super) fn moved_from(&mut self, made: u64, findings: &mut Findings) {
        if self.moved.remove(&made).is_none() && !self.untold {
            findings.differ(
                Part::Idem,
                &format!("leaf {made}"),
                "a row beside the act it became",
                "a row here",
            );
        }
    }

    fn hold(&mut self, wanted: &Row, found: Option<&Row>, remembered: bool, findings: &mut Findings) {
        if found.is_none() && !remembered && wanted.time_ms < self.kept_from_ms {
            self.forgotten = self.forgotten.saturating_add(1);
            return;
        }
        findings.compared(Part::Idem, 1);
        self.remembers |= found.is_some();
        if found != Some(wanted) {
            let store = found.map_or_else(|| "no such row".to_owned(), say);
            findings.differ(Part::Idem, &format!("leaf {}", wanted.leaf), &say(wanted), &store);
        }
    }

    /// Passes over the row of a leaf whose request cannot be told.
    pub(super) fn unknown(&mut self, leaf: u64) -> Result<(), LedgerFault> {
        self.untold = true;
        while self.next.as_ref().is_some_and(|row| row.leaf <= leaf) {
            self.remembers = true;
            self.take()?;
        }
        Ok(())
    }

    /// Passes over the row of a leaf whose payload was erased with its job: whose request it was is nobody's to say.
    pub(super) fn erased(&mut self, leaf: u64, findings: &mut Findings) -> Result<(), LedgerFault> {
        self.remembers |= self.row_of(leaf, findings)?.is_some();
        Ok(())
    }

    /// What is left after the last leaf.
    pub(super) fn end(&mut self, findings: &mut Findings) -> Result<(), LedgerFault> {
        while self.next.is_some() {
            self.extra(findings)?;
        }
        for (_, Missing { wanted, remembered }) in std::mem::take(&mut self.moved) {
            self.hold(&wanted, None, remembered, findings);
        }
        Ok(())
    }
}

fn next(rows: &mut rusqlite::Rows<'_>) -> Result<Option<Row>, LedgerFault> {
    let Some(row) = rows.next().map_err(read_fault)? else { return Ok(None) };
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned).map_err(read_fault);
    let (leaf, time_ms) = (number(0)?, number(3)?);
    Ok(Some(Row {
        leaf,
        tag: row.get(1).map_err(read_fault)?,
        request: row.get(2).map_err(read_fault)?,
        time_ms,
        mark: row.get(4).map_err(read_fault)?,
    }))
}

fn say(row: &Row) -> String {
    let mark = row.mark.as_ref().map_or_else(|| "none".to_owned(), |mark| hex(mark));
    format!("tag {}, request {}, {} ms, mark {mark}", hex(&row.tag), hex(&row.request), row.time_ms)
}

//! A terminal or an officer at one connection, in a process of its own, because each officer's card has a token folder of
//! its own.
//!
//! An officer's approval key stays in the card, as in the field. Every reply is decoded between the calls, for the next
//! request shows its checkpoint; afterwards every reply is verified with all its signatures and proofs.

use super::{
    asked::{Asked, PROGRAMME, name, requests},
    task::{Done, Step, Task},
};
use crate::{
    cpu::Cpu,
    crew::Worker,
    line::Line,
    persona::{Persona, envelope},
    while_doing,
};
use keysvc_client::{ClientConfig, officer::Card, signer};
use keysvc_protocol::{
    cbor::{self, REPLY_LEN_MAX},
    checkpoint::SignedCheckpoint,
    cose::Signed,
    proposal::{Proposal, ProposalState},
    receipt::Receipt,
    reply::{ChangedReply, PendingReply, ProposalReply, ResultReply, ValueUpdateReply, VoteReply},
    value::ValueUpdate,
};
use keysvc_tests::ground::Failed;
use std::{path::Path, time::Instant};
use tokio::runtime::Runtime;

/// People that are enough for each act here.
const ENOUGH: u8 = 2;

/// A person.
pub struct Person {
    runtime: Runtime,
    desk: Desk,
}

/// Who it is, and the connection.
struct Desk {
    persona: Persona,
    line: Line,
    seen: Option<SignedCheckpoint>,
}

/// A reply as decoded.
enum Reply {
    Value(Box<ValueUpdateReply>),
    Pending(Box<PendingReply>),
    Looked(Box<ProposalReply>),
    Voted(Box<VoteReply>),
    Changed(Box<ChangedReply>),
}

impl Person {
    /// Connects as whoever this configuration is of.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn new(path: &Path) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let config = ClientConfig::read(path).map_err(while_doing("the client's configuration"))?;
        let key = match &config.token {
            Some(card) => Card::find(card).and_then(|card| card.unlock(None)),
            None => signer::of_config(&config),
        };
        let key = key.map_err(while_doing("the key that signs"))?;
        let desk = runtime.block_on(async {
            let persona = Persona::with_signer(config, key).await?;
            let line = Line::open(&persona).await?;
            Ok(Desk { persona, line, seen: None })
        })?;
        Ok(Self { runtime, desk })
    }
}

impl Worker for Person {
    type Order = Task;
    type Answer = Done;

    fn measure(&mut self, task: Task) -> Result<Done, Failed> {
        let asked = requests(&self.desk.persona, &task)?;
        let (mut done, replies) = self.runtime.block_on(self.desk.call(&task, &asked))?;
        for (place, (asked, reply)) in asked.iter().zip(&replies).enumerate() {
            let proposal = task.proposals.get(place);
            done.proposals.extend(self.desk.verify(task.step, asked, proposal, reply)?);
        }
        Ok(done)
    }
}

impl Desk {
    async fn call(&mut self, task: &Task, asked: &[Asked]) -> Result<(Done, Vec<Reply>), Failed> {
        let mut replies = Vec::with_capacity(asked.len());
        let mut latencies_ns = Vec::with_capacity(asked.len());
        let (began, before) = (Instant::now(), Cpu::now(Some(task.service))?);
        for asked in asked {
            let body = envelope(asked.request.clone(), self.seen.clone())?;
            let sent = Instant::now();
            let reply = self.line.call(task.step.operation(), body).await?;
            latencies_ns.push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
            let reply = Reply::decode(task.step, &reply)?;
            if let Some(receipt) = reply.receipt() {
                self.seen = Some(receipt.checkpoint.clone());
            }
            replies.push(reply);
        }
        let cpu = Cpu::now(Some(task.service))?.since(before);
        let done = Done {
            front_cpu_ns: cpu.front,
            keeper_cpu_ns: cpu.keeper,
            other_cpu_ns: cpu.others(),
            elapsed_ns: u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            latencies_ns,
            proposals: Vec::new(),
        };
        Ok((done, replies))
    }

    /// Holds a reply to what was asked; gives the proposal that was made.
    fn verify(
        &self,
        step: Step,
        asked: &Asked,
        proposal: Option<&Vec<u8>>,
        reply: &Reply,
    ) -> Result<Option<Vec<u8>>, Failed> {
        if let Some(receipt) = reply.receipt() {
            self.persona.verify(&receipt.checkpoint)?;
            receipt.check_inclusion().map_err(while_doing("a receipt"))?;
        }
        let other = || Failed(format!("{step:?}: a reply about something else than was asked for"));
        let bytes = match reply {
            Reply::Value(reply) => {
                self.verify_record(step, asked, reply)?;
                return Ok(None);
            }
            Reply::Changed(_) => return Ok(None),
            Reply::Voted(vote) => {
                let executed = matches!(vote.state, ProposalState::Executed { .. });
                return if executed == (vote.persons >= ENOUGH) { Ok(None) } else { Err(other()) };
            }
            Reply::Looked(reply) => {
                let same = proposal.is_some_and(|bytes| bytes.as_slice() == reply.proposal.as_bytes());
                return if same { Ok(None) } else { Err(other()) };
            }
            Reply::Pending(reply) => reply.proposal.as_bytes(),
        };
        let made = Proposal::decode(bytes).map_err(while_doing("a proposal"))?;
        let same = made.request.statement.0.as_bytes() == asked.request && made.need.persons == ENOUGH;
        if same { Ok(Some(bytes.to_vec())) } else { Err(other()) }
    }

    fn verify_record(&self, step: Step, asked: &Asked, reply: &ValueUpdateReply) -> Result<(), Failed> {
        let founded = self.persona.founded();
        let record = reply.record.as_bytes();
        let kid = Signed::parse(record).map_err(while_doing("a record"))?.key_identifier();
        let key = founded.value_key(&name(PROGRAMME)?, kid);
        let key = key.ok_or_else(|| Failed("a record by another key than the programme's".to_owned()))?;
        let update = ValueUpdate::verify(record, founded.genesis(), &key).map_err(while_doing("a record"))?;
        if asked.card == Some(update.card) && update.evidence.is_some() == (step == Step::Result) {
            Ok(())
        } else {
            Err(Failed("a record of another update than was asked for".to_owned()))
        }
    }
}

impl Reply {
    fn decode(step: Step, bytes: &[u8]) -> Result<Self, Failed> {
        let what = format!("a reply to {step:?}");
        let wrong = while_doing(&what);
        Ok(match step {
            Step::Load => Self::Value(cbor::decode(bytes, REPLY_LEN_MAX).map_err(wrong)?),
            Step::ProposeLoad | Step::ProposeLift | Step::ProposeActivate => {
                Self::Pending(cbor::decode(bytes, REPLY_LEN_MAX).map_err(wrong)?)
            }
            Step::Look => Self::Looked(cbor::decode(bytes, REPLY_LEN_MAX).map_err(wrong)?),
            Step::Approve => Self::Voted(cbor::decode(bytes, REPLY_LEN_MAX).map_err(wrong)?),
            Step::Freeze | Step::Suspend => Self::Changed(cbor::decode(bytes, REPLY_LEN_MAX).map_err(wrong)?),
            Step::Result => {
                let result: ResultReply = cbor::decode(bytes, REPLY_LEN_MAX).map_err(&wrong)?;
                let reply = result.reply.ok_or_else(|| Failed(format!("no record: {:?}", result.state)))?;
                Self::Value(cbor::decode(reply.as_bytes(), REPLY_LEN_MAX).map_err(wrong)?)
            }
        })
    }

    const fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Value(reply) => Some(&reply.receipt),
            Self::Pending(reply) => Some(&reply.receipt),
            Self::Voted(reply) => Some(&reply.receipt),
            Self::Changed(reply) => Some(&reply.receipt),
            Self::Looked(_) => None,
        }
    }
}

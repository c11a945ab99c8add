//! Lies to a terminal and to an auditor: what a reply says, which reply it is, and that there was one.
//!
//! The terminal asks for the same update each time, which is recorded once before. So whatever it is told, the log does not
//! move, and what it releases must be that one.

use crate::{
    front::{Asked, Hands, Told, between, http},
    table::{
        By::{Auditor as ByAuditor, Terminal as ByTerminal},
        Lie, Stage, Watch, each_once, lie,
    },
    upward::own_key,
};
use keysvc_client::{
    Auditor, ClientError, Terminal,
    signer::{FileSigner, StatementSigner as _},
    terminal::SignedUpdate,
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    checkpoint::{Checkpoint, SignedCheckpoint},
    cose::{Kind, Signed},
    merkle::{Proof, TreeHead},
    reply::{BundleReply, EntriesReply, PendingReply, ValueUpdateReply},
    request::{
        Envelope, Operation, ReadStatus, UpdateValue,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    ground::Ground,
    raw::{self, Answer, Caller, sign},
};
use serde::Serialize;
use softhsm_setup::Site;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

/// A terminal between two fronts, and what passed.
pub struct Downward {
    pub site: Site,
    pub runtime: Runtime,
    pub watch: Watch,
    pub request: UpdateValue,
    pub good: SignedUpdate,
    /// The first answer to the request, and another's to another request.
    pub first: Answer,
    pub other: ValueUpdateReply,
    pub own: Arc<FileSigner>,
    pub auditor: Caller,
    pub exports: u32,
}

impl Stage for Downward {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }
}

pub const LIES: &[Lie<Downward>] = &[
    lie("turns a bit of an update's signature", ByTerminal, BAD_SIGNATURE, |s| {
        s.record(|record| *record.last_mut().unwrap() ^= 1)
    }),
    lie("turns a bit of an update's amount", ByTerminal, BAD_SIGNATURE, |s| {
        s.record(|record| {
            let place = record.windows(3).position(|three| three == [0x19, 0x07, 0xd0]).unwrap();
            record[place + 2] ^= 1;
        })
    }),
    lie(
        "turns a bit of each byte of a reply, one after the other",
        ByTerminal,
        "nothing",
        Downward::each_byte,
    ),
    lie("cuts a reply off at each sixteenth length", ByTerminal, "nothing", Downward::each_length),
    lie(
        "takes the receipt's leaf and proof away",
        ByTerminal,
        "the receipt carries no inclusion proof",
        |s| s.reply(|reply, _| (reply.receipt.leaf, reply.receipt.inclusion) = (None, None)),
    ),
    lie("names another leaf in the receipt", ByTerminal, "the receipt names another leaf", |s| {
        s.reply(|reply, _| reply.receipt.leaf_index -= 1)
    }),
    lie(
        "puts other words into the receipt's leaf",
        ByTerminal,
        "the receipt's leaf: the payload is not this leaf's",
        |s| {
            s.reply(|reply, _| {
                let leaf = reply.receipt.leaf.as_mut().unwrap();
                leaf.payload = leaf.payload.as_ref().map(|payload| turned(payload, 20));
            })
        },
    ),
    lie("keeps the leaf's words back", ByTerminal, "the leaf comes without its payload", |s| {
        s.reply(|reply, _| {
            let leaf = reply.receipt.leaf.as_mut().unwrap();
            (leaf.payload, leaf.salt) = (None, None);
        })
    }),
    lie(
        "puts another update's record under the true receipt",
        ByTerminal,
        "the update is not the one asked for",
        |s| s.reply(|reply, stage| reply.record = stage.other.record.clone()),
    ),
    lie(
        "puts another update's receipt under the true record",
        ByTerminal,
        "the receipt's inclusion proof: the proof does not hold",
        |s| {
            s.reply(|reply, stage| {
                let consistency = reply.receipt.consistency.clone();
                let checkpoint = reply.receipt.checkpoint.clone();
                reply.receipt = stage.other.receipt.clone();
                (reply.receipt.checkpoint, reply.receipt.consistency) = (checkpoint, consistency);
            })
        },
    ),
    lie(
        "answers with another request's reply",
        ByTerminal,
        "the newer tree is smaller than the older (evidence kept)",
        |s| s.reply(|reply, stage| *reply = stage.other.clone()),
    ),
    lie(
        "answers with what it answered to this request before",
        ByTerminal,
        "the newer tree is smaller than the older (evidence kept)",
        Downward::old_answer,
    ),
    lie(
        "signs a larger tree with a key of its own",
        ByTerminal,
        "its checkpoint: a checkpoint not signed with the expected key",
        |s| {
            s.reply(|reply, stage| {
                reply.receipt.checkpoint =
                    larger(&reply.receipt.checkpoint, &stage.own, stage.own.public_key().spki());
            })
        },
    ),
    lie(
        "shows a forked tree under the service's name and a signature of its own",
        ByTerminal,
        "its checkpoint: the signature of a checkpoint does not verify",
        |s| {
            s.reply(|reply, stage| {
                let spki = stage.own.public_key().spki().to_vec();
                let note = String::from_utf8(
                    larger(&reply.receipt.checkpoint, &stage.own, &spki).as_bytes().to_vec(),
                )
                .unwrap();
                let genuine = String::from_utf8(reply.receipt.checkpoint.as_bytes().to_vec()).unwrap();
                let text = note.split("\n\n").next().unwrap();
                let signed = genuine.split("\n\n").nth(1).unwrap();
                reply.receipt.checkpoint =
                    SignedCheckpoint::parse(format!("{text}\n\n{signed}").as_bytes()).unwrap();
            })
        },
    ),
    lie(
        "empties the proof that the log only grew",
        ByTerminal,
        "the proof does not hold (evidence kept)",
        |s| s.grown(|reply| reply.receipt.consistency = Proof::default()),
    ),
    lie(
        "keeps back what the terminal has seen",
        ByTerminal,
        "the proof does not hold (evidence kept)",
        |s| s.seen(None),
    ),
    lie(
        "says that the terminal has seen less than it has",
        ByTerminal,
        "the proof does not hold (evidence kept)",
        |s| s.seen(Some(())),
    ),
    lie(
        "says that it takes people",
        ByTerminal,
        "its proposal: not a message of this kind",
        Downward::pending,
    ),
    lie(
        "answers with a reply of another operation",
        ByTerminal,
        "the answer is not the protocol's: value.update: not a message of this kind",
        Downward::other_operation,
    ),
    lie(
        "answers in an older form",
        ByTerminal,
        "the answer is not the protocol's: value.update: not a message of this kind",
        |s| s.bytes(|body| body[2] = 0),
    ),
    lie(
        "answers in a form to come",
        ByTerminal,
        "the answer is not the protocol's: value.update: not a message of this kind",
        |s| s.bytes(|body| body[2] = 2),
    ),
    lie(
        "answers a refusal that is none",
        ByTerminal,
        "the answer is not the protocol's: status 403 without a refusal",
        |s| s.update(|_, _| Told::Answer(Answer { status: 403, body: b"no".to_vec() })),
    ),
    lie(
        "answers more than an answer may be",
        ByTerminal,
        "the answer is not the protocol's: a reply longer than 1048576 bytes",
        |s| s.update(|_, _| Told::Answer(Answer { status: 200, body: vec![0; 1_048_577] })),
    ),
    lie("answers with what is no HTTP", ByTerminal, "no answer", |s| {
        s.update(|_, _| Told::Bytes(b"\x16\x03\x03 hello\r\n\r\n".to_vec()))
    }),
    lie("answers one request twice, the second time falsely", ByTerminal, TRUE_ONE, Downward::twice),
    lie("drops what it is asked", ByTerminal, "no answer", |s| s.update(|_, _| Told::HangUp)),
    lie("drops the answer to what it passed on, once", ByTerminal, TRUE_ONE, Downward::dropped_once),
    lie(
        "vouches for a value key of its own",
        ByTerminal,
        "refused offline: trust bundle: signed with another key",
        Downward::own_value_key,
    ),
    lie(
        "serves a bundle signed with a key of its own",
        ByTerminal,
        "refused offline: trust bundle: signed with another key",
        |s| {
            s.bundle(|reply, stage| {
                let payload = Signed::parse(reply.bundle.as_ref().unwrap().as_bytes())
                    .unwrap()
                    .recorded_payload()
                    .to_vec();
                let message = sign(
                    stage.own.as_ref(),
                    Kind::TrustBundle,
                    raw::genesis(&stage.site).as_bytes(),
                    payload,
                );
                reply.bundle = Some(Blob::try_from(message).unwrap());
            })
        },
    ),
    lie(
        "turns a bit of a bundle",
        ByTerminal,
        "refused offline: trust bundle: the signature does not verify",
        |s| {
            s.bundle(|reply, _| {
                let bundle = reply.bundle.as_ref().unwrap();
                reply.bundle = Some(turned(bundle, bundle.as_bytes().len() / 2));
            })
        },
    ),
    lie(
        "takes a bundle's receipt away",
        ByTerminal,
        "the trust bundle's leaf: the receipt carries no inclusion proof",
        |s| s.bundle(|reply, _| (reply.receipt.leaf, reply.receipt.inclusion) = (None, None)),
    ),
    lie("alters a leaf that an auditor reads", ByAuditor, "leaf 3: the payload is not this leaf's", |s| {
        s.entries(|reply| {
            let mut leaves = reply.entries.to_vec();
            leaves[3].payload = leaves[3].payload.as_ref().map(|payload| turned(payload, 5));
            reply.entries = leaves.try_into().unwrap();
        })
    }),
    lie("gives an auditor two leaves in each other's place", ByAuditor, "leaf 2 says it is leaf 3", |s| {
        s.entries(|reply| {
            let mut leaves = reply.entries.to_vec();
            leaves.swap(2, 3);
            reply.entries = leaves.try_into().unwrap();
        })
    }),
    lie("leaves a leaf out of what an auditor reads", ByAuditor, "leaf 2 says it is leaf 3", |s| {
        s.entries(|reply| {
            let mut leaves = reply.entries.to_vec();
            leaves.remove(2);
            reply.entries = leaves.try_into().unwrap();
        })
    }),
    lie(
        "gives an auditor a leaf of its own making",
        ByAuditor,
        "the leaves are not those of its checkpoint",
        |s| {
            s.entries(|reply| {
                let mut leaves = reply.entries.to_vec();
                let entry = leaves[3].entry.as_bytes().to_vec();
                // The last byte is of the payload's digest: without salt and payload nothing contradicts it but the tree.
                let mut other = entry;
                *other.last_mut().unwrap() ^= 1;
                (leaves[3].entry, leaves[3].salt, leaves[3].payload) =
                    (Blob::try_from(other).unwrap(), None, None);
                reply.entries = leaves.try_into().unwrap();
            })
        },
    ),
    lie(
        "gives an auditor no leaves",
        ByAuditor,
        "the answer is not the protocol's: no leaves, or more than asked for",
        |s| s.entries(|reply| reply.entries = vec![].try_into().unwrap()),
    ),
    lie(
        "tells an auditor of a smaller log than it exported",
        ByAuditor,
        "the newer tree is smaller than the older (evidence kept)",
        Downward::smaller_export,
    ),
];

const BAD_SIGNATURE: &str = "refused what the service signed: value update: the signature does not verify";
pub const TRUE_ONE: &str = "the true update";

/// A blob with a bit turned.
fn turned<const MAX: usize>(bytes: &Blob<MAX>, place: usize) -> Blob<MAX> {
    let mut bytes = bytes.as_bytes().to_vec();
    bytes[place] ^= 1;
    bytes.try_into().unwrap()
}

fn larger(genuine: &SignedCheckpoint, own: &FileSigner, spki: &[u8]) -> SignedCheckpoint {
    let claim = genuine.checkpoint().clone();
    let head = TreeHead { size: claim.head.size + 7, root: Digest::new([5; 32]) };
    let claim = Checkpoint { head, ..claim };
    SignedCheckpoint::assemble(&claim, &own.sign(claim.text().as_bytes()).unwrap(), spki)
}

pub fn reply<T: Serialize>(reply: &T) -> Told {
    Told::Answer(Answer { status: 200, body: cbor::encode(reply) })
}

/// An error without what differs from run to run.
pub fn words(error: &ClientError) -> String {
    let text = match error {
        ClientError::Untrusted { what, evidence } => {
            let kept = if evidence.is_some() { " (evidence kept)" } else { "" };
            format!("{what}{kept}")
        }
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => "no answer".to_owned(),
        other => other.to_string(),
    };
    // Which of the two it is depends on the sizes of the trees.
    let ways = ["the proof has a wrong number of hashes", "the proof does not lead to the root"];
    let text = ways.iter().fold(text, |text, way| text.replace(way, "the proof does not hold"));
    let without_place = text.split(", from 127.0.0.1").next().unwrap();
    without_place.split(" (request ").next().unwrap().to_owned()
}

impl Downward {
    pub fn of(ground: &Ground) -> Self {
        let site = Site::open(ground.site().folder()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let request = raw::update(Load, 1, 2_000, 0);
        let kept = Arc::new(Mutex::new(None));
        let own = Arc::clone(&kept);
        let config = between(&site, "terminal-1", move |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation == Operation::ValueUpdate {
                *own.lock().unwrap() = Some(answer.clone());
            }
            Told::Answer(answer)
        });
        // Over the captured front as over the true one, as long as it does not lie.
        let good = runtime
            .block_on(async { Terminal::connect(&config).await.unwrap().update(&request).await.unwrap() });
        let first = kept.lock().unwrap().take().unwrap();
        let mut owner = Caller::new(&site, "terminal-1");
        let other = owner.ask(Operation::ValueUpdate, &raw::update(Debit, 2, 350, 2_000)).unwrap();
        let own = Arc::new(own_key(site.folder()));
        let (watch, auditor) = (Watch::of(&site), Caller::new(&site, "auditor-1"));
        let mut stage = Self { site, runtime, watch, request, good, first, other, own, auditor, exports: 0 };
        // The log grows and the terminal sees it.
        assert_eq!(stage.update(|hands, asked| Told::Answer(hands.pass(asked))), TRUE_ONE);
        stage
    }

    /// What the terminal makes of its one update when the front lies about it.
    pub fn update(&mut self, mut tell: impl FnMut(&mut Hands, &Asked) -> Told + Send + 'static) -> String {
        let config = between(&self.site, "terminal-1", move |hands, asked| match asked.operation {
            Operation::ValueUpdate => tell(hands, asked),
            _ => Told::Answer(hands.pass(asked)),
        });
        let request = self.request.clone();
        let told =
            self.runtime.block_on(async { Terminal::connect(&config).await.unwrap().update(&request).await });
        self.released(told)
    }

    pub fn released(&self, told: Result<SignedUpdate, ClientError>) -> String {
        match told {
            Ok(update) if update.update == self.good.update && update.leaf_index == self.good.leaf_index => {
                TRUE_ONE.to_owned()
            }
            Ok(update) => format!("RELEASED {update:?}"),
            Err(error) => words(&error),
        }
    }

    fn bytes(&mut self, change: impl Fn(&mut Vec<u8>) + Send + 'static) -> String {
        self.update(move |hands, asked| {
            let mut answer = hands.pass(asked);
            change(&mut answer.body);
            Told::Answer(answer)
        })
    }

    /// The true reply with something changed in it, well-formed all the same.
    fn reply(&mut self, change: fn(&mut ValueUpdateReply, &Kept)) -> String {
        let kept = self.kept();
        self.update(move |hands, asked| {
            let mut told: ValueUpdateReply = hands.pass(asked).read().unwrap();
            change(&mut told, &kept);
            reply(&told)
        })
    }

    fn kept(&self) -> Kept {
        Kept {
            site: Site::open(self.site.folder()).unwrap(),
            other: self.other.clone(),
            own: Arc::clone(&self.own),
        }
    }

    fn record(&mut self, change: impl Fn(&mut Vec<u8>) + Send + 'static) -> String {
        self.update(move |hands, asked| {
            let mut told: ValueUpdateReply = hands.pass(asked).read().unwrap();
            let mut record = told.record.as_bytes().to_vec();
            change(&mut record);
            told.record = record.try_into().unwrap();
            reply(&told)
        })
    }

    /// The same once the log has grown since the terminal looked, so that there is something to prove.
    fn grown(&mut self, change: fn(&mut ValueUpdateReply)) -> String {
        self.grow();
        self.update(move |hands, asked| {
            let mut told: ValueUpdateReply = hands.pass(asked).read().unwrap();
            change(&mut told);
            reply(&told)
        })
    }

    /// Reads of the auditor are leaves.
    pub fn grow(&mut self) {
        for _ in 0..3 {
            self.watch.fresh();
        }
    }

    /// One terminal and one connection, and the n-th answer altered in its n-th place, for every n.
    fn each(&mut self, step: usize, change: impl Fn(&mut Vec<u8>, usize) + Send + 'static) -> String {
        let place = Arc::new(Mutex::new((0_usize, usize::MAX)));
        let told = Arc::clone(&place);
        let config = between(&self.site, "terminal-1", move |hands, asked| {
            let mut answer = hands.pass(asked);
            if asked.operation == Operation::ValueUpdate && answer.status == 200 {
                let mut place = told.lock().unwrap();
                place.1 = answer.body.len();
                change(&mut answer.body, place.0);
                place.0 += step;
            }
            Told::Answer(answer)
        });
        let request = self.request.clone();
        let terminal = self.runtime.block_on(Terminal::connect(&config)).unwrap();
        let mut said = Vec::new();
        while {
            let (at, len) = *place.lock().unwrap();
            at < len
        } {
            let told = self.runtime.block_on(terminal.update(&request));
            said.push(self.released(told));
        }
        let released = said.iter().filter(|one| one.starts_with("RELEASED")).count();
        let truly = said.iter().filter(|one| *one == TRUE_ONE).count();
        println!("\t{} replies altered, {truly} of them gave the true update, the others:", said.len());
        println!("\t{}", each_once(said.iter().map(|one| one.split(':').next().unwrap())));
        // A byte that changes nothing of what is released would be a byte that nobody checks.
        if released == 0 && truly == 0 {
            "nothing".to_owned()
        } else {
            format!("{released} FALSE, {truly} TRUE")
        }
    }

    fn each_byte(&mut self) -> String {
        self.each(1, |body, place| {
            let place = place % body.len();
            body[place] ^= 1 << (place % 8);
        })
    }

    fn each_length(&mut self) -> String {
        self.each(16, |body, len| body.truncate(len))
    }

    fn old_answer(&mut self) -> String {
        let first = self.first.clone();
        self.update(move |_, _| Told::Answer(first.clone()))
    }

    /// The request with another `seen` in its envelope: none, or the founding's.
    fn seen(&mut self, less: Option<()>) -> String {
        self.grow();
        let older = less.map(|()| self.first.read::<ValueUpdateReply>().unwrap().receipt.checkpoint);
        self.update(move |hands, asked| {
            let mut envelope: Envelope = cbor::decode(&asked.body, asked.body.len()).unwrap();
            envelope.seen.clone_from(&older);
            Told::Answer(hands.pass(&Asked { operation: asked.operation, body: cbor::encode(&envelope) }))
        })
    }

    fn pending(&mut self) -> String {
        self.update(|hands, asked| {
            let told: ValueUpdateReply = hands.pass(asked).read().unwrap();
            let proposal = Blob::try_from(vec![0xa0]).unwrap();
            let state = keysvc_protocol::proposal::ProposalState::Open;
            let pending = PendingReply { schema: Schema, proposal, state, receipt: told.receipt };
            Told::Answer(Answer { status: 202, body: cbor::encode(&pending) })
        })
    }

    fn other_operation(&mut self) -> String {
        self.update(|hands, _| {
            let body = raw::envelope(cbor::encode(&ReadStatus { schema: Schema }));
            Told::Answer(hands.pass(&Asked { operation: Operation::Status, body }))
        })
    }

    fn twice(&mut self) -> String {
        let first = self.first.clone();
        let config = between(&self.site, "terminal-1", move |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation == Operation::ValueUpdate {
                Told::Bytes([http(&answer), http(&first)].concat())
            } else {
                Told::Answer(answer)
            }
        });
        let request = self.request.clone();
        let told = self.runtime.block_on(async {
            let terminal = Terminal::connect(&config).await.unwrap();
            let first = terminal.update(&request).await.unwrap();
            // Whatever of the second answer is still about must not be taken for this one's.
            let second = terminal.update(&request).await.unwrap();
            assert_eq!(first.update, second.update);
            Ok(second)
        });
        self.released(told)
    }

    fn dropped_once(&mut self) -> String {
        let mut dropped = false;
        self.update(move |hands, asked| {
            let answer = hands.pass(asked);
            if std::mem::replace(&mut dropped, true) { Told::Answer(answer) } else { Told::HangUp }
        })
    }

    /// The record signed again with the front's own key, and a bundle that names this key.
    fn own_value_key(&mut self) -> String {
        let kept = self.kept();
        let genesis = raw::genesis(&self.site);
        let config = between(&self.site, "terminal-1", move |hands, asked| {
            let answer = hands.pass(asked);
            match asked.operation {
                Operation::ValueUpdate => {
                    let mut told: ValueUpdateReply = answer.read().unwrap();
                    let payload = Signed::parse(told.record.as_bytes()).unwrap().recorded_payload().to_vec();
                    let kind = Kind::ValueUpdate;
                    told.record =
                        sign(kept.own.as_ref(), kind, genesis.as_bytes(), payload).try_into().unwrap();
                    reply(&told)
                }
                Operation::BundleGet => {
                    let mut told: BundleReply = answer.read().unwrap();
                    let message = told.bundle.as_ref().unwrap().as_bytes().to_vec();
                    let payload = Signed::parse(&message).unwrap().recorded_payload().to_vec();
                    let message = sign(kept.own.as_ref(), Kind::TrustBundle, genesis.as_bytes(), payload);
                    told.bundle = Some(Blob::try_from(message).unwrap());
                    reply(&told)
                }
                _ => Told::Answer(answer),
            }
        });
        let request = self.request.clone();
        let told =
            self.runtime.block_on(async { Terminal::connect(&config).await.unwrap().update(&request).await });
        self.released(told)
    }

    fn bundle(&mut self, change: fn(&mut BundleReply, &Kept)) -> String {
        let kept = self.kept();
        let config = between(&self.site, "terminal-2", move |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation != Operation::BundleGet {
                return Told::Answer(answer);
            }
            let mut told: BundleReply = answer.read().unwrap();
            change(&mut told, &kept);
            reply(&told)
        });
        let told = self.runtime.block_on(async { Terminal::connect(&config).await.unwrap().bundle().await });
        told.map_or_else(|error| words(&error), |_| "TAKEN".to_owned())
    }

    fn entries(&mut self, change: fn(&mut EntriesReply)) -> String {
        self.exports += 1;
        let folder = self.site.folder().join(format!("export-{}", self.exports));
        let config = between(&self.site, "auditor-1", move |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation != Operation::LogEntries {
                return Told::Answer(answer);
            }
            let mut told: EntriesReply = answer.read().unwrap();
            change(&mut told);
            reply(&told)
        });
        let told = self
            .runtime
            .block_on(async { Auditor::connect(&config).await.unwrap().export(&folder, |_, _| {}).await });
        told.map_or_else(|error| words(&error), |_| "EXPORTED".to_owned())
    }

    fn smaller_export(&mut self) -> String {
        let older: Arc<Mutex<Option<Answer>>> = Arc::default();
        let kept = Arc::clone(&older);
        let lie = move |hands: &mut Hands, asked: &Asked| {
            let answer = hands.pass(asked);
            if asked.operation != Operation::LogCheckpoint {
                return Told::Answer(answer);
            }
            let first = kept.lock().unwrap().get_or_insert(answer.clone()).clone();
            Told::Answer(first)
        };
        let config = between(&self.site, "auditor-1", lie);
        let folder = self.site.folder().join("export-smaller");
        let told = self.runtime.block_on(async {
            let auditor = Auditor::connect(&config).await.unwrap();
            auditor.export(&folder, |_, _| {}).await?;
            auditor.export(&folder, |_, _| {}).await
        });
        told.map_or_else(|error| words(&error), |_| "EXPORTED".to_owned())
    }
}

/// What a lie in the table may use.
pub struct Kept {
    pub site: Site,
    pub other: ValueUpdateReply,
    pub own: Arc<FileSigner>,
}

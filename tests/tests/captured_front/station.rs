//! Lies to a station: whose session it is, which keys they are, and for what.
//!
//! Run in a child that sees the station's token. Each lie works the one job of the stage; what the keeper records of it is
//! the station's own asking, which is announced.

use crate::{
    downward::words,
    front::{Asked, Hands, Told, between},
    table::{
        By::{Nobody, Station as ByStation},
        Lie, Stage, Watch, each_once, lie,
    },
    upward::own_key,
};
use aes::{
    Aes128,
    cipher::{BlockEncrypt as _, KeyInit as _},
};
use keysvc_client::{
    ClientError, Station, agreement::SignedAgreement, signer::FileSigner, station::Delivered,
};
use keysvc_protocol::{
    bytes::Blob,
    card::CardUid,
    cbor,
    cose::{Kind, Signed},
    refusal::{Refusal, RefusalReply, RequestId},
    reply::{CardDeriveReply, JobOpenReply},
    request::Operation,
};
use keysvc_tests::{
    agreed::idem,
    cards,
    jobs::{Floor, derive, head},
    raw::{self, Answer, sign},
};
use serde::Serialize;
use softhsm_setup::Site;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

const CARD: &str = "04782e21801d80";

/// A station between two fronts, in a job that is open.
pub struct Bench {
    site: Site,
    runtime: Runtime,
    watch: Watch,
    own: Arc<FileSigner>,
    agreements: [SignedAgreement; 2],
    /// What was answered to this station before.
    old_opening: JobOpenReply,
    old_delivery: CardDeriveReply,
    /// What another station was answered.
    others: (JobOpenReply, CardDeriveReply),
}

impl Stage for Bench {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }
}

pub const LIES: &[Lie<Bench>] = &[
    lie(
        "turns a bit of an opening's signature",
        ByStation,
        "refused what the service delivered: not the service's statement: the signature does not verify",
        |s| {
            s.opening(|reply, _| {
                let place = reply.opening.as_bytes().len() - 1;
                reply.opening = turned(&reply.opening, place);
            })
        },
    ),
    lie(
        "signs an opening with a key of its own",
        ByStation,
        "refused what the service delivered: not the service's statement: signed with another key",
        |s| {
            s.opening(|reply, kept| {
                let payload = Signed::parse(reply.opening.as_bytes()).unwrap().recorded_payload().to_vec();
                let message = sign(
                    kept.own.as_ref(),
                    Kind::ExchangeOpening,
                    raw::genesis(&kept.site).as_bytes(),
                    payload,
                );
                reply.opening = Blob::try_from(message).unwrap();
            })
        },
    ),
    lie("gives a station another station's opening", ByStation, "the session is another station's", |s| {
        s.opening(|reply, kept| reply.opening = kept.others.0.opening.clone())
    }),
    lie(
        "gives a station the whole answer to an older request to open",
        ByStation,
        "the newer tree is smaller than the older (evidence kept)",
        |s| s.opening(|reply, kept| *reply = kept.opening.clone()),
    ),
    lie(
        "turns a bit of each eighth byte of a delivery, one after the other",
        ByStation,
        "no key",
        Bench::each_byte,
    ),
    lie(
        "takes a delivery's signature away",
        ByStation,
        "refused what the service delivered: not the service's statement: not a COSE_Sign1 in the profile's form",
        |s| {
            s.delivery(|reply, _| {
                let whole = reply.delivery.as_bytes();
                reply.delivery = Blob::try_from(whole[..whole.len() - 66].to_vec()).unwrap();
            })
        },
    ),
    lie(
        "signs a delivery with a key of its own",
        ByStation,
        "refused what the service delivered: not the service's statement: signed with another key",
        |s| {
            s.delivery(|reply, kept| {
                let payload = Signed::parse(reply.delivery.as_bytes()).unwrap().recorded_payload().to_vec();
                let message =
                    sign(kept.own.as_ref(), Kind::Delivery, raw::genesis(&kept.site).as_bytes(), payload);
                reply.delivery = Blob::try_from(message).unwrap();
            })
        },
    ),
    lie(
        "answers with the delivery of an earlier request",
        ByStation,
        "the delivery answers another request",
        |s| s.delivery(|reply, kept| reply.delivery = kept.delivery.delivery.clone()),
    ),
    lie(
        "gives a station another station's delivery",
        ByStation,
        "the delivery answers another request",
        |s| s.delivery(|reply, kept| reply.delivery = kept.others.1.delivery.clone()),
    ),
    lie("mixes the deliveries of two calls", ByStation, "the delivery answers another request", Bench::mixed),
    lie(
        "names a leaf beyond the log in a delivery's receipt",
        ByStation,
        "the receipt's leaf is not in its checkpoint",
        |s| s.delivery(|reply, _| reply.receipt.leaf_index += 1_000_000),
    ),
    lie(
        "answers a delivery with an opening",
        ByStation,
        "the newer tree is smaller than the older (evidence kept)",
        |s| {
            s.answer(Operation::CardDerive, |_, kept| Answer {
                status: 200,
                body: cbor::encode(&kept.opening),
            })
        },
    ),
    lie("says that a session is over that is not", Nobody, "the same session goes on", Bench::falsely_over),
    lie("keeps all that passes of a job", Nobody, "wrapped keys, and none as it is", Bench::keeps_all),
];

/// What a lie may use.
struct Kept {
    site: Site,
    own: Arc<FileSigner>,
    opening: JobOpenReply,
    delivery: CardDeriveReply,
    others: (JobOpenReply, CardDeriveReply),
}

fn turned<const MAX: usize>(bytes: &Blob<MAX>, place: usize) -> Blob<MAX> {
    let mut bytes = bytes.as_bytes().to_vec();
    bytes[place] ^= 1;
    bytes.try_into().unwrap()
}

fn reply<T: Serialize>(reply: &T) -> Answer {
    Answer { status: 200, body: cbor::encode(reply) }
}

fn card() -> CardUid {
    CARD.parse().unwrap()
}

impl Bench {
    pub fn of(site: &Site) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut floor = Floor::without_monitor(site);
        floor.prepare("job-1", &head("known", 1, 8));
        let agreements = floor.beginning("job-1", "station-1");
        let passed: Arc<Mutex<Vec<(Operation, Answer)>>> = Arc::default();
        let kept = Arc::clone(&passed);
        let config = between(site, "station-1", move |hands, asked| {
            let answer = hands.pass(asked);
            kept.lock().unwrap().push((asked.operation, answer.clone()));
            Told::Answer(answer)
        });
        // As long as it does not lie, it is a front like another.
        let delivered = runtime.block_on(derived(&config, &agreements)).unwrap();
        assert_eq!(delivered.cards.len(), 1);
        let of = |wanted| {
            let passed = passed.lock().unwrap();
            passed.iter().find(|(operation, _)| *operation == wanted).unwrap().1.clone()
        };
        let old_opening = of(Operation::JobOpen).read().unwrap();
        let old_delivery = of(Operation::CardDerive).read().unwrap();
        let own = Arc::new(own_key(site.folder()));
        let others = at_station_2(site, &mut floor);
        let (site, watch) = (Site::open(site.folder()).unwrap(), Watch::of(site));
        Self { site, runtime, watch, own, agreements, old_opening, old_delivery, others }
    }

    fn kept(&self) -> Kept {
        Kept {
            site: Site::open(self.site.folder()).unwrap(),
            own: Arc::clone(&self.own),
            opening: self.old_opening.clone(),
            delivery: self.old_delivery.clone(),
            others: self.others.clone(),
        }
    }

    /// What the station makes of opening and deriving when the front lies. Deriving is recorded where it comes to that.
    fn works(&mut self, tell: impl FnMut(&mut Hands, &Asked) -> Told + Send + 'static) -> String {
        let derived_at = Arc::new(Mutex::new(0));
        let count = Arc::clone(&derived_at);
        let mut tell = tell;
        let config = between(&self.site, "station-1", move |hands, asked| {
            *count.lock().unwrap() += usize::from(asked.operation == Operation::CardDerive);
            tell(hands, asked)
        });
        let told = self.runtime.block_on(derived(&config, &self.agreements));
        let asked = *derived_at.lock().unwrap();
        self.watch.announce(asked);
        told.map_or_else(|error| words(&error), |delivered| format!("TAKEN {delivered:?}"))
    }

    fn answer(&mut self, operation: Operation, change: fn(Answer, &Kept) -> Answer) -> String {
        let kept = self.kept();
        self.works(move |hands, asked| {
            let answer = hands.pass(asked);
            Told::Answer(if asked.operation == operation { change(answer, &kept) } else { answer })
        })
    }

    fn opening(&mut self, change: fn(&mut JobOpenReply, &Kept)) -> String {
        let kept = self.kept();
        self.works(move |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation != Operation::JobOpen {
                return Told::Answer(answer);
            }
            let mut told: JobOpenReply = answer.read().unwrap();
            change(&mut told, &kept);
            Told::Answer(reply(&told))
        })
    }

    fn delivery(&mut self, change: fn(&mut CardDeriveReply, &Kept)) -> String {
        let kept = self.kept();
        self.works(move |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation != Operation::CardDerive {
                return Told::Answer(answer);
            }
            let mut told: CardDeriveReply = answer.read().unwrap();
            change(&mut told, &kept);
            Told::Answer(reply(&told))
        })
    }

    fn each_byte(&mut self) -> String {
        let place = Arc::new(Mutex::new((0_usize, usize::MAX)));
        let told = Arc::clone(&place);
        let config = between(&self.site, "station-1", move |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation != Operation::CardDerive {
                return Told::Answer(answer);
            }
            let mut delivery: CardDeriveReply = answer.read().unwrap();
            let mut place = told.lock().unwrap();
            let len = delivery.delivery.as_bytes().len();
            delivery.delivery = turned(&delivery.delivery, place.0 % len);
            *place = (place.0 + 8, len);
            Told::Answer(reply(&delivery))
        });
        let agreements = self.agreements.clone();
        let runtime = &self.runtime;
        let station = runtime.block_on(Station::connect(&config)).unwrap();
        let shift = runtime.block_on(station.begin(agreements)).unwrap();
        let mut said = Vec::new();
        loop {
            let (at, len) = *place.lock().unwrap();
            if at >= len {
                break;
            }
            let told = runtime.block_on(station.derive(&shift, &[card()], 1));
            said.push(told.map_or_else(|error| words(&error), |_| "TAKEN".to_owned()));
        }
        self.watch.announce(said.len());
        let taken = said.iter().filter(|one| *one == "TAKEN").count();
        println!("\t{} deliveries altered: {}", said.len(), each_once(&said));
        if taken == 0 { "no key".to_owned() } else { format!("{taken} TAKEN") }
    }

    /// The second call is given the first one's delivery; the first is asked again and given its own.
    fn mixed(&mut self) -> String {
        let mut first: Option<CardDeriveReply> = None;
        let config = between(&self.site, "station-1", move |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation != Operation::CardDerive {
                return Told::Answer(answer);
            }
            let own: CardDeriveReply = answer.read().unwrap();
            let delivery = first.get_or_insert(own.clone()).delivery.clone();
            Told::Answer(reply(&CardDeriveReply { delivery, ..own }))
        });
        self.watch.announce(2);
        let agreements = self.agreements.clone();
        let told = self.runtime.block_on(async {
            let station = Station::connect(&config).await?;
            let shift = station.begin(agreements).await?;
            station.derive(&shift, &[card()], 1).await?;
            station.derive(&shift, &[card()], 1).await
        });
        told.map_or_else(|error| words(&error), |_| "TAKEN".to_owned())
    }

    fn falsely_over(&mut self) -> String {
        let mut said = false;
        let told = self.works(move |hands, asked| {
            if asked.operation == Operation::CardDerive && !std::mem::replace(&mut said, true) {
                let body = cbor::encode(&RefusalReply::new(Refusal::ExchangeUnknown, RequestId(idem())));
                return Told::Answer(Answer { status: 409, body });
            }
            Told::Answer(hands.pass(asked))
        });
        // Two were asked for, one of which never reached the keeper.
        self.watch.take_back(1);
        assert!(told.starts_with("TAKEN"), "{told}");
        "the same session goes on".to_owned()
    }

    fn keeps_all(&mut self) -> String {
        let passed: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = Arc::clone(&passed);
        let config = between(&self.site, "station-1", move |hands, asked| {
            let answer = hands.pass(asked);
            let mut kept = kept.lock().unwrap();
            kept.extend(&asked.body);
            kept.extend(&answer.body);
            Told::Answer(answer)
        });
        self.watch.announce(1);
        let delivered = self.runtime.block_on(derived(&config, &self.agreements)).unwrap();
        let passed = passed.lock().unwrap();
        let holds = |part: &[u8]| passed.windows(part.len()).any(|window| window == part);
        for key in delivered.cards.iter().flat_map(|card| &card.keys) {
            let value = key.value.expose();
            assert!(!holds(value) && !holds(&value[..8]));
            // Nor what would lead to it: the block that its check value is made of.
            let mut zero = [0; 16].into();
            Aes128::new(value.into()).encrypt_block(&mut zero);
            assert!(!holds(&zero[..6]));
            assert!(holds(key.check.as_bytes()), "it does see the check value that is shown");
        }
        "wrapped keys, and none as it is".to_owned()
    }
}

/// Opens the job, or its session again, and asks for one card's keys.
async fn derived(
    config: &keysvc_client::ClientConfig,
    agreements: &[SignedAgreement; 2],
) -> Result<Delivered, ClientError> {
    let station = Station::connect(config).await?;
    let shift = station.begin(agreements.clone()).await?;
    station.derive(&shift, &[card()], 1).await
}

/// A job at the other station: its opening and a delivery of the same card's keys.
fn at_station_2(site: &Site, floor: &mut Floor) -> (JobOpenReply, CardDeriveReply) {
    let mut station = cards::holder(env!("CARGO_BIN_EXE_card"), site, "station-2");
    let mut other = head("known", 1, 8);
    other.station = "station-2".parse().unwrap();
    let shift = floor.shift(&mut station, "job-2", &other);
    let opening = station.ask(Operation::JobOpen, &shift.request).unwrap();
    let delivery = station.ask(Operation::CardDerive, &derive(&shift, &["04a1b2c3d4e5f6"])).unwrap();
    (opening, delivery)
}

//! A service with something of each kind that time decides, to be held against its promises while a clock is turned: an
//! officer who waits for the delay, a proposal that waits for people, a frozen card, a purse, a certificate that ended.

use super::{Half, TRUE, Turned};
use crate::{
    agreed::{Pending, agree, alone, create, freeze, propose},
    cards::{Card, holding},
    copies::Copies,
    ground::{Ground, OFFICERS},
    raw::{self, Answer, Caller, Line, envelope, http},
};
use keysvc_protocol::{
    cbor,
    cose::Signed,
    founding::PrincipalKind,
    freeze::Scope,
    key::KeyKind,
    proposal::ProposalState,
    refusal::Refusal,
    reply::{StatusReply, ValueUpdateReply},
    request::{Operation, ReadStatus, UpdateValue, ValueOperation::Load},
    schema::Schema,
    value::ValueUpdate,
};
use softhsm_setup::{TRUST_DOMAIN, pki::CertificateRequest};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// The delay of who is enrolled, instead of the development site's few seconds.
const DELAY_S: u64 = 24 * 60 * 60;
/// How long the keeper may take to say that its clock is disputed: it compares each second.
const TOLD: Duration = Duration::from_secs(6);
/// What it says.
const ALARM: &str = "the clock is disputed";
/// The terminal whose certificate ended an hour ago.
const ENDED: &str = "terminal-2";
/// Who is to be an officer once the delay is over.
const NEWCOMER: &str = "officer-4";
const FROZEN: &str = "04f0f0f0f0f0f1";
const CARD: &str = "04f0f0f0f0f0f2";

/// The site as it stood before a clock was turned.
#[derive(Debug)]
pub struct Scene {
    ground: Ground,
    turned: Turned,
    officers: [Caller; 3],
    open: Pending,
    asked: UpdateValue,
    signed: ValueUpdate,
    before: Copies,
}

impl Scene {
    /// Founds a site and has it do something of each kind. `card` is the program that holds a token for its persona.
    ///
    /// # Panics
    /// When anything fails.
    #[must_use]
    pub fn new(library: PathBuf, card: (&Path, &[&str])) -> Self {
        let ground = founded();
        end_certificate(&ground);
        let mut turned = Turned::of(&ground, library);
        turned.start(&ground);
        let site = ground.site();
        let mut officers = OFFICERS.map(|name| holding(Card::insert_as(card, site, name), site, name));
        let newcomer = ground.newcomer(NEWCOMER, PrincipalKind::Officer, "finance");
        let [ann, ben, cat] = &mut officers;
        let (_, state) = agree(&mut [&mut *ann, ben, cat], Operation::PrincipalEnrol, &newcomer).unwrap();
        assert!(matches!(state, ProposalState::Waiting { .. }), "{state:?}");
        let open = propose(ann, Operation::KeyCreate, &create("new", KeyKind::ValueSigning)).unwrap();
        assert_eq!(open.approve(ann).unwrap().state, ProposalState::Open);
        let scope = Scope::Card { card: FROZEN.parse().unwrap(), programme: None };
        alone(ann, Operation::FreezeSet, &freeze(&scope)).unwrap();
        let asked = load(CARD, 1, 0);
        let signed = update(&mut Caller::new(site, "terminal-1"), &asked).unwrap();
        turned.stop();
        let home = site.service();
        let before = Copies::of(&[
            home.folder().join("store"),
            home.folder().join("anchor"),
            home.token_folder(),
            ground.config("auditor-1").state,
        ]);
        Self { ground, turned, officers, open, asked, signed, before }
    }

    /// Turns a half's clock, of a service that runs or one that is started so, and says what did not hold.
    ///
    /// # Errors
    /// Each thing that did not, in words.
    ///
    /// # Panics
    /// When the service does not serve at all.
    pub fn hold(&mut self, half: Half, by: &str, at_a_start: bool) -> Result<(), String> {
        self.before.put_back();
        self.turned.turn(&self.ground, half, if at_a_start { by } else { TRUE });
        self.turned.start(&self.ground);
        let said = self.ground.said().matches(ALARM).count();
        let mut wrong = Vec::new();
        if !at_a_start {
            self.ended_is_refused(&mut wrong);
            self.turned.turn(&self.ground, half, by);
        }
        // Who was turned away at the start was told before the service served.
        if half == Half::Keeper && !at_a_start {
            self.alarm(said, &mut wrong);
        }
        // A front that is started under a clock that is behind has no other to judge by.
        if !(half == Half::Front && at_a_start) {
            self.ended_is_refused(&mut wrong);
        }
        self.nobody_gained(half, &mut wrong);
        self.turned.turn(&self.ground, half, TRUE);
        self.ended_is_refused(&mut wrong);
        if half == Half::Keeper {
            // Time that was put right brings nothing nearer either.
            self.nobody_gained(half, &mut wrong);
        }
        self.times_do_not_go_back(&mut wrong);
        self.turned.stop();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// How often the log said that the clock is disputed.
    #[must_use]
    pub fn alarms(&self) -> usize {
        self.ground.said().matches(ALARM).count()
    }

    fn alarm(&self, said: usize, wrong: &mut Vec<String>) {
        let began = Instant::now();
        while self.ground.said().matches(ALARM).count() <= said {
            if began.elapsed() > TOLD {
                wrong.push("the log does not say that the clock is disputed".to_owned());
                return;
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// What waits for its delay, for people or for being thawed goes on waiting; and a repetition is the same update.
    fn nobody_gained(&mut self, half: Half, wrong: &mut Vec<String>) {
        let site = self.ground.site();
        if answered(&self.ground, NEWCOMER).is_some_and(|answer| answer.read::<StatusReply>().is_ok()) {
            wrong.push("an officer is enrolled before the delay was over".to_owned());
        }
        let mut terminal = Caller::new(site, "terminal-1");
        match update(&mut terminal, &load(FROZEN, 1, 0)) {
            Err(Refusal::Frozen { .. }) => {}
            other => wrong.push(format!("a frozen card's update: {other:?}")),
        }
        match update(&mut terminal, &self.asked) {
            Ok(again) if again == self.signed => {}
            other => wrong.push(format!("a repeated update: {other:?}")),
        }
        if half == Half::Front {
            return;
        }
        let ben = &mut self.officers[1];
        self.ground.reconnect(ben, OFFICERS[1]);
        match self.open.approve(ben) {
            Ok(reply) if matches!(reply.state, ProposalState::Executed { .. }) => {
                wrong.push("an act was executed under a disputed clock".to_owned());
            }
            Ok(_) | Err(_) => {}
        }
    }

    fn ended_is_refused(&self, wrong: &mut Vec<String>) {
        if answered(&self.ground, ENDED).is_some() {
            wrong.push("a certificate that has ended was let in".to_owned());
        }
    }

    fn times_do_not_go_back(&self, wrong: &mut Vec<String>) {
        let leaves = raw::leaves(&self.ground);
        if let Some(pair) = leaves.windows(2).find(|pair| pair[1].0.time_ms < pair[0].0.time_ms) {
            wrong.push(format!("leaf {} is older than the one before it", pair[1].0.index));
        }
    }
}

/// A founded site whose delay of who is enrolled is a day.
fn founded() -> Ground {
    let ground = Ground::laid_out();
    let file = ground.site().founding();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("roster-s = 3\n"), "{text}");
    fs::write(&file, text.replace("roster-s = 3\n", &format!("roster-s = {DELAY_S}\n"))).unwrap();
    ground.sign_founding().unwrap();
    let init = ground.keysvc(&["init"]).output().unwrap();
    assert!(init.status.success(), "{}", crate::ground::text(&init));
    ground
}

/// Gives a terminal a certificate of the site's CA that ended an hour ago.
fn end_certificate(ground: &Ground) {
    let (domain, home) = (TRUST_DOMAIN.parse().unwrap(), ground.site().home(ENDED));
    let request = CertificateRequest {
        not_after: SystemTime::now() - Duration::from_hours(1),
        ..CertificateRequest::client(&domain, "terminal", ENDED)
    };
    let issued = ground.site().authority().issue(&request).unwrap();
    // Over a key that nobody enrolled: whether TLS lets it in is told from whether anything is answered.
    fs::write(home.tls_certificate(), issued.certificate_pem()).unwrap();
    fs::write(home.tls_key(), issued.key_pem().as_bytes()).unwrap();
}

/// What the service answers to this persona's certificate; nothing where it is not let in.
fn answered(ground: &Ground, persona: &str) -> Option<Answer> {
    let mut line = Line::with(ground.site(), Some(&ground.site().home(persona))).ok()?;
    let request = envelope(cbor::encode(&ReadStatus { schema: Schema }));
    line.send(&http(Operation::Status.name(), &request)).ok()?;
    // Under TLS 1.3 a refused certificate shows at the first read.
    line.answer().ok()
}

fn load(card: &str, seq: u64, before: u64) -> UpdateValue {
    UpdateValue { card: card.parse().unwrap(), ..raw::update(Load, seq, 500, before) }
}

fn update(terminal: &mut Caller, asked: &UpdateValue) -> Result<ValueUpdate, Refusal> {
    let reply: ValueUpdateReply = terminal.ask(Operation::ValueUpdate, asked)?;
    let signed = Signed::parse(reply.record.as_bytes()).unwrap();
    Ok(ValueUpdate::from_payload(signed.recorded_payload()).unwrap())
}

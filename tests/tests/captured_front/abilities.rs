//! What a captured front can do to a terminal or an auditor, which nobody finds out at once: refuse, delay, read, say what
//! nobody signs, and show an older log to who has seen no newer.
//!
//! Apart from lies that are found out. Each proves its own end: what it does not lead to.

use crate::{
    downward::{Downward, TRUE_ONE, reply},
    front::{Asked, Told, between},
    table::{By::Nobody, Lie, lie},
};
use keysvc_client::{Auditor, Terminal};
use keysvc_protocol::{
    cbor,
    key::KeyState,
    refusal::{Conflict, Invalid, Refusal, RefusalReply, RequestId},
    reply::{CheckpointReply, KeyListReply, StatusReply},
    request::Operation,
    schema::Schema,
};
use keysvc_tests::{agreed::idem, raw::Answer};
use softhsm_setup::Site;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

pub const ABILITIES: &[Lie<Downward>] = &[
    lie(
        "refuses what was done, in any words",
        Nobody,
        "each refusal is believed, and the update is there when it is asked for truly",
        Downward::refuses,
    ),
    lie(
        "lets a client wait",
        Nobody,
        "no answer, and the update is there when it is asked for truly",
        Downward::delays,
    ),
    lie("reads what passes", Nobody, "the card, the amount, who asks", Downward::reads),
    lie(
        "answers a plain read as it likes",
        Nobody,
        "an active key is shown as suspended",
        Downward::plain_read,
    ),
    lie(
        "claims another time",
        Nobody,
        "1994-11-06, and nothing is released or refused by it",
        Downward::time,
    ),
    lie(
        "shows an older log to who has seen no newer",
        Nobody,
        "believed, until it has seen more",
        Downward::older,
    ),
];

impl Downward {
    fn honest(&mut self) -> String {
        self.update(|hands, asked| Told::Answer(hands.pass(asked)))
    }

    fn refuses(&mut self) -> String {
        let refusals = [
            Refusal::Unauthenticated,
            Refusal::Forbidden,
            Refusal::Invalid { reason: Invalid::Signature },
            Refusal::CounterConflict { expected_seq: 9 },
            Refusal::BalanceMismatch { balance: 77 },
            Refusal::IdemConflict,
            Refusal::HistoryRolledBack,
            Refusal::StateConflict { reason: Conflict::Disabled },
        ];
        for refusal in refusals {
            let claimed = refusal.clone();
            let told = self.update(move |hands, asked| {
                hands.pass(asked);
                let body = cbor::encode(&RefusalReply::new(claimed.clone(), RequestId(idem())));
                Told::Answer(Answer { status: 409, body })
            });
            assert_eq!(told, format!("the service refused: {refusal}"));
        }
        assert_eq!(self.honest(), TRUE_ONE);
        "each refusal is believed, and the update is there when it is asked for truly".to_owned()
    }

    fn delays(&mut self) -> String {
        let began = Instant::now();
        let told = self.update(|hands, asked| {
            let answer = hands.pass(asked);
            std::thread::sleep(Duration::from_millis(3_500));
            Told::Answer(answer)
        });
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(self.honest(), TRUE_ONE);
        format!("{told}, and the update is there when it is asked for truly")
    }

    fn reads(&mut self) -> String {
        let passed: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = Arc::clone(&passed);
        self.update(move |hands, asked| {
            kept.lock().unwrap().extend(&asked.body);
            Told::Answer(hands.pass(asked))
        });
        let passed = passed.lock().unwrap();
        let holds = |part: &[u8]| passed.windows(part.len()).any(|window| window == part);
        assert!(holds(&[0x04, 0x78, 0x2e, 0x21, 0x80, 0x1d, 0x80]) && holds(&[0x19, 0x07, 0xd0]));
        "the card, the amount, who asks".to_owned()
    }

    fn plain_read(&mut self) -> String {
        let config = between(&self.site, "auditor-1", |hands, asked| {
            let answer = hands.pass(asked);
            if asked.operation != Operation::KeyList {
                return Told::Answer(answer);
            }
            let mut told: KeyListReply = answer.read().unwrap();
            let keys = told.keys.into_vec().into_iter().map(|mut key| {
                key.state = KeyState::Suspended;
                key
            });
            told.keys = keys.collect::<Vec<_>>().try_into().unwrap();
            reply(&told)
        });
        let keys =
            self.runtime.block_on(async { Auditor::connect(&config).await.unwrap().reader().keys().await });
        assert!(keys.unwrap().iter().all(|key| key.state == KeyState::Suspended));
        let truly: KeyListReply = self
            .auditor
            .ask(Operation::KeyList, &keysvc_protocol::request::ListKeys { schema: Schema })
            .unwrap();
        assert!(truly.keys.iter().all(|key| key.state == KeyState::Active));
        "an active key is shown as suspended".to_owned()
    }

    fn time(&mut self) -> String {
        let dated = |answer: &Answer| {
            let head = format!(
                "HTTP/1.1 {} Told\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: {}\r\n\r\n",
                answer.status,
                answer.body.len()
            );
            Told::Bytes([head.as_bytes(), &answer.body].concat())
        };
        let config = between(&self.site, "terminal-1", move |hands, asked| dated(&hands.pass(asked)));
        let request = self.request.clone();
        let (told, clock) = self.runtime.block_on(async {
            let terminal = Terminal::connect(&config).await.unwrap();
            (terminal.update(&request).await, terminal.reader().service_clock_ms())
        });
        assert_eq!(self.released(told), TRUE_ONE);
        assert_eq!(clock, Some(784_111_777_000));
        "1994-11-06, and nothing is released or refused by it".to_owned()
    }

    /// To an auditor with an empty state folder: whole genuine answers of a while ago.
    fn older(&mut self) -> String {
        let kept: Arc<Mutex<Vec<(Asked, Answer)>>> = Arc::default();
        let (write, read) = (Arc::clone(&kept), Arc::clone(&kept));
        let fresh = |site: &Site, name: &str, mut config: keysvc_client::ClientConfig| {
            config.state = site.folder().join(name);
            std::fs::create_dir(&config.state).unwrap();
            config
        };
        let before = between(&self.site, "auditor-1", move |hands, asked| {
            let answer = hands.pass(asked);
            write.lock().unwrap().push((asked.clone(), answer.clone()));
            Told::Answer(answer)
        });
        let before = fresh(&self.site, "fresh-1", before);
        let status = |config: keysvc_client::ClientConfig| async move {
            let auditor = Auditor::connect(&config).await?;
            auditor.reader().status().await
        };
        let then: StatusReply = self.runtime.block_on(status(before)).unwrap();
        self.grow();
        let after = between(&self.site, "auditor-1", move |_, asked| {
            let kept = read.lock().unwrap();
            let same =
                |(one, _): &&(Asked, Answer)| one.operation == asked.operation && one.body == asked.body;
            kept.iter().find(same).map_or(Told::HangUp, |(_, answer)| Told::Answer(answer.clone()))
        });
        let after = fresh(&self.site, "fresh-2", after);
        let now = self.runtime.block_on(status(after)).unwrap();
        assert_eq!(now.checkpoint, then.checkpoint);
        let newest: CheckpointReply = self
            .auditor
            .ask(
                Operation::LogCheckpoint,
                &keysvc_protocol::request::ReadCheckpoint { schema: Schema, genesis: false },
            )
            .unwrap();
        assert!(newest.checkpoint.checkpoint().head.size > now.checkpoint.checkpoint().head.size);
        "believed, until it has seen more".to_owned()
    }
}

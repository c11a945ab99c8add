//! Lies to the keeper's end of the link: what is no call of any front, and calls as no front makes them.
//!
//! Apart from well-formed calls, because here nobody is refused: the connection ends, or goes on and others are served.

use crate::{
    frames::{call, frame, peer, place},
    table::{By::Link, Lie, lie},
    upward::Upward,
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    reply::StatusReply,
    request::{Operation, ReadCheckpoint, ReadStatus},
    schema::Schema,
};
use keysvc_tests::raw::envelope;

/// Lies to the keeper's end of the link: what is no call of any front.
pub const LIES: &[Lie<Upward>] = &[
    lie("claims a frame of four gigabytes", Link, ENDED, |s| s.link(&[0xff; 12])),
    lie("claims a frame one byte longer than one may be", Link, ENDED, Upward::one_too_long),
    lie("sends what is no frame", Link, ENDED, |s| s.link(b"POST /v1/status HTTP/1.1\r\n\r\n")),
    lie("names an operation that there is not", Link, ENDED, |s| s.content(|content| content[16] = 200)),
    lie("asks a question of its own that there is not", Link, ENDED, |s| {
        s.link(&frame(1, &[[1; 16].as_slice(), &[255]].concat()))
    }),
    lie("sends a call shorter than its head", Link, ENDED, |s| s.content(|content| content.truncate(51))),
    lie("says that a name reaches beyond its frame", Link, ENDED, |s| {
        s.content(|content| {
            content.truncate(60);
            content[49] = 200;
        })
    }),
    lie("says that a name is longer than one may be", Link, ENDED, |s| s.content(|content| content[50] = 3)),
    lie("sends a name that is no text", Link, ENDED, |s| s.content(|content| content[52] = 0xff)),
    lie("sends an answer in a call's place", Link, ENDED, |s| s.link(&frame(1, &[200, 0, 1, 2, 3]))),
    lie("hangs up in the middle of a request", Link, "nothing came of it", Upward::half),
    lie("falls silent in the middle of a request", Link, "the others are served", Upward::silent),
    lie("gives two calls one number", Link, "both are answered under it", Upward::one_number),
    lie(
        "begins at the last number and goes on at the first",
        Link,
        "both are answered under their own",
        Upward::last_number,
    ),
    lie(
        "takes more connections than there are",
        Link,
        "the one too many is closed, and the true front is served",
        Upward::many_links,
    ),
    lie(
        "asks and never reads",
        Link,
        "it is not read any more, and the others are served",
        Upward::never_reads,
    ),
    lie("makes six thousand calls at once", Link, "each is answered", Upward::many_calls),
];

const ENDED: &str = "the connection is ended";

impl Upward {
    /// Over a connection of its own, so that the front's good one stays.
    fn link(&mut self, bytes: &[u8]) -> String {
        let mut link = self.hands.another();
        link.send(bytes);
        let ended = link.is_ended();
        assert!(self.is_served());
        if ended { ENDED.to_owned() } else { "the connection stays".to_owned() }
    }

    fn kept_content(&self) -> Vec<u8> {
        let peer = self.hands.peer("terminal-1");
        call(&peer, place(Operation::ValueUpdate), &envelope(self.kept[0].clone()))
    }

    /// A call that would be done, but for this.
    fn content(&mut self, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut content = self.kept_content();
        change(&mut content);
        self.link(&frame(1, &content))
    }

    fn one_too_long(&mut self) -> String {
        // A head of 52 bytes, a name of 512, a serial number of 80 and a body of 1 MiB.
        let len: u32 = 52 + 512 + 80 + 1024 * 1024 + 1;
        self.link(&[&len.to_le_bytes()[..], &[0; 8]].concat())
    }

    fn is_served(&mut self) -> bool {
        self.owner.ask::<StatusReply>(Operation::Status, &ReadStatus { schema: Schema }).is_ok()
    }

    fn half(&mut self) -> String {
        let whole = frame(1, &self.kept_content());
        for cut in (1..whole.len()).step_by(whole.len() / 8) {
            let mut link = self.hands.another();
            link.send(&whole[..cut]);
        }
        assert!(self.is_served());
        "nothing came of it".to_owned()
    }

    fn silent(&mut self) -> String {
        let whole = frame(1, &self.kept_content());
        let mut link = self.hands.another();
        link.send(&whole[..whole.len() - 1]);
        assert!(self.is_served() && self.hands.pass_status() == 200);
        "the others are served".to_owned()
    }

    fn status_content(&self) -> Vec<u8> {
        let body = envelope(cbor::encode(&ReadStatus { schema: Schema }));
        call(&self.hands.peer("terminal-1"), place(Operation::Status), &body)
    }

    fn one_number(&mut self) -> String {
        let content = self.status_content();
        self.numbers(&[(9, &content), (9, &content)], "both are answered under it")
    }

    fn last_number(&mut self) -> String {
        let content = self.status_content();
        self.numbers(&[(u64::MAX, &content), (0, &content)], "both are answered under their own")
    }

    fn numbers(&mut self, calls: &[(u64, &Vec<u8>)], good: &str) -> String {
        let mut link = self.hands.another();
        for (number, content) in calls {
            link.send(&frame(*number, content));
        }
        let mut under: Vec<_> = calls.iter().map(|_| link.answer().unwrap().0).collect();
        let mut sent: Vec<_> = calls.iter().map(|(number, _)| *number).collect();
        under.sort_unstable();
        sent.sort_unstable();
        if under == sent { good.to_owned() } else { format!("answered under {under:?}") }
    }

    fn many_links(&mut self) -> String {
        let mut links: Vec<_> = (0..9).map(|_| self.hands.another()).collect();
        let content = self.status_content();
        for link in &mut links {
            link.send(&frame(1, &content));
        }
        let answered = links.iter_mut().filter_map(|link| link.answer().ok()).count();
        assert!(answered < 9 && self.is_served());
        drop(links);
        "the one too many is closed, and the true front is served".to_owned()
    }

    fn never_reads(&mut self) -> String {
        // The founding comes with each answer: eight megabytes of them are soon unwritten.
        let body = envelope(cbor::encode(&ReadCheckpoint { schema: Schema, genesis: true }));
        let content = call(&self.hands.peer("terminal-1"), place(Operation::LogCheckpoint), &body);
        let most = 64 * 1024 * 1024;
        let many: Vec<u8> = (0..64).flat_map(|number| frame(number, &content)).collect();
        let mut link = self.hands.another();
        assert!(link.send_unread(&many, most) < most);
        assert!(self.is_served());
        "it is not read any more, and the others are served".to_owned()
    }

    fn many_calls(&mut self) -> String {
        let body = envelope(cbor::encode(&ReadStatus { schema: Schema }));
        let content = call(&peer(Digest::new([7; 32]), "terminal", "x"), place(Operation::Status), &body);
        let all: Vec<u8> = (0..6_000).flat_map(|number| frame(number, &content)).collect();
        let mut link = self.hands.another();
        link.send(&all);
        let mut under: Vec<u64> = (0..6_000).map(|_| link.answer().unwrap().0).collect();
        under.sort_unstable();
        assert!(self.is_served());
        if under == (0..6_000).collect::<Vec<_>>() {
            "each is answered".to_owned()
        } else {
            "not each".to_owned()
        }
    }
}

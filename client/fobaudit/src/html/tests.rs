//! The page of a rich log, of an empty one and of one that does not verify.

use super::*;
use crate::{
    log_folder::LogFolder,
    sample::{BEGIN_MS, Export, SPARE_KEY, Sample, TERMINAL_KEY, TestKey, founding_leaf, start, uid},
    verify::{self, Task},
};
use keysvc_protocol::{
    bytes::{Blob, Digest, PreviousUpdate},
    cose::Kind,
    founding::Founding,
    job::JobHead,
    leaf::{FoundingLeaf, FoundingSignature, LeafKind, RefusalsCountedLeaf, RefusedLeaf},
    refusal::{Invalid, Refusal},
    request::{Operation, ValueOperation},
    schema::Schema,
    value::ValueUpdate,
};
use std::path::PathBuf;

const DAY_MS: u64 = 86_400_000;

/// The sample's founding with a second programme, of the museum, in Swiss francs.
fn founding_of_two_programmes() -> FoundingLeaf {
    let mut leaf = founding_leaf();
    let text = String::from_utf8(leaf.founding.as_bytes().to_vec()).unwrap();
    let text = text.replace(
        "programmes = [",
        "programmes = [\n  { name = \"museum-shop\", organisation = \"museum\", currency = 756, profile = \"pass\", \
         value-key = \"spare-value\" },",
    );
    // The museum's money is another, so its cards have a profile of their own.
    let (_, profile) = text.split_once("[[profiles]]").unwrap();
    let own = profile.replace("\"fob\"", "\"pass\"").replace("currency = 978", "currency = 756");
    let text = format!("{text}\n[[profiles]]{own}");
    let signatures = ["alice", "bob"].into_iter().zip([1, 2]).map(|(officer, seed)| {
        let officer = officer.parse().unwrap();
        let payload = Founding::agreement(text.as_bytes(), &officer);
        let signed = TestKey::new(seed).sign(Kind::Founding, b"demo.keysvc.test", payload);
        FoundingSignature { schema: Schema, officer, signed: Blob::try_from(signed).unwrap() }
    });
    leaf.signatures = signatures.collect::<Vec<_>>().try_into().unwrap();
    leaf.founding = Blob::try_from(text.into_bytes()).unwrap();
    leaf
}

/// A log under way: the last update of each programme's one purse, and the time of the last leaf.
struct Rich {
    sample: Sample,
    last: [Vec<u8>; 2],
    now_ms: u64,
}

impl Rich {
    fn begin() -> Self {
        let sample = Sample::founded_by(&founding_of_two_programmes());
        Self { sample, last: [Vec::new(), Vec::new()], now_ms: BEGIN_MS }
    }

    fn push<T: serde::Serialize>(&mut self, kind: LeafKind, payload: &T) {
        self.now_ms += 1000;
        self.sample.push_at(self.now_ms, kind, payload);
    }

    fn start(&mut self, version: &str) {
        let mut leaf = start(91);
        version.clone_into(&mut leaf.version);
        self.push(LeafKind::Start, &leaf);
    }

    /// An update of programme 0, coffee, or 1, the museum's shop.
    fn update(&mut self, programme: usize, operation: ValueOperation, amount: u64) {
        self.now_ms += 1000;
        let now_ms = self.now_ms;
        self.sample.last_update.clone_from(&self.last[programme]);
        let first = self.last[programme].is_empty();
        let key = [TERMINAL_KEY, SPARE_KEY][programme];
        let leaf = self.sample.update_leaf(key, |update| {
            let after = match operation {
                ValueOperation::Load => update.balance_before + amount,
                ValueOperation::Debit => update.balance_before - amount,
            };
            if first {
                update.previous = PreviousUpdate::new([0; 16]);
            }
            update.programme = ["coffee", "museum-shop"][programme].parse().unwrap();
            update.terminal = ["terminal-1", "terminal-2"][programme].parse().unwrap();
            update.currency = [978, 756][programme];
            // Another card, because a purse belongs to its card in one programme.
            if programme == 1 {
                update.card = "04000000000002".parse().unwrap();
            }
            (update.operation, update.amount, update.balance_after) = (operation, amount, after);
            (update.issued_at_ms, update.expires_at_ms) = (now_ms, now_ms + DAY_MS);
        });
        self.last[programme] = leaf.update.as_bytes().to_vec();
        self.sample.push_at(now_ms, LeafKind::ValueUpdated, &leaf);
    }

    fn derive(&mut self, exchange: u8, number: u32) {
        let cards = [uid(number), uid(100 + number)];
        self.sample.derive("nfc-9", exchange, &cards);
        self.sample.all_good("nfc-9", &cards);
    }

    fn refuse(&mut self, operation: Operation, refusal: Refusal) {
        let principal = "terminal-1".parse().unwrap();
        let request = Digest::new([7; 32]);
        self.push(LeafKind::Refused, &RefusedLeaf { schema: Schema, principal, operation, refusal, request });
    }

    fn count_refusals(&mut self, count: u64, principal: Option<&str>) {
        let principal = principal.map(|name| name.parse().unwrap());
        let leaf = RefusalsCountedLeaf { schema: Schema, count, from_ms: self.now_ms, principal };
        self.push(LeafKind::RefusalsCounted, &leaf);
    }
}

/// Sixteen days of two programmes: a bureau on the first day, tills on all of them, a bad evening.
fn rich() -> Sample {
    let mut log = Rich::begin();
    log.start("0.1.0");
    let head = JobHead { issued: 100, ..Sample::head(1) };
    log.sample.create_job("nfc-9", head);
    log.sample.seal_job("data-2", "nfc-9");
    log.sample.open_job("nfc-9", 1);
    (1..=9).for_each(|number| log.derive(1, number));
    log.now_ms = BEGIN_MS + 60_000;
    for day in 0..16_u64 {
        log.now_ms = log.now_ms.max(BEGIN_MS + day * DAY_MS);
        for step in 0..=(day * 7) % 5 {
            log.update(0, ValueOperation::Load, 1500 + day * 100);
            log.update(0, ValueOperation::Debit, 350 + day * 90 + step);
            if day.is_multiple_of(3) {
                log.update(1, ValueOperation::Load, 500);
                log.update(1, ValueOperation::Debit, 499);
            }
            log.update(0, ValueOperation::Debit, 1000);
        }
        if day == 6 {
            log.start("0.1.1");
        }
        if day == 9 {
            log.refuse(Operation::ValueUpdate, Refusal::CounterConflict { expected_seq: 4 });
            log.refuse(Operation::ValueUpdate, Refusal::LimitExceeded { limit: 10_000 });
            log.refuse(Operation::CardDerive, Refusal::Forbidden);
            (0..8).for_each(|_| log.refuse(Operation::ValueUpdate, Refusal::Forbidden));
            log.refuse(Operation::KeyGet, Refusal::Invalid { reason: Invalid::Encoding });
            log.count_refusals(9990, None);
            log.count_refusals(31, Some("terminal-1"));
        }
    }
    log.sample
}

fn made_at() -> Timestamp {
    "2026-12-24T17:00:00Z".parse().unwrap()
}

fn page_of(export: &Export, previous: &[PathBuf]) -> String {
    let (verification, tally) = counted(export, previous);
    page(&verification, &tally, made_at()).unwrap()
}

fn counted(export: &Export, previous: &[PathBuf]) -> (Verification, Tally) {
    let (folder, mut tally) = (export.path(""), Tally::default());
    let folder = LogFolder::new(&folder);
    let task = Task { previous, ..Task::of(folder, &export.trust) };
    (verify::run_beside(&task, &mut tally, &mut |_, _| {}).unwrap(), tally)
}

/// Every element that is opened is closed, in the right order.
fn assert_balanced(html: &str) {
    const VOID: [&str; 7] = ["!DOCTYPE", "meta", "rect", "line", "polyline", "polygon", "circle"];
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag.split([' ', '\n']).next().unwrap();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "{tag}");
        } else if !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn the_page_of_a_rich_log_is_whole_and_needs_nothing_from_elsewhere() {
    let export = rich().export();
    let kept = export.write("kept", &Sample { leaves: rich().leaves[..9].to_vec(), ..rich() }.note());
    let html = page_of(&export, &[kept]);
    assert_balanced(&html);
    for word in ["<script", "http:", "https:", "url(", "<img", "<link", "@import", "onload"] {
        assert!(!html.contains(word), "{word}");
    }
    assert_eq!(html.matches("<svg").count(), 4);
    assert_eq!(html.matches("<svg").count(), html.matches("<title id=").count());
}

#[test]
fn the_page_tells_the_figures_of_the_log() {
    let export = rich().export();
    let html = page_of(&export, &[]);
    for said in [
        "<strong>VERIFIED</strong>",
        "TEST: founded for development",
        "2026-11-18 11:06:40 UTC to 2026-12-03",
        "Card keys derived</div><div class=\"value\">36</div><div class=\"note\">in 9 requests",
        "Jobs</div><div class=\"value\">1</div><div class=\"note\">of them 0 purged</div>",
        "<th scope=\"row\">nfc-9 <span class=\"faint version\">order 4711 of CAFE</span></th><td class=\"nowrap\">open</td>",
        "operated: operator-1, operator-2",
        "<li>job nfc-9 is open and not closed: nobody counted yet</li>",
        "<th scope=\"row\">station-1</th><td>ready</td><td class=\"number\">18</td>",
        "<th scope=\"row\">coffee</th><td>EUR</td>",
        "<th scope=\"row\">museum-shop</th><td>CHF</td>",
        "Refusals</div><div class=\"value\">10\u{202f}033</div>",
        "<th scope=\"row\">not allowed by policy</th><td class=\"number\">9</td><td>card.derive 1, value.update 8</td>",
        "counted only, callers not enrolled</th><td class=\"number\">9\u{202f}990</td>",
        "No older checkpoint was given",
        "Value moved per day, in CHF",
        "<td class=\"nowrap\">2026-11-18</td>",
    ] {
        assert!(html.contains(said), "{said}");
    }
}

#[test]
fn the_sums_of_the_page_are_those_of_the_log() {
    let sample = rich();
    let updates = sample.leaves.iter().filter_map(|leaf| {
        let leaf = keysvc_protocol::cbor::decode::<keysvc_protocol::leaf::ValueUpdatedLeaf>(
            leaf.payload.as_ref().unwrap().as_bytes(),
            100_000,
        );
        leaf.ok().map(|leaf| ValueUpdate::from_payload(leaf.update.as_bytes()).unwrap())
    });
    let loads = updates.filter(|update| update.currency == 978 && update.operation == ValueOperation::Load);
    let (times, sum) = loads.fold((0, 0), |(times, sum), update| (times + 1, sum + update.amount));
    let cell =
        format!("<td class=\"number\">{times}</td><td class=\"number\">{}</td>", rows::amount(sum, 978));
    assert!(page_of(&sample.export(), &[]).contains(&format!("<td>EUR</td>{cell}")), "{cell}");
}

#[test]
fn only_the_line_that_says_when_differs_from_one_page_to_the_next() {
    let export = rich().export();
    let (verification, tally) = counted(&export, &[]);
    let [one, two] = [made_at(), Timestamp::UNIX_EPOCH].map(|at| page(&verification, &tally, at).unwrap());
    let differing: Vec<_> = one.lines().zip(two.lines()).filter(|(one, two)| one != two).collect();
    assert_eq!(
        differing,
        [("<p>made at 2026-12-24 17:00:00 UTC</p>", "<p>made at 1970-01-01 00:00:00 UTC</p>")]
    );
    assert_eq!(one, page_of(&export, &[]));
}

#[test]
fn an_empty_log_says_so_and_has_no_chart() {
    let html = page_of(&Sample::founded().export(), &[]);
    assert_balanced(&html);
    assert!(html.contains("No card key was derived, no value moved and nothing was refused"), "{html}");
    assert!(!html.contains("<svg") && !html.contains("The figures behind the charts"), "{html}");
}

#[test]
fn a_log_that_does_not_verify_has_its_findings_at_the_head_of_the_page() {
    let mut sample = Sample::good();
    sample.update(|update| update.seq = 9);
    let html = page_of(&sample.export(), &[]);
    assert_balanced(&html);
    let finding = html.find("<li>leaf 6: sequence number 9 where the purse").unwrap();
    assert!(html.find("NOT VERIFIED").unwrap() < finding && finding < html.find("At a glance").unwrap());
    assert!(html.contains("They prove nothing until the findings are explained"), "{html}");
}

#[test]
fn a_folder_that_proves_nothing_has_a_page_without_figures() {
    let (mut export, other) = (Sample::good().export(), Sample::founded_by(&founding_of_two_programmes()));
    export.trust = other.trust();
    let html = page_of(&export, &[]);
    assert_balanced(&html);
    assert!(html.contains("Nothing in this folder is proved, so no figures are shown."), "{html}");
    assert!(!html.contains("At a glance"), "{html}");
}

#[test]
fn what_is_withheld_is_told_and_in_no_sum() {
    let mut sample = Sample::good();
    sample.leaves[5].payload = None;
    let html = page_of(&sample.export(), &[]);
    assert!(html.contains(
        "Value updates</div><div class=\"value\">2</div><div class=\"note\">1 withheld, in no sum"
    ));
    let row = "<th scope=\"row\">value updated</th><td class=\"number\">2</td><td class=\"number\">1</td>\
               <td class=\"number\">1</td>";
    assert!(html.contains(row), "{html}");
    assert!(html.contains("The content of 1 leaf of kind “value updated” is withheld"), "{html}");
    assert!(html.contains("Loaded, EUR</div><div class=\"value\">20.00</div>"), "{html}");
}

#[test]
fn hostile_texts_are_escaped() {
    let mut log = Rich::begin();
    log.start("<script>alert(1)</script>");
    let export = log.sample.export();
    let kept = export.write("a\"<b>&'", &log.sample.note());
    let html = page_of(&export, &[kept]);
    assert_balanced(&html);
    assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
    assert!(html.contains("&#60;script&#62;alert(1)"), "{html}");
}

#[test]
fn years_of_days_make_at_most_sixty_bars() {
    let mut log = Rich::begin();
    for year in 0..7 {
        log.now_ms = BEGIN_MS + year * 365 * DAY_MS;
        log.update(0, ValueOperation::Load, 100);
    }
    let html = page_of(&log.sample.export(), &[]);
    assert!(html.contains("Value moved per quarter, in EUR"), "{html}");
    assert!(html.contains("First day of the quarter"), "{html}");
}

#[test]
fn acts_of_several_people_and_freezes_are_counted_and_keys_have_the_state_that_they_came_to() {
    let html = page_of(&Sample::governed().export(), &[]);
    assert_balanced(&html);
    for (label, value) in [("Acts by several people", "6"), ("Freezes", "1")] {
        let tile = format!("<div class=\"label\">{label}</div><div class=\"value\">{value}</div>");
        assert!(html.contains(&tile), "{label}");
    }
    assert!(html.contains("and 2 principals or keys disabled or stopped"), "{html}");
    let key = html.split("<tr>").find(|row| row.contains(">spare-value ")).unwrap();
    assert!(key.contains("<td>destroyed</td>"), "{key}");
    // Loads that took people are in the sums as others are.
    assert!(html.contains("<div class=\"value\">80.00</div><div class=\"note\">in 4 loads</div>"), "{html}");
}

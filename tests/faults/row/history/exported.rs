//! An exported log, cut off and spoilt, and what the offline verifier says of it.
//!
//! What is cut off is tiled anew, as whoever hides the end would do it, and shown under every checkpoint there is of it: the
//! newest, and the one that the service itself once signed for that size, which only a later one contradicts.

use super::failed;
use crate::trial::{Found, Trial};
use fastrand::Rng;
use keysvc_protocol::{
    bytes::{Blob, Salt},
    cbor,
    checkpoint::SignedCheckpoint,
    export::{LeafPayload, PayloadFile, Span, Tiling, decode_entries, encode_entries},
    merkle::leaf_hash,
};
use keysvc_tests::{
    ended::ended,
    ground::{Failed, Ground},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Bytes that are turned in each leaf, one after the other; all classes of places with `--times 3`.
const BYTES_A_LEAF: u64 = 4;

/// An exported log of less than one tile.
pub(super) struct Exported {
    ground: Ground,
    /// A copy, to be spoilt.
    copy: PathBuf,
    span: Span,
    entries: Vec<Vec<u8>>,
    payloads: Vec<u8>,
    /// What the service signed, by size.
    signed: BTreeMap<u64, SignedCheckpoint>,
    newest: SignedCheckpoint,
    /// Where somebody keeps the newest.
    held: PathBuf,
}

impl Exported {
    pub(super) fn new(ground: Ground, folder: PathBuf, seen: Vec<SignedCheckpoint>) -> Result<Self, Failed> {
        let newest = SignedCheckpoint::parse(&read(&folder.join("checkpoint"))?).map_err(failed)?;
        let size = newest.checkpoint().head.size;
        let span =
            Span::holding(size.saturating_sub(1), size).ok_or_else(|| failed("the export is empty"))?;
        if span.first() != 0 {
            return Err(failed("the export is longer than one tile"));
        }
        let bytes = read(&folder.join(span.entries_path()))?;
        let entries: Vec<_> =
            decode_entries(&bytes, span).map_err(failed)?.into_iter().map(<[u8]>::to_vec).collect();
        let payloads = read(&folder.join(span.payload_path()))?;
        let signed = seen.into_iter().map(|note| (note.checkpoint().head.size, note)).collect();
        let [copy, held] = ["copy", "held"].map(|name| ground.site().folder().join(name));
        fs::write(&held, newest.as_bytes()).map_err(failed)?;
        Ok(Self { ground, copy, span, entries, payloads, signed, newest, held })
    }

    /// Cuts it off at every leaf, and turns bytes in every leaf.
    pub(super) fn spoil(&self, trial: &Trial, chances: &mut Rng, found: &mut Found) -> Result<(), Failed> {
        self.whole()?;
        if self.verified()? != Some(0) {
            return Err(failed("the whole export is not verified"));
        }
        let (mut cut, mut known, mut turned) = (0_u64, 0_u64, 0_u64);
        for size in 1..self.entries.len() {
            self.cut_to(size, &self.newest)?;
            self.judge(&format!("cut to {size} leaves under the newest checkpoint"), found)?;
            cut += 1;
            if let Some(once) = self.signed.get(&u64::try_from(size).unwrap_or(0)) {
                self.cut_to(size, once)?;
                self.judge(&format!("cut to {size} leaves under the checkpoint of then"), found)?;
                known += 1;
            }
        }
        for leaf in 0..self.entries.len() {
            for class in self.classes(trial, chances) {
                let what = self.turn(leaf, class, chances)?;
                self.judge(&what, found)?;
                turned += 1;
            }
        }
        let note = self.newest.as_bytes().to_vec();
        for _ in 0..trial.scaled(8) {
            let (at, bit) = (chances.usize(0..note.len()), 1 << chances.u8(0..8));
            self.whole()?;
            write(&self.copy.join("checkpoint"), &with_bit(&note, at, bit))?;
            self.judge(&format!("byte {at} of the checkpoint turned by {bit}"), found)?;
            turned += 1;
        }
        found.figure("exports cut off, each at another leaf", cut);
        found.figure("of them also under the checkpoint that was signed for that size", known);
        found.figure("exports with one bit turned, in every leaf", turned);
        Ok(())
    }

    /// The places in a leaf that are tried this time.
    fn classes(&self, trial: &Trial, chances: &mut Rng) -> Vec<Place> {
        let mut all = Place::ALL.to_vec();
        chances.shuffle(&mut all);
        all.truncate(usize::try_from(trial.scaled(BYTES_A_LEAF)).unwrap_or(usize::MAX));
        all
    }

    /// Puts the whole export there.
    fn whole(&self) -> Result<(), Failed> {
        self.put(&self.entries, &self.payloads, self.span, &self.newest)
    }

    /// Puts the first leaves there, tiled as a log of that size is, under this checkpoint.
    fn cut_to(&self, size: usize, checkpoint: &SignedCheckpoint) -> Result<(), Failed> {
        let len = u64::try_from(size).unwrap_or(0);
        let span = Span::holding(len.saturating_sub(1), len).ok_or_else(|| failed("no such span"))?;
        let mut payloads = PayloadFile::decode(&self.payloads, self.span).map_err(failed)?;
        payloads.truncate(size);
        let payloads = PayloadFile::new(payloads).map_err(|_| failed("too many payloads"))?;
        let entries = self.entries.get(..size).unwrap_or_default();
        self.put(entries, &cbor::encode(&payloads), span, checkpoint)
    }

    fn put(
        &self,
        entries: &[Vec<u8>],
        payloads: &[u8],
        span: Span,
        checkpoint: &SignedCheckpoint,
    ) -> Result<(), Failed> {
        if self.copy.exists() {
            fs::remove_dir_all(&self.copy).map_err(failed)?;
        }
        let mut tiling = Tiling::new();
        let full: Vec<_> = entries.iter().flat_map(|entry| tiling.append(leaf_hash(entry))).collect();
        for tile in full.into_iter().chain(tiling.partial()) {
            write(&self.copy.join(tile.path()), &tile.to_bytes())?;
        }
        let bundle = encode_entries(entries.iter().map(Vec::as_slice)).map_err(failed)?;
        write(&self.copy.join(span.entries_path()), &bundle)?;
        write(&self.copy.join(span.payload_path()), payloads)?;
        write(&self.copy.join("checkpoint"), checkpoint.as_bytes())
    }

    /// Turns a bit in a leaf; says what was done.
    fn turn(&self, leaf: usize, place: Place, chances: &mut Rng) -> Result<String, Failed> {
        self.whole()?;
        let bit = 1 << chances.u8(0..8);
        if let Place::Payload(part) = place {
            return self.turn_beside(leaf, (part, bit), chances);
        }
        let (file, at) = match place {
            Place::Entry(part) => {
                // Two bytes of length before each.
                let start: usize = self.entries.iter().take(leaf).map(|entry| entry.len() + 2).sum();
                let len = self.entries.get(leaf).map_or(0, Vec::len) + 2;
                (self.span.entries_path(), start + within(len, part, chances))
            }
            Place::Payload(_) | Place::Hash => (self.span.tile_path(0), leaf * 32 + chances.usize(0..32)),
        };
        let path = self.copy.join(&file);
        let bytes = read(&path)?;
        write(&path, &with_bit(&bytes, at, bit))?;
        Ok(format!("leaf {leaf}, {place:?}, byte {at} of {file} turned by {bit}"))
    }

    /// Turns a bit of what lies beside a leaf's entry: salt and payload.
    fn turn_beside(
        &self,
        leaf: usize,
        (part, bit): (usize, u8),
        chances: &mut Rng,
    ) -> Result<String, Failed> {
        let mut payloads = PayloadFile::decode(&self.payloads, self.span).map_err(failed)?;
        let beside = payloads.get_mut(leaf).ok_or_else(|| failed("no such leaf"))?;
        let salt = beside.salt.map(|salt| salt.as_bytes().to_vec()).unwrap_or_default();
        let payload = beside.payload.take().map(Blob::into_bytes).unwrap_or_default();
        let (whole, salt_len) = ([&salt[..], &payload].concat(), salt.len());
        let at = within(whole.len(), part, chances);
        let turned = with_bit(&whole, at, bit);
        let (salt, payload) = turned.split_at(salt_len);
        *beside = LeafPayload {
            salt: <[u8; 16]>::try_from(salt).ok().map(Salt::new),
            payload: Some(
                Blob::try_from(payload.to_vec()).map_err(|_| failed("a payload that is too long"))?,
            ),
        };
        let file = PayloadFile::new(payloads).map_err(|_| failed("too many payloads"))?;
        write(&self.copy.join(self.span.payload_path()), &cbor::encode(&file))?;
        Ok(format!("leaf {leaf}, byte {at} beside its entry turned by {bit}"))
    }

    fn judge(&self, what: &str, found: &mut Found) -> Result<(), Failed> {
        let code = self.verified()?;
        found.count(match code {
            Some(0) => Err(format!("{what}: verified")),
            Some(2 | 4 | 6) => Ok(()),
            other => Err(format!("{what}: the verifier ended with {other:?}")),
        });
        Ok(())
    }

    /// What the verifier's exit code is, for who holds the newest checkpoint.
    fn verified(&self) -> Result<Option<i32>, Failed> {
        let mut fobaudit = Command::new(&self.ground.programs().fobaudit);
        fobaudit.arg("verify").arg(&self.copy).arg("--trust").arg(self.ground.site().trust());
        fobaudit.arg("--previous").arg(&self.held);
        Ok(ended(fobaudit).status.code())
    }
}

/// A class of places in a leaf.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// A quarter of its entry: length and index, time, kind, digest.
    Entry(usize),
    /// A quarter of its salt and payload.
    Payload(usize),
    /// Its hash in the tile.
    Hash,
}

impl Place {
    const ALL: [Self; 9] = [
        Self::Entry(0),
        Self::Entry(1),
        Self::Entry(2),
        Self::Entry(3),
        Self::Payload(0),
        Self::Payload(1),
        Self::Payload(2),
        Self::Payload(3),
        Self::Hash,
    ];
}

fn within(len: usize, quarter: usize, chances: &mut Rng) -> usize {
    let (from, to) = (len * quarter / 4, len * (quarter + 1) / 4);
    if from < to { chances.usize(from..to) } else { 0 }
}

fn with_bit(bytes: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut turned = bytes.to_vec();
    turned.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bit);
    turned
}

fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    fs::read(path).map_err(|error| failed(format!("{}: {error}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes)).map_err(failed)
}

//! A founding that is killed at a call of `SoftHSM`'s: cleared or finished by the next one, and whole after it.

use super::{CALLS, CALLS_OF_OBJECT, Left};
use fastrand::Rng;
use keysvc_tests::{
    copies::Copies,
    ended::ended,
    ground::{Ground, text},
    killed_at::Strace,
    pieces::Pieces,
};
use std::path::PathBuf;

/// Objects that a founding makes.
const OBJECTS: u64 = 9;

/// A site with all its signatures, and all of it that a founding makes as it was before.
pub(super) struct Site {
    ground: Ground,
    bare: Copies,
    tokens: PathBuf,
}

impl Site {
    pub(super) fn new() -> Self {
        let ground = Ground::laid_out();
        ground.sign_founding().unwrap();
        let (home, trust) = (ground.site().service(), ground.site().trust());
        let tokens = home.token_folder();
        let bare =
            Copies::of(&[tokens.clone(), home.folder().join("store"), home.folder().join("anchor"), trust]);
        Self { ground, bare, tokens }
    }

    /// One founding, killed in the `number`th of so many parts of its way.
    pub(super) fn killed(
        &mut self,
        strace: &Strace,
        (number, of): (u64, u64),
        chances: &mut Rng,
    ) -> Result<Left, String> {
        self.bare.put_back();
        let part = OBJECTS * CALLS_OF_OBJECT / of.max(1);
        let at = 1 + number * part + chances.u64(..part.max(1));
        let call = CALLS[usize::from(chances.bool())];
        drop(ended(strace.killing(&self.ground.keysvc(&["init"]), call, at)));
        if self.ground.site().trust().exists() {
            return self.whole().map(|()| Left::Made);
        }
        let pieces: Vec<_> = Pieces::of(&self.tokens).since(&Pieces::default());
        let plain = ended(self.ground.keysvc(&["init"]));
        let said = text(&plain);
        if !plain.status.success() {
            if !pieces.is_empty() && !said.contains("an earlier founding was interrupted") {
                return Err(format!("{call} {at}: {said}"));
            }
            let anew = ended(self.ground.keysvc(&["init", "--discard-orphans", "--yes"]));
            if !anew.status.success() {
                return Err(format!("{call} {at}: {}", text(&anew)));
            }
        }
        self.whole().map_err(|why| format!("{call} {at}: {why}")).map(|()| Left::Pieces(pieces))
    }

    /// Its keys are there, and everything is as a start wants it.
    fn whole(&self) -> Result<(), String> {
        let whole = Pieces::of(&self.tokens).whole() as u64;
        if whole != OBJECTS {
            return Err(format!("{whole} whole objects in the token after a founding"));
        }
        let doctor = ended(self.ground.keysvc(&["doctor"]));
        if doctor.status.success() { Ok(()) } else { Err(text(&doctor)) }
    }
}

//! Counts the instructions that verifying one value update takes on a Cortex-M4, under QEMU.
//!
//! Apart from the program whose size is measured: this one runs, on a board that QEMU emulates (mps2-an386), so it holds
//! a known update and says what it counted. It refuses to count what does not verify.
//!
//! It prints `whole ecdsa key`: the verification of the update, the plain ECDSA verification of the same bytes by the
//! library that the whole stands on, and the reading of the key, which a terminal does once.
#![no_std]
#![no_main]

mod board;
mod heap;
mod sample;

use core::{fmt::Write as _, hint::black_box, panic::PanicInfo};
use keysvc_protocol::{
    bytes::Digest,
    cose::{Kind, Signed, Unsigned},
    public_key::PublicKey,
    value::ValueUpdate,
};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use sample::{GENESIS, KEY, MESSAGE};

/// The bytes that the update's signature covers, verified by nothing but the library. Nothing where they do not verify.
fn ecdsa_alone() -> Option<u32> {
    let signed = Signed::parse(&MESSAGE).ok()?;
    let payload = signed.recorded_payload().to_vec();
    let covered = Unsigned::new(Kind::ValueUpdate, &GENESIS, signed.key_identifier(), payload).to_be_signed();
    // An uncompressed point of 65 bytes ends the key, a signature of 64 the message.
    let key = VerifyingKey::from_sec1_bytes(KEY.last_chunk::<65>()?).ok()?;
    let signature = Signature::from_slice(MESSAGE.last_chunk::<64>()?).ok()?;
    let (good, counted) =
        board::counted(|| black_box(&key).verify(black_box(&covered), black_box(&signature)).is_ok());
    good.then_some(counted)
}

/// What the key takes, and what the update takes with it. Nothing where it does not verify, or an altered one does.
fn whole() -> Option<(u32, u32)> {
    let genesis = Digest::new(GENESIS);
    let (key, key_counted) = board::counted(|| PublicKey::from_spki(black_box(&KEY)));
    let key = key.ok()?;
    let verify =
        |message| ValueUpdate::verify(black_box(message), black_box(&genesis), black_box(&key)).is_ok();
    let (good, counted) = board::counted(|| verify(&MESSAGE));
    let mut altered = MESSAGE;
    altered[209] ^= 1;
    (good && !verify(&altered)).then_some((key_counted, counted))
}

/// Where the processor begins.
pub extern "C" fn start() -> ! {
    board::begin();
    let (Some((key, whole)), Some(alone)) = (whole(), ecdsa_alone()) else {
        board::Console.write_str("the sample does not verify, or an altered one does\n").ok();
        board::end(false);
    };
    writeln!(board::Console, "{whole} {alone} {key}").ok();
    board::end(true);
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::end(false)
}
